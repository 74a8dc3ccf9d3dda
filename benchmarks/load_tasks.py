"""Tasks under load: how many that do nothing are done in a second, by bare Celery and by the ledger of tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from celery import Celery

from benchmarks.bare_celery import NOOP, bare_app
from benchmarks.own_swarm import ROOT, OwnSwarm
from swarm.services.swarm import Swarm
from swarm.store.connection import connect
from swarm.wire.task_records import TaskState

PROCESSES = 2
_WAITING = 2_000
"""So many wait at most: the processes never run dry, and the queue does not grow."""
_WARM_S = 1.0
_PATIENCE_S = 60.0


def bare_rate(own: OwnSwarm, seconds: float) -> float:
    """Tasks that bare Celery does in a second, on the same Redis, while one thread submits."""
    broker = f"redis+socket://{own.settings.socket_path}"
    app = bare_app(broker)
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.bare_celery", "worker"]
    command += ["-c", str(PROCESSES), "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
    environment = dict(os.environ) | {"BARE_BROKER": broker, "PYTHONPATH": own.environment["PYTHONPATH"]}
    quiet = subprocess.DEVNULL
    worker = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        _until(lambda: bool(app.control.inspect(timeout=0.5).stats()), "the bare worker")
        with _submitting(lambda: app.tasks[NOOP].apply_async(), partial(_bare_waiting, own)):
            return _rate(partial(_bare_done, app), seconds)
    finally:
        # An orderly end would first do what waits.
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(30.0)
        app.close()


def _bare_done(app: Celery) -> int:
    stats = app.control.inspect(timeout=2.0, limit=1).stats() or {}
    return sum(int(worker["total"].get(NOOP, 0)) for worker in stats.values())


def _bare_waiting(own: OwnSwarm) -> int:
    with connect(own.settings) as client:
        return int(client.llen("celery"))


def ledger_rate(swarm: Swarm, role: str, seconds: float) -> float:
    """Tasks of a role that its pool does in a second, while one thread submits."""
    with _submitting(lambda: _submit(swarm, role), lambda: _count(swarm, role, TaskState.WAITING)):
        return _rate(lambda: _count(swarm, role, TaskState.SUCCEEDED), seconds)


def latencies(swarm: Swarm, role: str, rate: float, seconds: float) -> list[float]:
    """Seconds from submission to the end of each task, by Redis's clock, at a given rate."""
    begin, ids = time.monotonic(), []
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        ids.append(_submit(swarm, role))
    found = []
    for task in ids:
        swarm.tasks.wait(task, _PATIENCE_S)
        status = swarm.tasks.find(task).status
        found.append(status.ended - status.submitted)
    return found


def _submit(swarm: Swarm, role: str) -> str:
    return swarm.submit("do nothing", role=role).id


def _count(swarm: Swarm, role: str, state: TaskState) -> int:
    counts = {one.role: one for one in swarm.tasks.counts()}
    return int(getattr(counts[role], state.value)) if role in counts else 0


@contextmanager
def _submitting(submit: Callable[[], object], waiting: Callable[[], int]) -> Iterator[None]:
    """A thread submits as long as fewer than `_WAITING` wait."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            if waiting() >= _WAITING:
                time.sleep(0.005)
                continue
            for _ in range(min(100, _WAITING)):
                submit()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _rate(done: Callable[[], int], seconds: float) -> float:
    time.sleep(_WARM_S)
    first, started = done(), time.monotonic()
    time.sleep(seconds)
    return (done() - first) / (time.monotonic() - started)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_PATIENCE_S:g} s in vain for {what}")
        time.sleep(0.05)
