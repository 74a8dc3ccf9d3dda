"""Worker processes on this machine: start one detached, tell whether it still is, end it."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm_workers.plan import VARIABLES, RolePlan

ENTRY = "swarm_workers.entry"
LOG_MAX_BYTES = 4 * 2**20
"""A log file that is larger when a worker starts is moved aside; one old file is kept."""
_SAME_SECONDS = 2.0
"""Creation times of one process may differ by a correction of the clock; a reused pid is much younger."""
_POLL = 0.05


def worker_command(worker: str, concurrency: int, directory: Path, queue: str) -> list[str]:
    """Command line of a worker. It holds no secret: everybody on the machine can read command lines."""
    # -P and --workdir keep the current directory, where any file may lie, out of the import path; -q keeps a banner
    # out of the log, whose last line says why a worker ended.
    return [
        *(sys.executable, "-P", "-m", "celery", "-q", "-A", ENTRY, "--workdir", str(directory), "worker"),
        *("-n", worker, "-Q", queue, "--pool", "prefork", "-c", str(concurrency), "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def worker_environment(settings: Settings, plan: RolePlan | None = None) -> dict[str, str]:
    """This process's environment with every setting and the plan in it, whichever way this process got them."""
    # A worker has Redis itself; whose token started it is none of its business, or of its handlers.
    left_out = (*VARIABLES, "SWARM_TOKEN")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment.update(plan.environment() if plan else {})
    for name, value in settings.model_dump().items():
        environment.pop(f"SWARM_{name.upper()}", None)
        if value is not None:
            environment[f"SWARM_{name.upper()}"] = str(value)
    environment.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    return environment


def spawn(command: list[str], environment: dict[str, str], log: Path) -> tuple[int, float]:
    """Start a process in a session of its own that writes to `log`; returns its pid and creation time."""
    private_directory(log.parent)
    if log.exists() and log.stat().st_size > LOG_MAX_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    # No subprocess.Popen: it would want to be waited for, and the worker outlives this process.
    pid = os.posix_spawn(
        command[0],
        command,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return pid, psutil.Process(pid).create_time()


def private_directory(path: Path) -> None:
    """Make a directory, and the one it lies in, that only this user can enter; one that exists stays as it is."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def is_running(pid: int, started_s: float) -> bool:
    """Whether the process that had `pid` since `started_s` still runs: not a zombie, not another with its pid."""
    _reap(pid)
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            _reap(pid)  # it ended just now
            return False
        return abs(process.create_time() - started_s) < _SAME_SECONDS
    except psutil.NoSuchProcess:
        return False


def wait_gone(pid: int, started_s: float, timeout_s: float) -> bool:
    """Wait until the process is gone; False if it still runs after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while is_running(pid, started_s):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def terminate(pid: int, started_s: float, timeout_s: float) -> bool:
    """End a worker: first let it finish its tasks, after `timeout_s` kill it and its children.

    Returns whether it ended by itself.

    Raises
    ------
    RuntimeSetupError
        If it cannot be killed.
    """
    if not is_running(pid, started_s):
        return True
    os.kill(pid, signal.SIGTERM)
    if wait_gone(pid, started_s, timeout_s):
        return True
    if is_running(pid, started_s):
        os.killpg(pid, signal.SIGKILL)
    if not wait_gone(pid, started_s, 5.0):
        raise RuntimeSetupError(f"process {pid} survived SIGKILL")
    return False


def find_worker(settings: Settings, worker: str) -> tuple[int, float] | None:
    """The worker's main process by the process table, for when Redis, which knows its pid, is away."""
    mine = {"SWARM_NAME": settings.name, "SWARM_STATE_DIR": str(settings.state_dir)}
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            # Children have their parent's command line, but only the parent leads the session.
            if ENTRY not in command or worker not in command or os.getsid(process.pid) != process.pid:
                continue
            environment = process.environ()
            if all(environment.get(name) == value for name, value in mine.items()):
                return process.pid, process.create_time()
        except (psutil.Error, ProcessLookupError):
            continue  # it ended meanwhile, or belongs to somebody else
    return None


def log_tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(text.rstrip().splitlines()[-lines:]) or "(the log is empty)"


def _reap(pid: int) -> None:
    """Collect the exit status if the process is a child of ours, so that it does not stay as a zombie."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
