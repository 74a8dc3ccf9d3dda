"""Whose turn the sweep of the tasks is, and how many nudges it sends; without workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import wait_until
from swarm_support import make_swarm

from swarm.errors import StoreUnavailableError
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.reply import to_text
from swarm.wire.keys import SwarmKeys
from swarm_workers.app import create_app
from swarm_workers.dispatch import Dispatcher
from swarm_workers.task_sweep import MAX_NUDGES, TaskSweeper


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"sweep_interval": 0.2})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


def sweeper(settings: Settings, client: Client, worker: str = "a@x", role: str = "") -> TaskSweeper:
    return TaskSweeper(settings, client, Dispatcher(create_app(settings, role), 1.0), worker)


def nudges(settings: Settings, client: Client, role: str) -> list[str]:
    """What each nudge says: the arguments of the message."""
    keys = SwarmKeys(settings.name)
    found = client.lrange(keys.broker_prefix + keys.role_queue(role), 0, -1)
    return [to_text(message) for message in found]


def test_each_task_that_waits_gets_a_nudge_in_the_queue_of_its_role(
    settings: Settings, client: Client, swarm: Swarm
) -> None:
    for role, count in (("coder", 2), ("tester", 1)):
        for _ in range(count):
            swarm.submit("x", role=role)
    # It does not hang on whose tasks the worker itself does.
    assert sweeper(settings, client, role="tester").sweep() == 3
    assert (len(nudges(settings, client, "coder")), len(nudges(settings, client, "tester"))) == (2, 1)
    assert not client.llen(SwarmKeys(settings.name).broker_queue)
    assert all('"swarm.run"' in nudge for nudge in nudges(settings, client, "coder"))


def test_nudges_that_wait_already_are_counted_and_bounded(settings: Settings, client: Client, swarm: Swarm) -> None:
    sweep = sweeper(settings, client).sweep
    swarm.submit("x", role="coder")
    assert sweep() == 1
    for _ in range(MAX_NUDGES + 5):
        swarm.submit("x", role="coder")
    assert wait_until(sweep, 30.0, "the next turn") == MAX_NUDGES - 1
    assert len(nudges(settings, client, "coder")) == MAX_NUDGES


def test_one_sweep_in_each_interval_whoever_makes_it(settings: Settings, client: Client, swarm: Swarm) -> None:
    mine = settings.model_copy(update={"sweep_interval": 5.0})
    first, second = sweeper(mine, client), sweeper(mine, client, "b@x")
    swarm.submit("x", role="coder")
    assert first.sweep() == 1
    swarm.submit("x", role="coder")
    assert (first.sweep(), second.sweep()) == (0, 0)
    client.delete(SwarmKeys(settings.name).nudge(":tasks"))
    assert second.sweep() == 1


def test_the_ledger_is_tended_before_the_nudges_are_counted(settings: Settings, client: Client, swarm: Swarm) -> None:
    swarm.submit("x", role="coder")
    task = swarm.tasks.claim("coder", "w", 60.0)
    assert task is not None
    sweep = sweeper(settings, client).sweep
    assert sweep() == 0
    client.zadd(SwarmKeys(settings.name).running, {task.id: 1.0})
    assert wait_until(sweep, 30.0, "the next turn") == 1


def test_without_redis_it_is_one_clear_error(settings: Settings, tmp_path: Path) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock"})
    with pytest.raises(StoreUnavailableError, match="cannot take a turn at the tasks"):
        sweeper(away, connect(away)).sweep()
