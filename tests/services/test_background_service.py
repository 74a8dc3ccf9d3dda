"""What is due, and that each nudge is sent once: the services behind the workers' tasks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import wait_until
from swarm_support import Report

from swarm.errors import StoreUnavailableError, UnknownIdError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client


class Inbox:
    """Takes the nudges that a sweep dispatches."""

    def __init__(self) -> None:
        self.nudges: list[tuple[str, str]] = []

    def __call__(self, task: str, agent: str) -> None:
        self.nudges.append((task, agent))

    def empty(self) -> list[tuple[str, str]]:
        taken, self.nudges = self.nudges, []
        return taken


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def patient(settings: Settings, **changes: float) -> Settings:
    return settings.model_copy(update={"consolidate_delay": 3600.0, "consolidate_batch": 10} | changes)


def test_nothing_is_due_in_an_idle_swarm(swarm: Swarm, background: Background, report: Report, inbox: Inbox) -> None:
    assert background.sweep(inbox) == 0
    swarm.register("a")
    assert background.sweep(inbox) == 0
    report("a", 0, 3)
    background.drain(0.0)
    assert background.sweep(inbox) == 0
    assert inbox.empty() == []


def test_a_full_batch_is_due_at_once(settings: Settings, client: Client, report: Report) -> None:
    background = Background(patient(settings), client)
    report("a", 0, 9)
    assert background.due() == []
    report("a", 9, 10)
    assert background.due() == ["a"]


def test_an_outcome_that_has_waited_is_due(settings: Settings, client: Client, report: Report) -> None:
    background = Background(patient(settings, consolidate_delay=0.2), client)
    report("a", 0, 1)
    wait_until(lambda: background.due() == ["a"], 5.0, "the outcome to be due")


def test_the_delay_begins_anew_behind_the_cursor(settings: Settings, client: Client, report: Report) -> None:
    quick, slow = Background(settings, client), Background(patient(settings), client)
    report("a", 0, 5)
    quick.drain(0.0)
    report("a", 5, 6)
    assert slow.due() == []
    assert quick.due() == ["a"]


def test_a_sweep_nudges_each_agent_that_is_due_and_the_merge(
    background: Background, report: Report, inbox: Inbox
) -> None:
    report("a", 0, 1)
    report("b", 0, 1)
    assert background.sweep(inbox) == 2
    assert inbox.empty() == [("consolidate", "a"), ("consolidate", "b")]
    background.consolidate("a", "worker", 0.0)
    assert background.sweep(inbox) == 1
    assert inbox.empty() == [("merge", "")]


def test_a_nudge_on_its_way_is_not_sent_again_until_its_task_has_ended(
    background: Background, report: Report, inbox: Inbox
) -> None:
    report("a", 0, 1)
    assert background.sweep(inbox) == 1
    assert background.sweep(inbox) == 0
    background.consolidate("a", "worker", 0.0)
    report("a", 1, 2)
    assert inbox.empty() == [("consolidate", "a")]
    assert background.sweep(inbox) == 2
    assert inbox.empty() == [("consolidate", "a"), ("merge", "")]


def test_a_nudge_that_got_lost_is_sent_again(
    swarm: Swarm, background: Background, report: Report, inbox: Inbox, client: Client
) -> None:
    report("a", 0, 1)
    background.sweep(inbox)
    nudge = swarm.keys.nudge("a")
    assert 0 < client.pttl(nudge) <= 10_000
    client.pexpire(nudge, 1)
    wait_until(lambda: background.sweep(inbox), 5.0, "the nudge to be sent again")
    assert inbox.empty() == [("consolidate", "a")] * 2


def test_a_nudge_that_could_not_be_sent_is_not_taken(background: Background, report: Report, inbox: Inbox) -> None:
    def broken(task: str, agent: str) -> None:
        raise StoreUnavailableError("the broker is away")

    report("a", 0, 1)
    with pytest.raises(StoreUnavailableError):
        background.sweep(broken)
    assert background.sweep(inbox) == 1


@pytest.mark.parametrize("held", [True, False])
def test_a_task_ends_its_nudge_whatever_came_of_it(
    swarm: Swarm, background: Background, report: Report, inbox: Inbox, held: bool
) -> None:
    report("a", 0, 1)
    lease = swarm.agents.lease("a", 30.0) if held else None
    background.sweep(inbox)
    assert background.consolidate("a", "worker", 0.0)["status"] == ("busy" if lease else "committed")
    assert not swarm.client.exists(swarm.keys.nudge("a"))
    with pytest.raises(UnknownIdError):
        background.consolidate("nobody", "worker", 0.0)


def test_the_reports_are_plain_values(background: Background, report: Report) -> None:
    report("a", 0, 1)
    consolidated, merged = background.consolidate("a", "worker-1", 7.0), background.merge("worker-1", 8.0)
    for found in (consolidated, merged):
        assert all(isinstance(value, int | float | str | bool) for value in found.values())
    assert (consolidated["worker"], consolidated["at_s"], merged["at_s"]) == ("worker-1", 7.0, 8.0)


def test_without_redis_each_call_is_one_clear_error(settings: Settings, inbox: Inbox) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{settings.state_dir}/none.sock"})
    background = Background(away)
    calls: list[Callable[[], object]] = [
        lambda: background.sweep(inbox),
        lambda: background.consolidate("a", "worker", 0.0),
        lambda: background.merge("worker", 0.0),
        background.due,
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError):
            call()
    assert inbox.empty() == []
