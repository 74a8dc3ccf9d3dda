"""Workers and Redis are killed while agents report: every outcome still takes effect exactly once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from support import PrivateRedis, wait_until
from swarm_support import EMBEDDER, TESTS, environment, make_swarm, outcomes_in
from workers_support import kill_workers

from swarm.errors import StoreUnavailableError
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.standing import Verdict
from swarm.store.connection import connect, redis_errors
from swarm.wire.event_types import LearnComplete
from swarm.wire.keys import EVENTS_LENGTH
from swarm_workers.pools import PoolManager

AGENTS = ("ann", "bob", "eve")
MAX_PENDING = 1000


@pytest.fixture
def settings(settings: Settings, own_redis: PrivateRedis) -> Settings:
    """Everything is due soon, a dead holder's lease does not last, and agents wait for workers that are behind."""
    return settings.model_copy(
        update={
            "redis_url": own_redis.url,
            "embedder": EMBEDDER,
            "consolidate_delay": 0.1,
            "sweep_interval": 0.1,
            "lease_ttl": 1.0,
            "socket_timeout": 2.0,
            "max_pending": MAX_PENDING,
        }
    )


@pytest.fixture
def pools(settings: Settings) -> Iterator[PoolManager]:
    with PoolManager(settings) as manager:
        try:
            yield manager
        finally:
            kill_workers(settings)


class Stream:
    """Agents at work in processes of their own."""

    def __init__(self, settings: Settings) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, str(TESTS / "programs" / "post_stream.py"), name, str(seed)],
                env=environment(settings) | {"SWARM_MAX_PENDING": str(settings.max_pending)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for seed, name in enumerate(AGENTS)
        ]
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def end(self) -> dict[str, list[str]]:
        """Let the agents finish; the idempotency keys of what each one reported."""
        printed = [process.communicate(timeout=60.0)[0] for process in self._processes]
        assert [process.returncode for process in self._processes] == [0] * len(AGENTS)
        return dict(zip(AGENTS, map(json.loads, printed), strict=True))

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10.0)


@pytest.fixture
def stream(settings: Settings) -> Iterator[Stream]:
    stream = Stream(settings)
    try:
        yield stream
    finally:
        stream.kill()


class Saboteur:
    """Kills what works, at moments that only the seed decides, in the middle of a consolidation."""

    def __init__(self, swarm: Swarm, pools: PoolManager, redis: PrivateRedis, seed: int) -> None:
        self._swarm, self._pools, self._redis = swarm, pools, redis
        self._rng = random.Random(seed)
        self._pid = pools.start("main", 2).pid
        self.in_the_middle = 0

    def kill_child(self) -> None:
        """One of the processes that run tasks; the worker replaces it."""
        self._await_work()
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._pid).children()
            if children:
                self._rng.choice(children).kill()

    def kill_worker(self) -> None:
        """The whole worker, which is then started again."""
        self._await_work()
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        wait_until(lambda: self._pools.list()[0].status == "dead", 30.0, "the worker to be dead")
        self.tend()

    def kill_redis(self) -> None:
        """Redis itself, which then reads its append-only file."""
        self._await_work()
        self._redis.kill()
        self._redis.start()

    def tend(self) -> None:
        """What looks after the pools on any host: a worker that died is started again.

        It may also have died by itself: kombu 5.7 stumbles over its own cleaning up when Redis goes away while
        messages are not acknowledged.
        """
        with suppress(StoreUnavailableError):
            if self._pools.list()[0].status == "dead":
                self._pid = self._pools.start("main", 2).pid

    def _await_work(self) -> None:
        """Some moment, of which only the seed knows how long it is, after progress was made and a lease taken."""
        before = self._processed()
        wait_until(lambda: self._processed() > before, 30.0, "a consolidation")
        wait_until(self._is_under_way, 30.0, "another one to begin")
        moment = time.monotonic() + self._rng.uniform(0.0, 0.05)
        wait_until(lambda: time.monotonic() > moment, 30.0, "the moment")
        self.in_the_middle += self._is_under_way()

    def _is_under_way(self) -> bool:
        keys = [self._swarm.keys.agent(name).lease for name in AGENTS]
        with suppress(StoreUnavailableError), redis_errors("look for leases"):
            return bool(self._swarm.client.exists(*keys))
        return False

    def _processed(self) -> int:
        self.tend()
        with suppress(StoreUnavailableError):
            return sum(state.processed for state in self._swarm.agents.states(AGENTS).values())
        # Redis has just begun to read its file.
        return 0


def test_whatever_is_killed_every_outcome_takes_effect_exactly_once(
    settings: Settings, own_redis: PrivateRedis, pools: PoolManager, stream: Stream
) -> None:
    swarm = make_swarm(settings, connect(settings))
    saboteur = Saboteur(swarm, pools, own_redis, seed=11)
    for sabotage in (
        saboteur.kill_child,
        saboteur.kill_redis,
        saboteur.kill_child,
        saboteur.kill_worker,
        saboteur.kill_child,
        saboteur.kill_redis,
        saboteur.kill_worker,
        saboteur.kill_child,
    ):
        sabotage()
    assert saboteur.in_the_middle >= 3
    posted = stream.end()
    believed = 0
    wait_until(lambda: is_settled(swarm), 40.0, "the last consolidation and merge")
    for name, keys in posted.items():
        state = swarm.agents.state(name)
        assert len(keys) > 100
        assert (state.accepted, state.processed, state.dead) == (len(keys), len(keys), 0)
        assert outcomes_in(swarm.agents.clusters(name)) == pytest.approx(len(keys))
        in_bank = [pattern.agents[name].n for pattern in swarm.bank.patterns() if name in pattern.agents]
        # The made-up outcomes hang on nothing that was tried: their agents may end in quarantine.
        is_silent = state.verdict is Verdict.QUARANTINED
        assert sum(in_bank) == (0 if is_silent else pytest.approx(len(keys)))
        believed += 0 if is_silent else len(keys)
        some = random.Random(0).sample(keys, 100)
        expected = ReceiptState.QUARANTINED if is_silent else ReceiptState.SEARCHABLE
        assert {swarm.receipt(name, key).state for key in some} == {expected}
    status = swarm.status()
    assert (status.pending, status.lost, status.unmerged_agents) == (0, 0, 0)
    assert outcomes_in(swarm.bank.patterns()) == pytest.approx(believed)
    for name in AGENTS:
        told = [event.body for event in swarm.events.latest("learn:complete", count=EVENTS_LENGTH)]
        generations = [one.generation for one in told if isinstance(one, LearnComplete) and one.agent == name]
        # Each once, and in order; the stream may be trimmed at its beginning.
        assert generations == list(range(generations[0], swarm.agents.state(name).generation + 1))


def is_settled(swarm: Swarm) -> bool:
    status = swarm.status()
    return not status.pending and not status.unmerged_agents
