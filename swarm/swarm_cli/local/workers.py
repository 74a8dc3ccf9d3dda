"""The worker processes of this machine that belong to a state directory, from the process table."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from swarm.settings import Settings
from swarm.store.workers import pool_name
from swarm_workers.processes import ENTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWorker:
    """The main process of a worker pool."""

    swarm: str
    pool: str
    pid: int
    started_s: float


def local_workers(settings: Settings) -> list[LocalWorker]:
    """Those of every swarm that uses this state directory; they are seen when Redis is away, too."""
    found = []
    for process in psutil.process_iter():
        try:
            # Children have their parent's command line, but only the parent leads the session.
            command = process.cmdline()
            if ENTRY not in command or os.getsid(process.pid) != process.pid:
                continue
            environment, started_s = process.environ(), process.create_time()
            pool = pool_name(command[command.index("-n") + 1])
        except (psutil.Error, ProcessLookupError, ValueError, IndexError):
            continue  # it ended meanwhile, belongs to somebody else, or is no worker of ours
        if environment.get("SWARM_STATE_DIR") == str(settings.state_dir):
            name = environment.get("SWARM_NAME", "")
            found.append(LocalWorker(swarm=name, pool=pool, pid=process.pid, started_s=started_s))
    return found
