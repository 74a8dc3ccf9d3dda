"""The configuration of the embedded Redis, written anew before each start."""

from __future__ import annotations

import os
from pathlib import Path

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm_cli.local.redis_program import RedisProgram

DATA = "redis"
"""Folder of the append-only file, in the state directory."""
_MULTI_PART_AOF = "appendonlydir"


def data_dir(settings: Settings) -> Path:
    """Where the embedded Redis keeps its data; it is also the working directory of its process."""
    return settings.state_dir / DATA


def render_config(settings: Settings) -> str:
    """Lines of a redis.conf. There is no port: only who may enter the state directory reaches the socket."""
    options = {
        "port": "0",
        "unixsocket": _quoted(settings.socket_path),
        "unixsocketperm": "700",
        "dir": _quoted(data_dir(settings)),
        # The log of outcomes must survive a kill, so every write is appended to a file, and memory that runs
        # out refuses writes instead of forgetting keys.
        "appendonly": "yes",
        "appendfsync": settings.fsync,
        "maxmemory-policy": "noeviction",
        "save": '""',
        "daemonize": "no",
        "logfile": '""',
        "loglevel": "notice",
    }
    return "".join(f"{name} {value}\n" for name, value in options.items())


def write_config(settings: Settings) -> Path:
    """Write redis.conf, mode 0600, and make the data directory."""
    path = settings.state_dir / "redis.conf"
    data_dir(settings).mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(render_config(settings))
    return path


def check_data(settings: Settings, program: RedisProgram) -> None:
    """Refuse a server that would not see the data that are there.

    Raises
    ------
    RuntimeSetupError
        Redis 7 keeps its append-only file in a folder that Redis 6 does not know: Redis 6 would start empty.
    """
    if program.version < (7, 0) and (data_dir(settings) / _MULTI_PART_AOF).exists():
        raise RuntimeSetupError(
            f"the data in {data_dir(settings)} were written by Redis 7 or newer, and {program.path} is "
            f"{program.shown_version}: put the newer server on PATH again"
        )


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
