"""Rolling restarts: a new worker takes over before the old one lets go, under a stream of tasks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from supervisor_support import PATIENCE, PLAN, Handlers, Watched
from support import wait_until
from swarm_support import EMBEDDER

from swarm.errors import InputError, RuntimeSetupError
from swarm.settings import Settings
from swarm_workers.locks import file_lock
from swarm_workers.pools import PoolManager, pool_lock_path

Watch = Callable[..., Watched]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER, "sweep_interval": 0.1, "lease_ttl": 5.0})


def test_a_restart_under_a_stream_of_tasks_loses_and_doubles_none_and_leaves_the_role_never_alone(
    watch: Watch, handlers: Handlers, settings: Settings, tmp_path: Path
) -> None:
    watched, journal = watch(), tmp_path / "journal"
    before = watched.manager.start("coder", 2, plan=PLAN)
    handlers.write(2)
    tasks: list[str] = []
    with PoolManager(settings) as other, ThreadPoolExecutor(1) as executor:
        restarting = executor.submit(other.restart, "coder")
        while not restarting.done():
            tasks.append(watched.swarm.submit("x", role="coder", payload={"journal": str(journal)}).id)
            watched.supervisor.tick()
            takers = [state for state in watched.manager.list() if state.status == "running"]
            assert takers, "for a moment nobody took the role's tasks"
            wait_until(lambda: watched.swarm.tasks.counts()[0].waiting < 20, PATIENCE, "the pool to keep up")
        after = restarting.result()
    assert (after.status, after.concurrency) == ("running", 2)
    assert after.pid != before.pid
    assert not psutil.pid_exists(before.pid)
    assert [state.pid for state in watched.manager.list()] == [after.pid]
    versions = {watched.result(task) for task in tasks}
    assert versions == {1, 2}
    assert sorted(journal.read_text().split()) == sorted(tasks)
    # What follows finds the new worker under its own name.
    assert watched.manager.scale("coder", 1).concurrency == 1
    watched.manager.drain("coder")
    assert watched.manager.list() == []


def test_new_handlers_that_cannot_be_loaded_leave_the_old_worker_at_work(watch: Watch, handlers: Handlers) -> None:
    watched = watch()
    before = watched.manager.start("coder", 1, plan=PLAN)
    handlers.spoil()
    with pytest.raises(RuntimeSetupError, match="no handlers today"):
        watched.manager.restart("coder")
    assert watched.state().pid == before.pid
    assert watched.result(watched.swarm.submit("x", role="coder").id) == 1


def test_the_supervisor_ends_the_old_worker_of_a_restart_that_gave_up(watch: Watch, tmp_path: Path) -> None:
    watched, gate = watch(), tmp_path / "gate"
    before = watched.manager.start("coder", 1, plan=PLAN)
    long = watched.swarm.submit("x", role="coder", payload={"gate": str(gate)}).id
    wait_until(lambda: watched.state().active == 1, PATIENCE, "the task to begin")
    with pytest.raises(RuntimeSetupError, match=f"old one .process {before.pid}. takes no more tasks"):
        watched.manager.restart("coder", timeout_s=6.0)
    assert len(watched.manager.list()) == 2
    assert watched.result(watched.swarm.submit("y", role="coder").id) == 1
    gate.touch()
    assert watched.result(long) == 1
    watched.wait(
        lambda: [state.pid for state in watched.manager.list()] != [before.pid] and len(watched.manager.list()) == 1,
        "the old worker to be gone",
    )
    assert not psutil.pid_exists(before.pid)
    assert watched.swarm.tasks.find(long).status.attempts == 1


def test_a_pool_that_a_command_is_changing_is_left_alone(watch: Watch, settings: Settings) -> None:
    watched = watch()
    before = watched.manager.start("coder", 1, plan=PLAN)
    with file_lock(pool_lock_path(settings, "coder"), 1.0, "test"):
        psutil.Process(before.pid).kill()
        wait_until(lambda: watched.state().status == "dead", PATIENCE, "the worker to be dead")
        for _ in range(3):
            watched.supervisor.tick()
        assert watched.state().status == "dead"
    watched.await_new(before)


def test_only_what_was_ordered_here_is_restarted(manager: PoolManager) -> None:
    state = manager.start("main", 1)
    manager._orders.remove("main")
    with pytest.raises(InputError, match="was not started on this host to stay"):
        manager.restart("main")
    assert manager.list()[0].pid == state.pid
