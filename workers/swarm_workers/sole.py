"""One supervisor for a host and a swarm: who it is stands in the lock file that it holds for its lifetime."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm_workers import processes
from swarm_workers.locks import lock_if_free

_SUFFIX = "~supervisor.lock"
"""No swarm's and no pool's name has a "~"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorProcess:
    """The process of a supervisor."""

    swarm: str
    pid: int
    started_s: float


def lock_path(settings: Settings) -> Path:
    """The lock file."""
    return settings.state_dir / "locks" / f"{settings.name}{_SUFFIX}"


@contextmanager
def sole_supervisor(settings: Settings) -> Iterator[None]:
    """Be the supervisor of this swarm on this host.

    Raises
    ------
    RuntimeSetupError
        If there is one; the message names its process.
    """
    with lock_if_free(lock_path(settings)) as is_free:
        if not is_free:
            other = find_supervisor(settings)
            who = f"process {other.pid}" if other else "another process"
            raise RuntimeSetupError(f"a supervisor of swarm {settings.name} runs on this host already: {who}")
        me = psutil.Process()
        lock_path(settings).write_text(json.dumps({"pid": me.pid, "started_s": me.create_time()}), encoding="utf-8")
        try:
            yield
        finally:
            os.truncate(lock_path(settings), 0) if lock_path(settings).exists() else None


def find_supervisor(settings: Settings) -> SupervisorProcess | None:
    """The supervisor of this swarm under this state directory; None if none runs."""
    return _read(lock_path(settings))


def supervisors(settings: Settings) -> list[SupervisorProcess]:
    """Those of every swarm that uses this state directory."""
    found = [_read(path) for path in (settings.state_dir / "locks").glob(f"*{_SUFFIX}")]
    return [process for process in found if process is not None]


def _read(path: Path) -> SupervisorProcess | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        pid, started_s = int(values["pid"]), float(values["started_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if pid <= 0 or not processes.is_running(pid, started_s):
        return None
    return SupervisorProcess(swarm=path.name.removesuffix(_SUFFIX), pid=pid, started_s=started_s)
