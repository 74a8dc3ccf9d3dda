"""The supervisor with real workers that are killed, frozen, made deaf and broken."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest
from supervisor_support import PLAN, Handlers, Watched
from support import PrivateRedis
from swarm_support import EMBEDDER, make_swarm
from workers_support import stop_consuming

from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.workers import WorkerRegistry
from swarm.wire.keys import SwarmKeys
from swarm_workers.limits import Limits
from swarm_workers.locks import file_lock
from swarm_workers.orders import OrderBook, make_order
from swarm_workers.pools import PoolManager, PoolSize, pool_lock_path
from swarm_workers.supervisor import Supervisor

Watch = Callable[..., Watched]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER, "sweep_interval": 0.1, "lease_ttl": 1.0})


def test_a_killed_worker_comes_back_and_does_what_waits_until_somebody_stops_the_pool(
    watch: Watch, settings: Settings
) -> None:
    watched = watch()
    before = watched.manager.start("coder", 2, plan=PLAN)
    # An order that cannot be read is reported, and keeps nobody from the others.
    (settings.state_dir / "pools" / settings.name / "broken.json").write_text("{}")
    os.killpg(before.pid, signal.SIGKILL)
    task = watched.swarm.submit("x", role="coder").id
    assert watched.result(task) == 1
    after = watched.await_new(before)
    assert (after.wanted, after.role) == (2, "coder")
    watched.wait(lambda: watched.state().care, "the supervisor's report")
    care = watched.state().care
    assert care is not None
    assert care.failures == 1
    assert f"process {before.pid} has ended" in care.fault
    [beat] = watched.manager.supervisors()
    assert [pool.pool for pool in beat.pools] == ["broken", "coder"]
    assert "broken.json is no order for a pool" in beat.pools[0].fault

    assert watched.manager.stop("coder") is True
    waiting = watched.swarm.submit("y", role="coder").id
    end = time.monotonic() + 1.5
    watched.wait(lambda: time.monotonic() > end, "time to pass")
    assert watched.manager.list() == []
    assert watched.swarm.tasks.find(waiting).state == "waiting"


def test_a_frozen_worker_is_replaced(watch: Watch) -> None:
    watched = watch(silent_s=3.0)
    before = watched.manager.start("coder", 1, plan=PLAN)
    watched.supervisor.tick()
    os.killpg(before.pid, signal.SIGSTOP)
    task = watched.swarm.submit("x", role="coder").id
    assert watched.result(task) == 1
    watched.await_new(before)
    assert not psutil.pid_exists(before.pid)


def test_a_deaf_worker_is_replaced_and_a_busy_one_is_not(watch: Watch, settings: Settings, handlers: Handlers) -> None:
    watched = watch(deaf_s=2.0)
    before = watched.manager.start("coder", 1, plan=PLAN)
    gate = settings.state_dir / "gate"
    busy = watched.swarm.submit("x", role="coder", payload={"gate": str(gate)}).id
    waiting = watched.swarm.submit("y", role="coder").id
    watched.wait(lambda: watched.swarm.tasks.find(busy).state == "running", "the task to begin")
    end = time.monotonic() + 3.0
    watched.wait(lambda: time.monotonic() > end, "time to pass")
    assert watched.state().pid == before.pid
    gate.touch()
    assert (watched.result(busy), watched.result(waiting)) == (1, 1)
    assert watched.state().pid == before.pid

    stop_consuming(settings, "coder", "coder")
    unheard = watched.swarm.submit("z", role="coder").id
    watched.await_new(before)
    assert watched.result(unheard) == 1


def test_a_pool_whose_handlers_break_is_tried_more_and_more_seldom_and_says_why(
    watch: Watch, handlers: Handlers
) -> None:
    watched = watch()
    before = watched.manager.start("coder", 1, plan=PLAN)
    handlers.spoil()
    os.killpg(before.pid, signal.SIGKILL)
    watched.wait(lambda: (care := watched.state().care) and care.failures == 2, "a second failure")
    state = watched.state()
    assert state.care is not None
    assert state.status == "dead"
    assert 0.0 < state.care.next_start_s - time.time() <= 2.0
    assert "no handlers today" in state.care.fault
    task = watched.swarm.submit("x", role="coder").id
    handlers.write(2)
    assert watched.result(task) == 2


def test_an_outage_of_redis_is_held_against_nobody(
    handlers: Handlers, settings: Settings, own_redis: PrivateRedis
) -> None:
    mine = settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 0.5})
    limits = Limits(silent_s=4.0, deaf_s=4.0)
    with PoolManager(mine) as manager, connect(mine) as client:
        watched = Watched(make_swarm(mine, client), manager, Supervisor(mine, limits))
        before = manager.start("coder", 1, plan=PLAN)
        watched.supervisor.tick()
        own_redis.kill()
        end = time.monotonic() + 5.0
        watched.wait(lambda: time.monotonic() > end, "an outage longer than the limits")
        own_redis.start()
        back = time.monotonic()
        task = watched.swarm.submit("x", role="coder").id
        assert watched.result(task) == 1
        assert watched.state().pid == before.pid
        # A worker tries to connect every second, however long the outage was.
        assert time.monotonic() - back < 40.0


def test_a_worker_without_a_record_is_taken_over_not_doubled(watch: Watch, client: Client, settings: Settings) -> None:
    watched = watch()
    before = watched.manager.start("coder", 1, plan=PLAN)
    keys = SwarmKeys(settings.name)
    client.delete(keys.pools, keys.workers)
    watched.supervisor.tick()
    watched.wait(lambda: watched.manager.list() and watched.state().log, "the record")
    assert watched.state().pid == before.pid
    assert watched.state().wanted == 1


def test_a_pool_that_a_command_is_changing_is_left_alone(watch: Watch, settings: Settings) -> None:
    watched = watch()
    OrderBook(settings).write(make_order(settings, "coder", PoolSize.fixed(1), PLAN))
    with file_lock(pool_lock_path(settings, "coder"), 1.0, "change it"):
        for _ in range(3):
            watched.supervisor.tick()
        assert watched.manager.list() == []
    watched.supervisor.tick()
    assert watched.state().status == "silent"


def test_tasks_are_tended_when_no_worker_lives(watch: Watch, client: Client, settings: Settings) -> None:
    watched = watch()
    task = watched.swarm.submit("x", role="coder", max_attempts=1).id
    claimed = watched.swarm.tasks.claim("coder", "a worker that died", 1.0)
    assert claimed is not None
    watched.wait(lambda: watched.swarm.tasks.find(task).state == "dead", "the lease to run out")
    assert WorkerRegistry(client, SwarmKeys(settings.name)).alive(time.time()) == []
