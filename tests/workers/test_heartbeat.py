"""The heartbeat of real workers while Redis is killed, frozen, or the worker goes deaf."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support import PrivateRedis, wait_until

from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.workers import WorkerBeat, WorkerRegistry
from swarm.wire.keys import SwarmKeys
from swarm_workers import processes
from swarm_workers.app import create_app
from swarm_workers.broker import queue_key
from swarm_workers.dispatch import Dispatcher
from swarm_workers.pools import PoolManager

Children = Callable[[int], list[psutil.Process]]

# Alive and deaf: what a worker becomes without remote control when Redis restarts while it is at work.
WITHOUT_REMOTE_CONTROL = """
from swarm_workers.entry import app
app.conf.worker_enable_remote_control = False
app.worker_main(["worker", "-n", "deaf@here", "--pool", "prefork", "-c", "1", "--loglevel", "WARNING",
                 "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


@dataclass(frozen=True)
class Own:
    """A swarm on a Redis of its own."""

    settings: Settings
    redis: PrivateRedis
    client: Client
    registry: WorkerRegistry

    def beat_after(self, worker: str, moment_s: float) -> WorkerBeat:
        """The first heartbeat written after a moment."""

        def fresh() -> WorkerBeat | None:
            beat = self.registry.last(worker)
            return beat if beat is not None and beat.beat_s > moment_s else None

        return wait_until(fresh, 30.0, f"a heartbeat of {worker}")  # type: ignore[return-value]

    def nudge(self) -> None:
        """Send a task that has nothing to do."""
        dispatch = Dispatcher(create_app(self.settings), 1.0)
        dispatch("merge", "")
        dispatch.close()


@pytest.fixture
def own(settings: Settings, own_redis: PrivateRedis) -> Iterator[Own]:
    # No sweep of its own may send what the tests count.
    mine = settings.model_copy(update={"redis_url": own_redis.url, "sweep_interval": 60.0})
    with connect(mine) as client:
        yield Own(mine, own_redis, client, WorkerRegistry(client, SwarmKeys(mine.name)))


def test_a_worker_beats_about_once_a_second_and_tells_the_truth(own: Own) -> None:
    with PoolManager(own.settings) as manager:
        state = manager.start("main", 2)
        first = own.beat_after(state.worker, 0.0)
        second = own.beat_after(state.worker, first.beat_s + 0.5)
        assert 0.5 < second.beat_s - first.beat_s < 20.0
        assert (first.pid, first.concurrency, first.active, first.consuming) == (state.pid, 2, 0, True)
        assert abs(first.started_s - psutil.Process(state.pid).create_time()) < 0.1
        own.nudge()
        wait_until(lambda: (own.beat_after(state.worker, 0.0)).done == 1, 30.0, "the task to be counted")


def test_a_worker_that_ends_in_good_order_forgets_its_heartbeat(own: Own) -> None:
    with PoolManager(own.settings) as manager:
        state = manager.start("main", 1)
        os.kill(state.pid, signal.SIGTERM)
        assert processes.wait_gone(state.pid, state.started_s, 15.0)
        assert own.registry.last(state.worker) is None


def test_a_worker_outlives_kills_of_redis_and_goes_on_working(own: Own) -> None:
    with PoolManager(own.settings) as manager:
        state = manager.start("main", 1)
        for round_number in (1, 2):
            done = own.beat_after(state.worker, 0.0).done
            own.redis.kill()
            own.redis.start()
            beat = own.beat_after(state.worker, time.time())
            assert (beat.pid, beat.reconnects) == (state.pid, round_number)
            own.nudge()
            wait_until(lambda done=done: manager.list()[0].done > done, 30.0, "a task to be done")  # type: ignore[misc]
        assert manager.scale("main", 2).concurrency == 2  # remote control works again too

    mine = SwarmKeys(own.settings.name).patterns[0].rstrip("*")
    keys = [key.decode() for key in own.client.scan_iter()]
    assert keys
    assert [key for key in keys if not key.startswith(mine)] == []


def test_a_frozen_redis_does_not_end_the_worker_and_is_logged_once(own: Own) -> None:
    with PoolManager(own.settings) as manager:
        state = manager.start("main", 1)
        log = Path(state.log)
        own.redis.signal(signal.SIGSTOP)
        try:
            wait_until(lambda: b"heartbeat fails" in log.read_bytes(), 30.0, "the failure to be logged")
        finally:
            own.redis.signal(signal.SIGCONT)
        beat = own.beat_after(state.worker, time.time())
        assert (beat.pid, beat.outages) == (state.pid, 1)
        assert log.read_bytes().count(b"heartbeat fails") == 1
        own.nudge()
        wait_until(lambda: manager.list()[0].done >= 1, 30.0, "a task to be done")


def test_a_deaf_worker_notices_and_connects_again(own: Own, children: Children, tmp_path: Path) -> None:
    log = tmp_path / "deaf.log"
    command = [sys.executable, "-P", "-c", WITHOUT_REMOTE_CONTROL]
    pid, started_s = processes.spawn(command, processes.worker_environment(own.settings), log)
    try:
        own.beat_after("deaf@here", 0.0)
        (child,) = children(pid)
        child.suspend()  # so that the task is in its hands when Redis goes
        own.nudge()
        wait_until(lambda: own.beat_after("deaf@here", 0.0).reserved == 1, 30.0, "the task to be taken")
        own.redis.kill()
        child.resume()
        wait_until(lambda: b"Couldn't ack" in log.read_bytes(), 20.0, "the acknowledgement to fail")
        own.redis.start()
        own.nudge()
        wait_until(lambda: own.client.llen(queue_key(own.settings)) == 0, 30.0, "the queue to be read again")
        wait_until(lambda: own.beat_after("deaf@here", 0.0).done >= 2, 30.0, "the second task to be done")
        assert b"the prefetch count is full and no task runs" in log.read_bytes()
    finally:
        processes.terminate(pid, started_s, 0.0)
