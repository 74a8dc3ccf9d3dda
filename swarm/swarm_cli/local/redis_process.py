"""The process of the embedded Redis: which one it is, whether it runs, how it is ended."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from swarm.errors import RuntimeSetupError
from swarm_cli.local.redis_program import PROGRAM_NAMES
from swarm_workers import processes


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisProcess:
    """A process, told from another with a reused pid by the time when it was created."""

    pid: int
    started_s: float

    @property
    def is_running(self) -> bool:
        """Whether it still is this process, and a Redis."""
        if not processes.is_running(self.pid, self.started_s):
            return False
        with suppress(psutil.Error):
            return psutil.Process(self.pid).name() in PROGRAM_NAMES
        return False

    def end(self, timeout_s: float) -> None:
        """SIGTERM, on which Redis flushes its file and ends; SIGKILL after `timeout_s`."""
        for send in (psutil.Process.terminate, psutil.Process.kill):
            with suppress(psutil.NoSuchProcess):
                send(psutil.Process(self.pid))
            if processes.wait_gone(self.pid, self.started_s, timeout_s):
                return
        raise RuntimeSetupError(f"Redis (process {self.pid}) survived SIGKILL")


def read_pid_file(path: Path) -> RedisProcess | None:
    """What the pid file says; None if there is none, or no sense in it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return RedisProcess(pid=int(values["pid"]), started_s=float(values["started_s"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_pid_file(path: Path, process: RedisProcess) -> None:
    """Write the pid file at once: a reader sees the old one or the new one, never a half."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(process)) + "\n", encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)


def find_process(directory: Path) -> RedisProcess | None:
    """The server that works in `directory`, from the process table: for when the pid file got lost."""
    for process in psutil.process_iter():
        try:
            # A server that rewrites its file has a child with the same name and directory, but only the
            # server itself leads its session.
            if process.name() not in PROGRAM_NAMES or os.getsid(process.pid) != process.pid:
                continue
            if process.cwd() == str(directory.resolve()):
                return RedisProcess(pid=process.pid, started_s=process.create_time())
        except (psutil.Error, ProcessLookupError):
            continue  # it ended meanwhile, or belongs to somebody else
    return None
