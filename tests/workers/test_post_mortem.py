"""What ended in no process's hands is told to its agent once, and leaves nothing open; without Celery."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from swarm_support import EMBEDDER, make_swarm

from swarm.services.swarm import Swarm
from swarm.services.tasks import ClaimedTask
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.wire.records import decode_trajectory
from swarm_cli.worker_agents import make_agents
from swarm_workers.hooks import Agents, Hooks
from swarm_workers.plan import RolePlan
from swarm_workers.post_mortem import tell_agents

PLAN = RolePlan(role="coder", handlers=("role_handlers",), agent="ada")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def agents(settings: Settings) -> Iterator[Agents]:
    yield from played(settings)


@pytest.fixture
def other(settings: Settings) -> Iterator[Agents]:
    """The agents of another process, which is gone by then."""
    yield from played(settings)


def played(settings: Settings) -> Iterator[Agents]:
    made = Agents(make_agents(settings))
    yield made
    for agent in made.all():
        agent.close()


def begin(swarm: Swarm, other: Agents, **options: object) -> ClaimedTask:
    """A task that a process has begun."""
    swarm.submit("rename a column", role="coder", **{"max_attempts": 1, **options})  # type: ignore[arg-type]
    return take(swarm, other)


def take(swarm: Swarm, other: Agents) -> ClaimedTask:
    claimed = swarm.tasks.claim("coder", "worker-1", 60.0)
    assert claimed is not None
    Hooks(other, "ada", claimed).before()
    assert still_open(swarm) == 1
    return claimed


def die(swarm: Swarm, claimed: ClaimedTask) -> str:
    """What the task is when its lease has run out."""
    swarm.client.zadd(swarm.keys.running, {claimed.id: 1.0})
    return swarm.tasks.sweep()[claimed.id]


def outcomes(swarm: Swarm) -> list[tuple[str, float]]:
    entries = swarm.outcomes("ada").read_after("0-0", 100)
    return [(one.id, one.quality) for one in (decode_trajectory(record) for _, record in entries)]


def still_open(swarm: Swarm) -> int:
    return swarm.client.hlen(swarm.keys.agent("ada").open)


def test_a_death_is_reported_once_however_often_it_is_told(swarm: Swarm, agents: Agents, other: Agents) -> None:
    claimed = begin(swarm, other)
    assert die(swarm, claimed) == "dead"
    assert tell_agents(swarm.tasks, agents, PLAN) == 1
    assert (outcomes(swarm), still_open(swarm)) == ([(claimed.id, 0.0)], 0)
    assert tell_agents(swarm.tasks, agents, PLAN) == 0
    # As if the process had been killed before it could note that.
    swarm.client.zadd(swarm.keys.unreported("coder"), {claimed.id: 1.0})
    assert tell_agents(swarm.tasks, agents, PLAN) == 1
    assert (len(outcomes(swarm)), still_open(swarm)) == (1, 0)


def test_it_is_reported_too_where_the_last_attempt_has_left_nothing(
    swarm: Swarm, agents: Agents, other: Agents
) -> None:
    claimed = begin(swarm, other, max_attempts=3, backoff=100.0)
    hooks = Hooks(other, "ada", claimed)
    hooks.before()
    hooks.abandon()
    swarm.tasks.fail(claimed, "it broke", retry=True)
    assert still_open(swarm) == 0
    # As if its deadline had passed now.
    swarm.client.zadd(swarm.keys.unreported("coder"), {claimed.id: 1.0})
    tell_agents(swarm.tasks, agents, PLAN)
    assert (outcomes(swarm), still_open(swarm)) == ([(claimed.id, 0.0)], 0)


def test_a_success_that_was_reported_before_the_death_stays_one(swarm: Swarm, agents: Agents, other: Agents) -> None:
    claimed = begin(swarm, other)
    agent = other.get("ada", "coder")
    assert agent is not None
    agent.after_task(
        claimed.report_key,
        quality=1.0,
        used=None,
        output="done",
        route="",
        latency_ms=1.0,
        cost=0.0,
        idempotency_key=claimed.report_key,
    )
    assert die(swarm, claimed) == "dead"
    tell_agents(swarm.tasks, agents, PLAN)
    assert outcomes(swarm) == [(claimed.id, 1.0)]


@pytest.mark.parametrize("how", ["cancelled", "dropped", "judged by others"])
def test_what_is_no_failure_of_the_agent_is_closed_and_not_reported(
    swarm: Swarm, agents: Agents, other: Agents, how: str
) -> None:
    claimed = begin(swarm, other, report=how != "judged by others")
    if how == "cancelled":
        swarm.tasks.cancel(claimed.id)
    die(swarm, claimed)
    if how == "dropped":
        swarm.tasks.drop(claimed.id)
    assert tell_agents(swarm.tasks, agents, PLAN) == 1
    assert (outcomes(swarm), still_open(swarm)) == ([], 0)


def test_each_replay_has_its_own_report(swarm: Swarm, agents: Agents, other: Agents) -> None:
    claimed = begin(swarm, other)
    die(swarm, claimed)
    swarm.tasks.replay(claimed.id)
    again = swarm.tasks.claim("coder", "worker-1", 60.0)
    assert again is not None
    die(swarm, again)
    assert tell_agents(swarm.tasks, agents, PLAN) == 2
    assert sorted(outcomes(swarm)) == [(claimed.id, 0.0), (f"{claimed.id}.1", 0.0)]


def test_an_agent_that_cannot_be_told_is_told_later(
    swarm: Swarm, agents: Agents, other: Agents, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str, role: str) -> object:
        raise RuntimeError("no agent today")

    claimed = begin(swarm, other)
    die(swarm, claimed)
    assert tell_agents(swarm.tasks, Agents(broken), PLAN) == 0  # type: ignore[arg-type]
    assert "cannot be reported now: RuntimeError" in caplog.text
    assert "no agent today" not in caplog.text
    assert swarm.tasks.unreported("coder") == []
    swarm.client.zadd(swarm.keys.unreported("coder"), {claimed.id: 1.0}, xx=True)
    assert tell_agents(swarm.tasks, agents, PLAN) == 1
    assert outcomes(swarm) == [(claimed.id, 0.0)]


def test_without_agents_nothing_is_kept_for_them(swarm: Swarm, other: Agents) -> None:
    die(swarm, begin(swarm, other))
    assert tell_agents(swarm.tasks, Agents(None), PLAN) == 1
    assert swarm.tasks.unreported("coder") == []
