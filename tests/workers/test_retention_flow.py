"""Backup, forgetting and expiry of a swarm at work: real workers, agents that report, tasks that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from retention_support import where
from support import wait_until
from swarm_support import EMBEDDER, a_registration, make_swarm, outcomes_in, some_outcome

from swarm.errors import UnknownIdError
from swarm.services.background import Background
from swarm.services.merge import bank_of
from swarm.services.receipts import ReceiptState
from swarm.services.restore import restore
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_trajectory
from swarm_agents import Agent
from swarm_workers.pools import PoolManager

SECRET = "the zebra crossed at dawn"
AGENTS = ("coder-1", "coder-2")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Everything is due soon."""
    return settings.model_copy(
        update={"embedder": EMBEDDER, "consolidate_delay": 0.1, "sweep_interval": 0.1, "lease_ttl": 5.0}
    )


@pytest.fixture
def swarm(settings: Settings, client: Client, manager: PoolManager) -> Swarm:
    """A swarm with a pool of workers."""
    made = make_swarm(settings, client)
    for agent in AGENTS:
        made.register(agent, "coder", a_registration().config)
    manager.start("main", 2)
    return made


@pytest.fixture
def copy(settings: Settings, client: Client) -> Iterator[Settings]:
    """Settings of a second swarm, which is erased after the test."""
    made = settings.model_copy(update={"name": f"{settings.name}-copy"})
    yield made
    erase_swarm(client, SwarmKeys(made.name))


class Life:
    """Calls each of some functions with 0, 1, 2, ... in a thread of its own, until the block ends."""

    def __init__(self, *works: Callable[[int], object]) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in works]
        self.failures: list[BaseException] = []

    def __enter__(self) -> Life:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[int], object]) -> None:
        number = 0
        try:
            while not self._stop.wait(0.005):
                work(number)
                number += 1
        except BaseException as error:
            self.failures.append(error)


def reports(settings: Settings, agent: str) -> Callable[[int], object]:
    swarm = make_swarm(settings, connect(settings))
    return lambda number: swarm.record(some_outcome(number, agent), f"{agent}-{number}")


def tasks(settings: Settings) -> Callable[[int], object]:
    """Submits, and ends one task in two, well or badly."""
    swarm = make_swarm(settings, connect(settings))
    store = swarm.tasks.store

    def work(number: int) -> None:
        swarm.submit(f"task {number}", role="coder", idempotency_key=f"{number}")
        claimed = store.claim("coder", f"t{number}", "worker", 60.0) if number % 2 else None
        if claimed is not None and number % 4 == 1:
            store.succeed(claimed.id, f"t{number}", b"\xc0")
        elif claimed is not None:
            store.fail(claimed.id, f"t{number}", "broken", again=False)

    return work


def generations(swarm: Swarm, more: int) -> Callable[[], bool]:
    """Whether every agent has so many generations more than now."""
    before = {agent: swarm.agents.state(agent).generation for agent in AGENTS}
    return lambda: all(swarm.agents.state(agent).generation >= before[agent] + more for agent in AGENTS)


