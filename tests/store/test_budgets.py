"""Budgets: reserved in all that apply or in none, settled once, anew in each period."""

from __future__ import annotations

import threading

import pytest
from support import wait_until

from swarm.settings import Settings
from swarm.store.budgets import SWARM, BudgetStore, agent_scope
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys
from swarm.wire.route_records import Budget

DAY = 86_400.0
CODER = agent_scope("coder-1")


@pytest.fixture
def budgets(client: Client, settings: Settings) -> BudgetStore:
    return BudgetStore(client, SwarmKeys(settings.name), 3600.0)


def test_without_a_budget_everything_may_be_reserved_and_nothing_is_settled(budgets: BudgetStore) -> None:
    assert budgets.spending() == {}
    assert budgets.reserve("d1", 1e6, [SWARM]) is None
    assert not budgets.settle("d1", 1.0)


def test_what_is_reserved_counts_until_what_was_spent_takes_its_place_once(budgets: BudgetStore) -> None:
    budgets.put(SWARM, Budget(amount=1.0, period_s=DAY))
    assert budgets.reserve("d1", 0.6, [SWARM]) is None
    assert budgets.spending()[SWARM].left == pytest.approx(0.4)
    assert budgets.reserve("d2", 0.6, [SWARM]) == SWARM
    assert budgets.settle("d1", 0.1)
    assert not budgets.settle("d1", 0.9)
    assert budgets.spending()[SWARM].spent == pytest.approx(0.1)
    assert budgets.reserve("d2", 0.6, [SWARM]) is None


def test_an_amount_is_reserved_in_all_budgets_or_in_none(budgets: BudgetStore) -> None:
    budgets.put(SWARM, Budget(amount=10.0, period_s=DAY))
    budgets.put(CODER, Budget(amount=1.0, period_s=3600.0))
    assert budgets.reserve("d1", 2.0, [SWARM, CODER]) == CODER
    assert budgets.spending()[SWARM].spent == 0.0
    assert budgets.reserve("d2", 0.5, [SWARM, CODER]) is None
    assert {scope: one.spent for scope, one in budgets.spending().items()} == {SWARM: 0.5, CODER: 0.5}
    assert budgets.settle("d2", 0.75)
    assert {scope: one.spent for scope, one in budgets.spending().items()} == {SWARM: 0.75, CODER: 0.75}


def test_one_task_may_cost_what_is_left_but_no_more_than_the_bound_for_a_task(budgets: BudgetStore) -> None:
    budgets.put(SWARM, Budget(amount=1.0, period_s=DAY, per_task=0.3))
    assert budgets.spending()[SWARM].left == 0.3
    budgets.reserve("d1", 0.9, [SWARM])
    assert budgets.spending()[SWARM].left == pytest.approx(0.1)


def test_a_new_period_begins_with_nothing_spent_and_settling_the_old_one_leaves_it_alone(budgets: BudgetStore) -> None:
    budgets.put(SWARM, Budget(amount=1.0, period_s=1.0))
    budgets.reserve("d1", 1.0, [SWARM])
    wait_until(lambda: budgets.spending()[SWARM].spent == 0.0, 30.0, "the next period")
    budgets.put(SWARM, Budget(amount=1.0, period_s=DAY))
    budgets.reserve("d2", 0.25, [SWARM])
    budgets.settle("d1", 0.0)
    assert budgets.spending()[SWARM].spent == pytest.approx(0.25)


def test_many_at_once_never_reserve_more_than_there_is(budgets: BudgetStore) -> None:
    budgets.put(SWARM, Budget(amount=1.0, period_s=1e9))
    refused: list[str | None] = []

    def spend(first: int) -> None:
        refused.extend(budgets.reserve(f"d{first + number}", 0.1, [SWARM]) for number in range(5))

    threads = [threading.Thread(target=spend, args=(5 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused.count(None) in (9, 10)  # ten tenths are one but for rounding
    assert budgets.spending()[SWARM].spent <= 1.0 + 1e-9


def test_a_budget_can_be_lifted(budgets: BudgetStore) -> None:
    budgets.put(SWARM, Budget(amount=0.0, period_s=DAY))
    assert budgets.reserve("d1", 0.1, [SWARM]) == SWARM
    assert budgets.remove(SWARM)
    assert not budgets.remove(SWARM)
    assert budgets.reserve("d1", 0.1, [SWARM]) is None
