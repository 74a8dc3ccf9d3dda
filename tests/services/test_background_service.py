"""What is due, and that each nudge is sent once: the services behind the workers' tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support import wait_until
from swarm_support import Report, some_outcome

from swarm.errors import StoreUnavailableError, UnknownIdError
from swarm.services.background import Background
from swarm.services.expire import OpenTasks
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.agents import AgentLook, AgentState
from swarm.store.connection import Client, clock_s
from swarm.wire.records import encode_trajectory


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
    wait_until(lambda: background.due() == ["a"], 30.0, "the outcome to be due")


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
    wait_until(lambda: background.sweep(inbox), 30.0, "the nudge to be sent again")
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


def open_tasks(swarm: Swarm, agent: str, ages_s: dict[str, float]) -> None:
    """Tasks that were begun so long ago by a process that is gone."""
    swarm.register(agent)
    now_s = clock_s(swarm.client)
    for name, age_s in ages_s.items():
        record = encode_trajectory(replace(some_outcome(1, agent), at_s=now_s - age_s))
        swarm.outcomes(agent).put_open(name, record)


def test_tasks_that_nobody_ended_within_their_time_go_and_the_others_stay(
    swarm: Swarm, background: Background, settings: Settings
) -> None:
    open_tasks(swarm, "a", {"old": settings.open_ttl + 5.0, "young": settings.open_ttl - 600.0})
    assert background.expire("a") == 1
    assert swarm.outcomes("a").get_open("old") is None
    assert swarm.outcomes("a").get_open("young") is not None
    [status] = swarm.status().agents
    assert (status.open, status.expired_open) == (1, 1)


def test_open_tasks_are_looked_through_once_an_hour_by_one_worker_and_only_where_any_are(
    swarm: Swarm, background: Background, settings: Settings, inbox: Inbox, client: Client
) -> None:
    open_tasks(swarm, "a", {"old": settings.open_ttl + 5.0})
    open_tasks(swarm, "idle", {})
    assert background.sweep(inbox) == 1
    assert inbox.empty() == [("expire", "a")]
    background.expire("a")
    open_tasks(swarm, "a", {"again": settings.open_ttl + 5.0})
    # Neither this worker nor another one, for which it is the first sweep.
    assert background.sweep(inbox) == Background(settings, client).sweep(inbox) == 0
    turn = swarm.keys.nudge(":open:a")
    assert 3_500_000 < client.pttl(turn) <= 3_600_000
    client.delete(turn)
    assert Background(settings, client).sweep(inbox) == 1
    assert inbox.empty() == [("expire", "a")]


def test_when_all_agents_are_due_at_once_they_are_nudged_little_by_little() -> None:
    looks = {f"a-{n}": AgentLook(state=AgentState(), open=n % 2, in_stream=0, oldest_ms=None) for n in range(500)}
    open_tasks = OpenTasks(600.0)
    rounds = [open_tasks.due(looks, float(now_s)) for now_s in (0, 1, 2, 3, 599, 600)]
    assert [len(names) for names in rounds] == [100, 100, 50, 0, 0, 100]
    assert {name for names in rounds[:3] for name in names} == {name for name, look in looks.items() if look.open}
    assert rounds[-1] == rounds[0]