def test_a_backup_while_all_write_is_a_state_that_the_swarm_could_be_in(
    swarm: Swarm, settings: Settings, copy: Settings, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "swarm.backup"
    with Life(*(reports(settings, agent) for agent in AGENTS), tasks(settings)) as life:
        wait_until(generations(swarm, 2), 60.0, "a few generations")
        for _ in range(2):
            done = swarm.backup(file)
            wait_until(generations(swarm, 1), 60.0, "life to go on")
    assert life.failures == []
    restore(file, settings, copy.name)
    other = make_swarm(copy, client)
    status = other.status()
    assert status.lost == 0
    assert sum(agent.accepted for agent in status.agents) == done.outcomes > 0
    for agent in status.agents:
        assert agent.accepted == agent.consolidated + agent.pending + agent.dead + agent.rewound
        assert (
            len(list(client.scan_iter(match=other.keys.agent(agent.name).receipt("*"), count=1000))) == agent.accepted
        )
        assert outcomes_in(other.agents.clusters(agent.name)) == pytest.approx(agent.consolidated)
        waiting = other.outcomes(agent.name).read_after(other.agents.state(agent.name).cursor, 100_000)
        assert len(waiting) == agent.pending
    # Every task is where the counts say; nothing is claimed that has no record.
    [counts] = other.tasks.store.counts()
    assert counts.lost == 0
    assert client.hlen(other.keys.live_tasks) == counts.waiting + counts.running == client.hlen(other.keys.task_records)
    assert client.zcard(other.keys.running) == client.hlen(other.keys.claims) == counts.running
    assert client.zcard(other.keys.queued("coder")) == client.zcard(other.keys.waiting("coder")) == counts.waiting
    assert client.zcard(other.keys.dead_tasks) == counts.dead
    assert all(other.tasks.find(task) for task in other.tasks.store.dead(100_000))
    # And with the rest learned, the bank is what its agents' generations make.
    Background(copy, client).drain(0.0)
    parts = {name: other.agents.clusters(name) for name in other.agents.names()}
    verdicts = {name: state.verdict for name, state in other.agents.states(parts).items()}
    assert {p.id: p.n for p in bank_of(parts, verdicts)} == {p.id: p.n for p in other.bank.patterns()}
    assert outcomes_in([cluster for part in parts.values() for cluster in part]) == done.outcomes
    assert other.status().lost == 0


def test_an_agent_that_is_forgotten_while_it_works_is_gone_and_may_come_back(
    swarm: Swarm, settings: Settings, client: Client
) -> None:
    agent = Agent("zoe", role="coder", swarm=make_swarm(settings, connect(settings)), refresh_interval=3600.0)
    receipts = []

    def work(number: int) -> None:
        advice = agent.before_task(f"{SECRET} {number}")
        receipts.append(agent.after_task(advice.trajectory_id, success=number % 3 > 0, output=f"{SECRET} {number % 5}"))

    with Life(work, reports(settings, "coder-1"), reports(settings, "coder-2")) as life:
        wait_until(lambda: swarm.agents.state("zoe").generation >= 2, 60.0, "a few generations")
        wait_until(lambda: any("zoe" in p.agents for p in swarm.bank.patterns()), 60.0, "the merge")
        swarm.forget(agent="zoe")
        # It does not know, and goes on; workers and the others do, too.
        forgotten = len(receipts)
        wait_until(lambda: len(receipts) > forgotten + 10, 60.0, "more outcomes")
        wait_until(generations(swarm, 1), 60.0, "life to go on")
    assert life.failures == []
    assert receipts[-1].state is ReceiptState.FORGOTTEN
    assert where(client, swarm.keys, SECRET) == []
    assert "zoe" not in swarm.agents.names()
    agent.refresh()
    advice = agent.before_task("something new")
    assert agent.after_task(advice.trajectory_id, success=True, output="fine").state is ReceiptState.ACCEPTED
    wait_until(lambda: swarm.agents.state("zoe").pending == 0, 60.0, "its first outcome to be learned")
    [status] = [one for one in swarm.status().agents if one.name == "zoe"]
    assert (status.accepted, status.consolidated, status.lost) == (1, 1, 0)
    assert where(client, swarm.keys, SECRET) == []
    agent.close()


def test_workers_let_an_idle_agent_s_patterns_expire(swarm: Swarm) -> None:
    for number in range(5):
        outcome = replace(some_outcome(number, "coder-1"), quality=1.0, at_s=time.time() - 86_400.0)
        swarm.record(outcome, outcome.id)
    wait_until(lambda: swarm.bank.count() > 0, 60.0, "the merge")
    swarm.set_retention(ttl_s=3_600.0)
    wait_until(lambda: swarm.bank.count() == 0, 60.0, "the bank to age")
    wait_until(lambda: swarm.agents.clusters("coder-1") == [], 60.0, "the agent's clusters to go")
    assert swarm.retention().expired > 0


def test_workers_let_tasks_go_that_nobody_ends_though_no_process_has_their_agent(
    swarm: Swarm, settings: Settings
) -> None:
    begun_s = time.time() - settings.open_ttl
    for name, at_s in (("old", begun_s - 60.0), ("young", begun_s + 600.0)):
        record = encode_trajectory(replace(some_outcome(1, "coder-2"), id=name, at_s=at_s))
        swarm.outcomes("coder-2").put_open(name, record)
    wait_until(lambda: swarm.agents.state("coder-2").expired_open == 1, 60.0, "the old task to be let go")
    agent = Agent("coder-2", swarm=swarm)
    with pytest.raises(UnknownIdError):
        agent.after_task("old", success=True)
    assert agent.after_task("young", success=True).state is ReceiptState.ACCEPTED
    agent.close()
