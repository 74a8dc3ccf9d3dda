"""Worker pools, with real Celery workers on a real Redis."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from support import PrivateRedis, wait_until
from workers_support import stop_consuming

from swarm.errors import BoundsError, InputError, RuntimeSetupError, StoreUnavailableError, UnknownIdError
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.workers import PoolRecord, WorkerBeat, WorkerRegistry
from swarm.wire.keys import SwarmKeys
from swarm_workers import processes
from swarm_workers.pools import PoolManager, PoolState

Children = Callable[[int], list[psutil.Process]]


def only(manager: PoolManager) -> PoolState:
    (state,) = manager.list()
    return state


def test_a_pool_starts_scales_both_ways_drains_and_is_gone(manager: PoolManager, children: Children) -> None:
    state = manager.start("main", 1)
    assert (state.status, state.wanted, state.concurrency) == ("running", 1, 1)
    assert only(manager) == manager.start("main", 1)

    assert manager.scale("main", 3).concurrency == 3
    assert len(children(state.pid)) == 3
    assert manager.start("main", 2).concurrency == 2
    wait_until(lambda: len(children(state.pid)) == 2, 30.0, "two children")
    assert (only(manager).wanted, only(manager).pid) == (2, state.pid)

    manager.drain("main")
    assert manager.list() == []
    assert not psutil.pid_exists(state.pid)


def test_stop_ends_a_worker_and_its_children_and_removes_its_traces(
    manager: PoolManager, children: Children, client: Client, settings: Settings
) -> None:
    state = manager.start("main", 2)
    descendants = children(state.pid)
    assert manager.stop("main") is True
    assert not [process for process in descendants if process.is_running()]
    keys = SwarmKeys(settings.name)
    assert not client.exists(keys.workers, keys.pools)


def test_a_worker_that_does_not_end_in_time_is_killed_with_its_children(
    manager: PoolManager, children: Children
) -> None:
    state = manager.start("main", 2)
    descendants = children(state.pid)
    psutil.Process(state.pid).suspend()
    assert manager.stop("main", timeout_s=0.2) is False
    for process in descendants:
        wait_until(lambda process=process: not process.is_running(), 30.0, "the children to be gone")  # type: ignore[misc]
    assert manager.list() == []


def test_a_killed_pool_is_reported_dead_and_can_be_started_again(manager: PoolManager) -> None:
    first = manager.start("main", 1)
    os.killpg(first.pid, signal.SIGKILL)
    wait_until(lambda: only(manager).status == "dead", 30.0, "the pool to be dead")
    assert only(manager).concurrency == 0
    with pytest.raises(RuntimeSetupError, match="dead"):
        manager.scale("main", 2)
    again = manager.start("main", 2)
    assert (again.status, again.concurrency) == ("running", 2)
    assert again.pid != first.pid


def test_a_paused_pool_is_draining_and_a_start_makes_it_run_again(manager: PoolManager, settings: Settings) -> None:
    manager.start("main", 1)
    stop_consuming(settings, "main")
    wait_until(lambda: only(manager).status == "draining", 30.0, "the pool to drain")
    assert manager.start("main", 1).status == "running"


def test_a_worker_without_a_record_is_listed_and_can_be_stopped(
    manager: PoolManager, client: Client, settings: Settings
) -> None:
    state = manager.start("main", 1)
    client.delete(SwarmKeys(settings.name).pools)
    assert only(manager) == replace(only(manager), status="running", wanted=1, log="")
    assert manager.stop("main") is True
    assert not psutil.pid_exists(state.pid)


def test_a_record_of_another_process_with_the_same_pid_is_dead(
    manager: PoolManager, client: Client, settings: Settings
) -> None:
    me = psutil.Process()
    record = PoolRecord(
        pool="main", host=socket.gethostname(), pid=me.pid, started_s=me.create_time() - 1000, concurrency=1, log=""
    )
    WorkerRegistry(client, SwarmKeys(settings.name)).put_pool(record)
    assert only(manager).status == "dead"
    assert manager.stop("main") is True
    assert me.is_running()


def test_a_process_that_gives_no_heartbeat_is_silent_and_not_replaced(
    manager: PoolManager, client: Client, settings: Settings
) -> None:
    me = psutil.Process()
    record = PoolRecord(
        pool="main", host=socket.gethostname(), pid=me.pid, started_s=me.create_time(), concurrency=1, log="/none.log"
    )
    WorkerRegistry(client, SwarmKeys(settings.name)).put_pool(record)
    assert only(manager).status == "silent"
    with pytest.raises(RuntimeSetupError, match=f"heartbeat of pool 'main' .process {me.pid}"):
        manager.start("main", 1, timeout_s=0.2)
    assert only(manager).pid == me.pid


def test_two_starts_at_once_make_one_worker(manager: PoolManager) -> None:
    with ThreadPoolExecutor(2) as executor:
        states = list(executor.map(lambda _: manager.start("main", 1), range(2)))
    assert states[0].pid == states[1].pid == only(manager).pid


def test_files_of_a_pool_are_private(manager: PoolManager, settings: Settings) -> None:
    state = manager.start("main", 1)
    for path in (settings.state_dir, Path(state.log).parent, Path(state.log)):
        assert path.stat().st_mode & 0o077 == 0


def test_pools_of_other_hosts_are_seen_but_not_touched(
    manager: PoolManager, client: Client, settings: Settings
) -> None:
    registry = WorkerRegistry(client, SwarmKeys(settings.name))
    registry.put_pool(PoolRecord(pool="main", host="elsewhere", pid=1, started_s=1.0, concurrency=4, log="/log"))
    assert only(manager).status == "silent"
    beat = WorkerBeat(
        name="main@elsewhere",
        pool="main",
        host="elsewhere",
        pid=1,
        concurrency=4,
        active=2,
        reserved=3,
        done=9,
        consuming=True,
        started_s=1.0,
        beat_s=time.time(),
        reconnects=0,
        outages=0,
        fault="",
    )
    registry.beat(beat)
    state = only(manager)
    assert (state.status, state.active, state.reserved, state.done) == ("running", 2, 3, 9)
    for change in (manager.stop, manager.drain):
        with pytest.raises(UnknownIdError, match="elsewhere"):
            change("main")


def test_the_command_line_and_the_log_hold_no_password(
    settings: Settings, own_redis: PrivateRedis, children: Children
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("requirepass", "hunter2")
    mine = settings.model_copy(update={"redis_url": own_redis.url.replace("unix://", "unix://:hunter2@")})
    with PoolManager(mine) as manager:
        state = manager.start("main", 1)
        command_lines = [p.cmdline() for p in (psutil.Process(state.pid), *children(state.pid))]
        manager.stop("main")
    assert "hunter2" not in str(command_lines)
    assert "hunter2" not in repr(mine)
    assert b"hunter2" not in Path(state.log).read_bytes()


def test_a_worker_that_cannot_start_is_an_error_with_the_end_of_its_log(settings: Settings, client: Client) -> None:
    broken = settings.model_copy(update={"sweep_interval": -1.0})
    with PoolManager(broken, client) as manager:
        with pytest.raises(RuntimeSetupError, match=r"(?s)'main' has ended.*SWARM_SWEEP_INTERVAL") as caught:
            manager.start("main", 1)
        assert ".main.log" in str(caught.value)
        assert manager.list() == []


def test_a_worker_that_gives_no_heartbeat_in_time_is_taken_back(manager: PoolManager) -> None:
    with pytest.raises(RuntimeSetupError, match="heartbeat"):
        manager.start("main", 1, timeout_s=0.05)
    assert manager.list() == []
    assert processes.find_worker(manager._settings, f"main@{socket.gethostname()}") is None


def test_stop_works_while_redis_is_away(settings: Settings, own_redis: PrivateRedis) -> None:
    mine = settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 0.5})
    with PoolManager(mine) as manager:
        state = manager.start("main", 1)
        own_redis.kill()
        with pytest.raises(StoreUnavailableError):
            manager.list()
        assert manager.stop("main", timeout_s=10.0) is True
    assert not psutil.pid_exists(state.pid)


def test_pools_of_two_swarms_do_not_see_each_other(manager: PoolManager, settings: Settings, client: Client) -> None:
    manager.start("main", 1)
    with PoolManager(settings.model_copy(update={"name": settings.name + "-2"}), client) as other:
        assert other.list() == []
        with pytest.raises(UnknownIdError):
            other.stop("main")


@pytest.mark.parametrize("concurrency", [0, -1, 257, 1.5, True, "2"])
def test_the_size_of_a_pool_is_bounded(manager: PoolManager, concurrency: Any) -> None:
    for call in (manager.start, manager.scale):
        with pytest.raises(BoundsError, match=r"concurrency must be an integer in 1\.\.256"):
            call("main", concurrency)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a@b", "x" * 64, None])
def test_the_name_of_a_pool_is_checked(manager: PoolManager, name: Any) -> None:
    for call in (lambda: manager.start(name, 1), lambda: manager.stop(name), lambda: manager.drain(name)):
        with pytest.raises(InputError, match="pool must be"):
            call()


def test_a_pool_that_nobody_started_is_unknown(manager: PoolManager) -> None:
    for call in (lambda: manager.scale("main", 1), lambda: manager.stop("main"), lambda: manager.drain("main")):
        with pytest.raises(UnknownIdError, match="nobody has started it"):
            call()
