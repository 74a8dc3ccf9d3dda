"""Who looks after the pools of each host, and what it says of them. Facts for people; no invariant hangs on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from swarm.errors import DamagedRecordError
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_hash
from swarm.store.workers import BEAT_TTL
from swarm.wire.codec import decode, encode
from swarm.wire.keys import SwarmKeys

_TYPES: Mapping[str, type | tuple[type, ...]] = {"str": str, "int": int, "float": (int, float), "list": list}
_Record = TypeVar("_Record", "PoolReport", "SupervisorBeat")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReport:
    """What a supervisor thinks of one pool. Times are seconds since the epoch."""

    pool: str
    wanted: int
    """Processes it is to have now."""
    why: str
    """Why so many."""
    failures: int
    """How often its worker died or was replaced since it last ran well for a while."""
    next_start_s: float
    """When it is started again; 0 if it is not waiting for that."""
    fault: str
    """Why it was started again last; empty when it runs well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorBeat:
    """What a supervisor last said about itself and its pools."""

    host: str
    pid: int
    started_s: float
    """When the process was created."""
    beat_s: float
    pools: tuple[PoolReport, ...]

    def is_alive(self, now_s: float) -> bool:
        """Whether it has beaten within the last `BEAT_TTL` seconds."""
        return now_s - self.beat_s < BEAT_TTL


class SupervisorRegistry:
    """The supervisors of one swarm.

    Every method raises `StoreUnavailableError` when Redis is away, and those that read raise
    `DamagedRecordError` for bytes that are no record.
    """

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys

    def beat(self, beat: SupervisorBeat) -> None:
        """Replace the last heartbeat of the supervisor of this host."""
        with redis_errors("write a supervisor's heartbeat"):
            self._client.hset(self._keys.supervisors, beat.host, encode("supervisor", asdict(beat)))

    def all(self) -> list[SupervisorBeat]:
        """The last heartbeat of every supervisor, however old, by host."""
        with redis_errors("read the supervisors' heartbeats"):
            found = to_hash(self._client.hgetall(self._keys.supervisors))
        return [_load(host, data) for host, data in found.items()]

    def alive(self, now_s: float) -> list[SupervisorBeat]:
        """Those that are not too old, by host."""
        return [beat for beat in self.all() if beat.is_alive(now_s)]

    def forget(self, host: str) -> None:
        """Remove a supervisor's heartbeat, as it does itself when it ends."""
        with redis_errors("remove a supervisor's heartbeat"):
            self._client.hdel(self._keys.supervisors, host)


def _load(host: str, data: bytes) -> SupervisorBeat:
    payload = decode("supervisor", data)
    pools = payload.get("pools")
    if not isinstance(pools, list) or not all(isinstance(pool, dict) for pool in pools):
        raise DamagedRecordError(f"supervisor record {host!r:.80}: pools must be a list of maps, got {pools!r:.40}")
    reports = tuple(PoolReport(**_values(PoolReport, host, pool)) for pool in pools)
    return SupervisorBeat(**_values(SupervisorBeat, host, payload, pools=reports))


def _values(record: type[_Record], host: str, payload: Mapping[str, Any], **ready: object) -> dict[str, Any]:
    values = dict(ready)
    for field in fields(record):
        if field.name in ready:
            continue
        value = payload.get(field.name)
        # A bool is an int to isinstance, but not to us.
        if not isinstance(value, _TYPES[str(field.type)]) or isinstance(value, bool):
            found = f"{field.name} must be {field.type}, got {value!r:.40}"
            raise DamagedRecordError(f"supervisor record {host!r:.80}: {found}")
        values[field.name] = value
    return values
