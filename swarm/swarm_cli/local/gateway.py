"""The gateway of this machine as a process: start it, say where it is, keep it, end it.

Where it is stands in a file beside its log, which the gateway writes once it answers. While the file of orders is
there it is to run, whoever started it: `up` writes it, `down` takes it away.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm_cli.local.statedir import LOCKS
from swarm_workers import processes
from swarm_workers.locks import file_lock

START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
_POLL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayProcess:
    """A gateway that answers, or did when it was noted."""

    pid: int
    started_s: float
    url: str
    socket: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def gateway_log(settings: Settings) -> Path:
    """Its log file; no pool's has this name."""
    return settings.state_dir / "logs" / f"{settings.name}~gateway.log"


def note_gateway(settings: Settings, url: str) -> None:
    """Say that this process is the gateway, and answers at `url`."""
    me = psutil.Process()
    process = GatewayProcess(pid=me.pid, started_s=me.create_time(), url=url, socket=str(settings.gateway_socket))
    path = _note_path(settings)
    processes.private_directory(path.parent)
    draft = path.with_suffix(f".{me.pid}")
    draft.write_text(json.dumps(process.as_dict()), encoding="utf-8")
    draft.replace(path)


def find_gateway(settings: Settings) -> GatewayProcess | None:
    """The gateway of this swarm under this state directory; None if none runs."""
    try:
        values = json.loads(_note_path(settings).read_text(encoding="utf-8"))
        process = GatewayProcess(
            pid=int(values["pid"]),
            started_s=float(values["started_s"]),
            url=str(values["url"]),
            socket=str(values["socket"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return process if process.pid > 0 and processes.is_running(process.pid, process.started_s) else None


def start_gateway(settings: Settings) -> tuple[GatewayProcess, bool]:
    """The gateway, and whether it was started by this call. From now on the supervisor keeps it.

    Raises
    ------
    RuntimeSetupError
        If it does not start; the message has the end of its log.
    """
    _order_path(settings).parent.mkdir(mode=0o700, exist_ok=True)
    _order_path(settings).touch(mode=0o600)
    with _locked(settings):
        if (found := find_gateway(settings)) is not None:
            return found, False
        return _await(settings, *_spawn(settings)), True


def is_ordered(settings: Settings) -> bool:
    """Whether a gateway is to run on this machine: `up` said so, and `down` did not take it back."""
    return _order_path(settings).exists()


def keep_gateway(settings: Settings) -> bool:
    """Start the gateway again if it is to run and does not; whether it was."""
    return is_ordered(settings) and start_gateway(settings)[1]


def end_gateway(settings: Settings) -> bool:
    """End the gateway, and keep it no longer; whether there was one."""
    _order_path(settings).unlink(missing_ok=True)
    with _locked(settings):
        if (found := find_gateway(settings)) is None:
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(found.pid, number)
            if processes.wait_gone(found.pid, found.started_s, STOP_TIMEOUT):
                _note_path(settings).unlink(missing_ok=True)
                return True
    raise RuntimeSetupError(f"the gateway (process {found.pid}) survived SIGKILL")


def _spawn(settings: Settings) -> tuple[int, float]:
    command = [sys.executable, "-P", "-m", "swarm_cli", "serve"]
    environment = processes.worker_environment(settings)
    return processes.spawn(command, environment, gateway_log(settings))


def _await(settings: Settings, pid: int, started_s: float) -> GatewayProcess:
    deadline, log = time.monotonic() + START_TIMEOUT, gateway_log(settings)
    while (found := find_gateway(settings)) is None or found.pid != pid:
        if time.monotonic() > deadline or not processes.is_running(pid, started_s):
            raise RuntimeSetupError(f"the gateway did not start; the last of {log}:\n{processes.log_tail(log)}")
        time.sleep(_POLL)
    return found


def _note_path(settings: Settings) -> Path:
    return settings.state_dir / "gateway" / f"{settings.name}.json"


def _order_path(settings: Settings) -> Path:
    return settings.state_dir / "gateway" / f"{settings.name}.order"


def _locked(settings: Settings) -> AbstractContextManager[None]:
    return file_lock(settings.state_dir / LOCKS / f"{settings.name}~gateway.lock", 60.0, "start or end the gateway")
