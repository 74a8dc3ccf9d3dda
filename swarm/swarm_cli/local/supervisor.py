"""The supervisor of this machine as a process beside the workers: start it, end it."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm_workers import processes
from swarm_workers.sole import SupervisorProcess, find_supervisor

START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
_POLL = 0.05


def supervisor_log(settings: Settings) -> Path:
    """Its log file; no pool's has this name."""
    return settings.state_dir / "logs" / f"{settings.name}~supervisor.log"


def spawn_supervisor(settings: Settings) -> tuple[int, float] | None:
    """Start a supervisor if none runs; its pid and creation time if it was started."""
    if find_supervisor(settings) is not None:
        return None
    command = [sys.executable, "-P", "-m", "swarm_cli", "workers", "supervise"]
    return processes.spawn(command, processes.worker_environment(settings), supervisor_log(settings))


def await_supervisor(settings: Settings, spawned: tuple[int, float] | None) -> SupervisorProcess:
    """Wait until the supervisor is at work.

    Raises
    ------
    RuntimeSetupError
        If it ends instead; the message has the end of its log.
    """
    deadline, log = time.monotonic() + START_TIMEOUT, supervisor_log(settings)
    while (found := find_supervisor(settings)) is None:
        if time.monotonic() > deadline or (spawned and not processes.is_running(*spawned)):
            raise RuntimeSetupError(f"the supervisor did not start; the last of {log}:\n{processes.log_tail(log)}")
        time.sleep(_POLL)
    return found


def end_supervisor(settings: Settings) -> bool:
    """End the supervisor of this swarm on this machine; whether there was one. What it looked after goes on."""
    found = find_supervisor(settings)
    if found is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        # It alone: one that was started in a terminal may share its process group with others.
        with suppress(ProcessLookupError):
            os.kill(found.pid, number)
        if processes.wait_gone(found.pid, found.started_s, STOP_TIMEOUT):
            return True
    raise RuntimeSetupError(f"the supervisor (process {found.pid}) survived SIGKILL")
