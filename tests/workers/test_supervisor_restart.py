"""Rolling restarts: a new worker takes over before the old one lets go, under a stream of tasks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from supervisor_support import PATIENCE, PLAN, Handlers, Watched
from support import wait_until
from swarm_support import EMBEDDER, environment

from swarm.errors import InputError, RuntimeSetupError
from swarm.settings import Settings
from swarm_workers.pools import PoolManager

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


def test_the_supervisor_goes_on_with_a_restart_whose_command_was_killed(
    watch: Watch, settings: Settings, tmp_path: Path
) -> None:
    watched, gate = watch(), tmp_path / "gate"
    before = watched.manager.start("coder", 1, plan=PLAN)
    long = watched.swarm.submit("x", role="coder", payload={"gate": str(gate)}).id
    wait_until(lambda: watched.swarm.tasks.find(long).state == "running", PATIENCE, "the task to begin")
    command = [sys.executable, "-m", "swarm_cli", "workers", "restart", "--pool", "coder"]
    with subprocess.Popen(command, env=environment(settings)) as restarting:
        wait_until(
            lambda: {state.status for state in watched.manager.list()} == {"running", "draining"}, PATIENCE, "both"
        )
        restarting.kill()
    assert watched.result(watched.swarm.submit("y", role="coder").id) == 1
    assert psutil.pid_exists(before.pid)
    gate.touch()
    assert watched.result(long) == 1
    watched.wait(lambda: not psutil.pid_exists(before.pid) and len(watched.manager.list()) == 1, "the old one to end")
    assert watched.swarm.tasks.find(long).status.attempts == 1


def test_only_what_was_ordered_here_is_restarted(manager: PoolManager) -> None:
    state = manager.start("main", 1)
    manager._orders.remove("main")
    with pytest.raises(InputError, match="was not started on this host to stay"):
        manager.restart("main")
    assert manager.list()[0].pid == state.pid
