"""What a running Redis says about itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import redis

from swarm.errors import RuntimeSetupError
from swarm.store.connection import Client, redis_errors
from swarm_cli.local.redis_program import MIN_VERSION, parse_version


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """Version, safety of the data, memory and clock of a server."""

    version: str
    policy: str
    """What it does when memory runs out."""
    is_appending: bool
    """Whether every write goes to an append-only file."""
    fsync: str | None
    """When that file is flushed to the disk; None if a managed server does not tell."""
    is_writable: bool
    """False on a replica, and after a failed write to its disk."""
    used_bytes: int
    max_bytes: int
    """0 without a bound."""
    file_bytes: int
    """Size of the append-only file; 0 without one."""
    ping_ms: float
    ahead_s: float
    """How far its clock is ahead of ours."""

    @property
    def is_new_enough(self) -> bool:
        return (parse_version(self.version) or (0, 0, 0)) >= MIN_VERSION


def read_facts(client: Client) -> RedisFacts:
    """Ask the server.

    Raises
    ------
    StoreUnavailableError
        If it cannot be reached, or does not let us in.
    """
    with redis_errors("reach Redis"):
        client.ping()
        begun = time.perf_counter()
        client.ping()
        ping_ms = (time.perf_counter() - begun) * 1e3
        seconds, microseconds = client.time()
        ahead_s = seconds + microseconds / 1e6 - time.time()
        info: dict[str, Any] = client.info()
        fsync = _setting(client, "appendfsync")
    return RedisFacts(
        version=str(info["redis_version"]),
        policy=str(info.get("maxmemory_policy", "unknown")),
        is_appending=bool(info.get("aof_enabled", 0)),
        fsync=fsync,
        is_writable=info.get("role") == "master" and info.get("aof_last_write_status", "ok") == "ok",
        used_bytes=int(info.get("used_memory", 0)),
        max_bytes=int(info.get("maxmemory", 0)),
        file_bytes=int(info.get("aof_current_size", 0)),
        ping_ms=ping_ms,
        ahead_s=ahead_s,
    )


def require_version(facts: RedisFacts) -> None:
    """Refuse a server that lacks the commands that are used.

    Raises
    ------
    RuntimeSetupError
        If it is too old.
    """
    if not facts.is_new_enough:
        wanted = ".".join(map(str, MIN_VERSION))
        raise RuntimeSetupError(f"Redis must be of version {wanted} or newer, this one is {facts.version}")


def _setting(client: Client, name: str) -> str | None:
    try:
        value = client.config_get(name).get(name)
    except redis.ResponseError:
        return None  # managed servers often refuse CONFIG
    return None if value is None else str(value)
