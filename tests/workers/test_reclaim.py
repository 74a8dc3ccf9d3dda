"""Who gives back the tasks of a dead process: a worker of the same name, and nobody on the word of another."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
from support import wait_until
from swarm_support import make_swarm

from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.tasks import Hold
from swarm.wire.task_records import TaskState
from swarm_workers.reclaim import Reclaim

HERE = "coder@here"


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait(30.0)
    return process.pid


def test_tasks_of_dead_processes_of_its_own_name_wait_again(
    settings: Settings, client: Client, swarm: Swarm, dead_pid: int
) -> None:
    workers = (f"{HERE}/{dead_pid}", f"{HERE}/{os.getpid()}", f"other@here/{dead_pid}", f"coder@there/{dead_pid}", HERE)
    claims = []
    for worker in workers:
        swarm.submit("x", role="coder")
        claims.append(swarm.tasks.claim("coder", worker, 300.0))
    dead, *others = [claimed for claimed in claims if claimed is not None]
    assert Reclaim(settings, client, HERE).run() == 1
    assert swarm.tasks.sweep() == {dead.id: "waiting"}
    assert swarm.tasks.find(dead.id).status.why == "the worker died"
    assert all(swarm.tasks.find(claimed.id).state is TaskState.RUNNING for claimed in others)
    assert swarm.tasks.renew(dead, 60.0) is Hold.LOST
    assert Reclaim(settings, client, HERE).run() == 0


def test_a_task_that_another_has_by_now_is_not_taken_from_it(swarm: Swarm, dead_pid: int) -> None:
    swarm.submit("x", role="coder")
    claimed = swarm.tasks.claim("coder", "new@here/1", 300.0)
    assert claimed is not None
    assert not swarm.tasks.store.disown(claimed.id, f"{HERE}/{dead_pid}")
    assert swarm.tasks.sweep() == {}
    swarm.tasks.succeed(claimed, None)
    assert not swarm.tasks.store.disown(claimed.id, "new@here/1")


def test_a_dead_child_that_nobody_has_taken_notice_of_is_dead(settings: Settings, client: Client, swarm: Swarm) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, 30.0, "its end")
        swarm.submit("x", role="coder")
        assert swarm.tasks.claim("coder", f"{HERE}/{process.pid}", 300.0) is not None
        assert Reclaim(settings, client, HERE).run() == 1
