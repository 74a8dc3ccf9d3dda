"""The workers of the role `trainer` embed the texts of a training file, whatever becomes of them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from swarm_support import DIM, EMBEDDER, make_swarm

from swarm.embed.parts import Embedded
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client, clock_s
from swarm.store.workers import PoolRecord, WorkerBeat, WorkerRegistry
from swarm_agents.training import train_examples
from swarm_agents.training.vectors import PATIENCE_S, ROLE, LocalEmbedding, PoolEmbedding, has_trainers
from swarm_workers.attempt import Attempt
from swarm_workers.embedding import embed
from swarm_workers.hooks import Agents

BEAT = WorkerBeat(
    name="w@here",
    pool="w",
    host="here",
    pid=1,
    concurrency=1,
    active=0,
    reserved=0,
    done=0,
    consuming=True,
    started_s=0.0,
    beat_s=0.0,
    reconnects=0,
    outages=0,
    fault="",
)
TEXTS = [f"parse line {number}" for number in range(600)]


@pytest.fixture
def swarm(settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch) -> Swarm:
    monkeypatch.setenv("SWARM_EMBEDDER", EMBEDDER)
    return make_swarm(settings, client)


class Worker:
    """Does the tasks of the role as a pool's process does, in a thread; the first claim is of one that dies with it."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm, self._over = swarm, threading.Event()
        self.done = 0
        self.doomed = swarm.tasks.claim(ROLE, "killed", 0.2)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._over.wait(0.01):
            self._swarm.tasks.sweep()
            if (claimed := self._swarm.tasks.claim(ROLE, "worker-1", 5.0)) is not None:
                Attempt(self._swarm.tasks, claimed, embed, Agents(None), ROLE, lease=5.0, kill=lambda: None).run()
                self.done += 1

    def end(self) -> None:
        self._over.set()
        self._thread.join(10.0)


@pytest.fixture
def local(swarm: Swarm) -> Embedded:
    embedding = LocalEmbedding(swarm)
    embedding.begin("k", TEXTS)
    return embedding.finish()


@pytest.fixture
def pooled(swarm: Swarm) -> PoolEmbedding:
    embedding = PoolEmbedding(swarm, patience_s=20.0)
    embedding.begin("k", TEXTS)
    return embedding


def test_a_worker_that_dies_costs_time_and_the_vectors_are_the_same_bytes(
    swarm: Swarm, local: Embedded, pooled: PoolEmbedding
) -> None:
    worker = Worker(swarm)
    try:
        found = pooled.finish()
    finally:
        worker.end()
    assert worker.doomed is not None
    assert swarm.tasks.find(worker.doomed.id).status.attempts == 2
    assert (worker.done, pooled.done_here) == (3, 0)
    assert found.vectors.tobytes() == local.vectors.tobytes()
    assert found.vectors.shape == (600, DIM)
    # What was fetched is not kept for a week, and nobody learned from it.
    assert all(0 < swarm.client.pttl(key) <= 60_000 for key in swarm.client.scan_iter(match=swarm.keys.task("*")))
    assert swarm.agents.names() == []


def test_what_no_worker_does_the_trainer_does(swarm: Swarm, local: Embedded) -> None:
    pooled = PoolEmbedding(swarm, patience_s=0.05)
    pooled.begin("k", TEXTS)
    assert pooled.finish().vectors.tobytes() == local.vectors.tobytes()
    assert pooled.done_here == 3
    [counts] = [counts for counts in swarm.tasks.counts() if counts.role == ROLE]
    assert (counts.submitted, counts.cancelled) == (3, 3)
    # Nobody is there: the next ones are not even sent out.
    pooled.begin("l", TEXTS)
    assert pooled.finish().vectors.tobytes() == local.vectors.tobytes()
    assert pooled.done_here == 6
    assert swarm.tasks.counts()[0].submitted == 3


def test_only_workers_of_the_role_that_live_or_sleep_are_waited_for(swarm: Swarm) -> None:
    registry = WorkerRegistry(swarm.client, swarm.keys)
    assert not has_trainers(swarm)
    # Nobody is there: who waited for a worker would wait for a minute.
    begun = time.monotonic()
    report = train_examples(swarm, "coder-1", [{"task": "a b", "output": "c", "reward": 1}], spread=True)
    assert (report.embedded_here, swarm.tasks.counts()) == (1, ())
    assert time.monotonic() - begun < PATIENCE_S / 2
    now_s = clock_s(swarm.client)
    for role, beat_s, is_there in (("coder", now_s, False), (ROLE, now_s, True), (ROLE, now_s - 60.0, False)):
        registry.beat(replace(BEAT, role=role, beat_s=beat_s))
        assert has_trainers(swarm) is is_there
    # One without processes wakes up when there is something to do.
    registry.put_pool(PoolRecord(pool=ROLE, host="here", pid=0, started_s=0.0, concurrency=0, log="", role=ROLE))
    assert has_trainers(swarm)


def test_a_worker_with_another_embedder_is_asked_once(
    swarm: Swarm, local: Embedded, pooled: PoolEmbedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARM_EMBEDDER", "hashed:64")
    worker = Worker(swarm)
    try:
        assert pooled.finish().vectors.tobytes() == local.vectors.tobytes()
    finally:
        worker.end()
    assert pooled.done_here == 3
    whys = {task.status.why for task in swarm.tasks.dead()}
    assert whys == {"embedder must be hashed@1 (32-d), this worker has hashed@1 (64-d) (SWARM_EMBEDDER)"}
