"""The flow with real workers: outcomes in, generations out, whatever is killed or lost between."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest
from support import PrivateRedis, wait_until
from workers_support import put_outcomes, stop_consuming

from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import Client, connect
from swarm.wire.keys import SwarmKeys
from swarm_workers.broker import queue_key
from swarm_workers.pools import PoolManager

Children = Callable[[int], list[psutil.Process]]
MANY = 2_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Everything is due soon, and a dead holder's lease does not last."""
    return settings.model_copy(update={"consolidate_delay": 0.1, "sweep_interval": 0.1, "lease_ttl": 1.0})


@pytest.fixture
def patient(manager: PoolManager, settings: Settings, client: Client) -> PoolManager:
    """A manager whose workers begin when all of `MANY` outcomes are there."""
    return PoolManager(settings.model_copy(update={"consolidate_delay": 3600.0, "consolidate_batch": MANY}), client)


@pytest.fixture
def agents(client: Client, settings: Settings) -> AgentStore:
    return AgentStore(client, SwarmKeys(settings.name))


def assert_each_took_effect_once(agents: AgentStore, agent: str, count: int) -> None:
    state = agents.state(agent)
    assert (state.accepted, state.processed, state.dead) == (count, count, 0)
    assert sum(cluster.n for cluster in agents.clusters(agent)) == pytest.approx(count)


def test_the_sweep_finds_waiting_outcomes_and_a_worker_consolidates_and_merges_them(
    manager: PoolManager, agents: AgentStore, client: Client, settings: Settings
) -> None:
    manager.start("main", 1)
    put_outcomes(settings, client, "coder-1", 20)
    put_outcomes(settings, client, "coder-2", 5)
    wait_until(lambda: agents.state("coder-1").pending == agents.state("coder-2").pending == 0, 20.0, "consolidation")
    assert_each_took_effect_once(agents, "coder-1", 20)
    assert_each_took_effect_once(agents, "coder-2", 5)
    wait_until(lambda: client.hlen(SwarmKeys(settings.name).bank) > 0, 20.0, "the merge")


def test_a_nudge_lost_by_the_broker_costs_delay_only(
    manager: PoolManager, agents: AgentStore, client: Client, settings: Settings
) -> None:
    manager.start("main", 1)
    stop_consuming(settings, "main")
    wait_until(lambda: manager.list()[0].status == "draining", 30.0, "the pool to take no more tasks")
    put_outcomes(settings, client, "coder-1", 3)
    wait_until(lambda: client.llen(queue_key(settings)) == 1, 30.0, "the nudge")
    client.delete(queue_key(settings))
    assert manager.start("main", 1).status == "running"
    assert agents.state("coder-1").pending == 3
    wait_until(lambda: agents.state("coder-1").pending == 0, 30.0, "the next nudge")
    assert_each_took_effect_once(agents, "coder-1", 3)


def test_a_child_killed_in_the_middle_of_a_task_loses_and_doubles_nothing(
    patient: PoolManager, agents: AgentStore, client: Client, settings: Settings, children: Children
) -> None:
    state = patient.start("main", 1)
    (child,) = children(state.pid)
    put_outcomes(settings, client, "coder-1", MANY)
    wait_until(lambda: client.exists(SwarmKeys(settings.name).agent("coder-1").lease), 20.0, "the task to begin")
    child.kill()
    assert agents.state("coder-1").processed == 0
    wait_until(lambda: agents.state("coder-1").pending == 0, 30.0, "another child to do it")
    assert_each_took_effect_once(agents, "coder-1", MANY)
    assert patient.list()[0].pid == state.pid


def test_a_worker_killed_in_the_middle_of_a_task_loses_and_doubles_nothing(
    patient: PoolManager, agents: AgentStore, client: Client, settings: Settings
) -> None:
    state = patient.start("main", 1)
    put_outcomes(settings, client, "coder-1", MANY)
    wait_until(lambda: client.exists(SwarmKeys(settings.name).agent("coder-1").lease), 20.0, "the task to begin")
    os.killpg(state.pid, signal.SIGKILL)
    wait_until(lambda: patient.list()[0].status == "dead", 30.0, "the worker to be dead")
    assert agents.state("coder-1").processed == 0
    patient.start("main", 1)
    wait_until(lambda: agents.state("coder-1").pending == 0, 30.0, "the new worker to do it")
    assert_each_took_effect_once(agents, "coder-1", MANY)


def test_redis_killed_in_the_middle_of_a_task_loses_and_doubles_nothing(
    settings: Settings, own_redis: PrivateRedis
) -> None:
    mine = settings.model_copy(
        update={"redis_url": own_redis.url, "consolidate_delay": 3600.0, "consolidate_batch": MANY}
    )
    with PoolManager(mine) as manager, connect(mine) as client:
        state = manager.start("main", 1)
        put_outcomes(mine, client, "coder-1", MANY)
        wait_until(lambda: client.exists(SwarmKeys(mine.name).agent("coder-1").lease), 20.0, "the task to begin")
        own_redis.kill()
        own_redis.start()
        agents = AgentStore(client, SwarmKeys(mine.name))
        wait_until(lambda: agents.state("coder-1").pending == 0, 40.0, "the task to be done")
        assert_each_took_effect_once(agents, "coder-1", MANY)
        assert manager.list()[0].pid == state.pid


def test_a_worker_told_to_end_finishes_its_task_and_is_draining_meanwhile(
    patient: PoolManager, agents: AgentStore, client: Client, settings: Settings, children: Children
) -> None:
    state = patient.start("main", 1)
    (child,) = children(state.pid)
    put_outcomes(settings, client, "coder-1", MANY)
    wait_until(lambda: client.exists(SwarmKeys(settings.name).agent("coder-1").lease), 20.0, "the task to begin")
    child.suspend()
    wait_until(lambda: patient.list()[0].active == 1, 30.0, "the task to be seen")
    os.kill(state.pid, signal.SIGTERM)
    wait_until(lambda: patient.list()[0].status == "draining", 30.0, "the worker to drain")
    seen_s = time.time()
    wait_until(lambda: patient.list()[0].beat_s > seen_s, 30.0, "another heartbeat")
    assert patient.list()[0].active == 1
    child.resume()
    wait_until(lambda: patient.list()[0].status == "dead", 20.0, "the worker to end")
    assert not client.hexists(SwarmKeys(settings.name).workers, state.worker)


def test_draining_one_of_two_pools_leaves_the_rest_to_the_other(
    manager: PoolManager, agents: AgentStore, client: Client, settings: Settings
) -> None:
    manager.start("one", 1)
    manager.start("two", 1)
    for number in range(10):
        put_outcomes(settings, client, f"coder-{number}", 20)
    manager.drain("one")
    assert [state.pool for state in manager.list()] == ["two"]
    wait_until(lambda: all(s.pending == 0 for s in agents.states(agents.names()).values()), 30.0, "all of it")
    for number in range(10):
        assert_each_took_effect_once(agents, f"coder-{number}", 20)


def test_an_agent_with_few_outcomes_does_not_wait_for_one_with_many(
    manager: PoolManager, agents: AgentStore, client: Client, settings: Settings
) -> None:
    put_outcomes(settings, client, "noisy", 4_100)
    put_outcomes(settings, client, "quiet", 3)
    manager.start("main", 1)
    behind: list[int] = []

    def quiet_is_done() -> bool:
        behind.append(agents.state("noisy").pending)
        return agents.state("quiet").pending == 0

    wait_until(quiet_is_done, 60.0, "the quiet agent's outcomes")
    assert behind[-1] > 0
