"""Who works for this swarm: the workers' heartbeats, and the pools that somebody asked for.

Both are facts for people and for `status`; no invariant of the data hangs on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, TypeVar, cast

from swarm.errors import DamagedRecordError, shown
from swarm.store.connection import Client, redis_errors
from swarm.store.event_scripts import TELL_ONCE
from swarm.wire.codec import decode, encode
from swarm.wire.event_records import encode_event
from swarm.wire.event_types import WorkerLost
from swarm.wire.keys import SwarmKeys

BEAT_TTL = 10.0
"""A worker that has been silent for longer counts as dead. Hosts must agree on the time to within this."""
FORGET_AFTER = 3600.0
"""A heartbeat older than this says nothing to anybody any more, and is removed."""

LOST_AFTER = 60.0
"""A worker that has been silent for longer is told of as lost."""
_TOLD_MS = int(2000 * FORGET_AFTER)
"""A mark that it was told outlives the heartbeat."""

_TYPES: Mapping[str, type | tuple[type, ...]] = {"str": str, "int": int, "float": (int, float), "bool": bool}
_Record = TypeVar("_Record", "WorkerBeat", "PoolRecord")


def worker_name(pool: str, host: str, slot: int = 0) -> str:
    """Name of a worker that serves `pool` on `host`; also its Celery node name.

    A pool has two workers while one takes over from the other, so each has a slot. No pool's name has a "~".

    >>> worker_name("coder", "here"), worker_name("coder", "here", 1)
    ('coder@here', 'coder~1@here')
    """
    return f"{pool}~{slot}@{host}" if slot else f"{pool}@{host}"


def pool_name(worker: str) -> str:
    """The pool that a worker serves, from its name.

    >>> pool_name("coder~1@here")
    'coder'
    """
    return worker.partition("@")[0].partition("~")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerBeat:
    """What the consumer loop of a worker last said about itself. Times are seconds since the epoch."""

    name: str
    pool: str
    host: str
    pid: int
    concurrency: int
    """Child processes that are alive."""
    active: int
    """Tasks that run now."""
    reserved: int
    """Tasks taken from the queue and not finished, the active ones included."""
    done: int
    """Tasks finished since the worker started, well or badly."""
    consuming: bool
    """False while the worker drains."""
    started_s: float
    """When the process was created: with the pid it identifies the process, even after the pid is reused."""
    beat_s: float
    reconnects: int
    """How often the worker had to connect to the broker again."""
    outages: int
    """How often the heartbeat or the sweep began to fail."""
    fault: str
    """Why the sweep fails at present; empty when it does not."""
    role: str = ""
    """Whose tasks it does; empty for a worker of the background."""

    def is_alive(self, now_s: float) -> bool:
        """Whether the consumer loop has turned within the last `BEAT_TTL` seconds."""
        return now_s - self.beat_s < BEAT_TTL


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRecord:
    """A worker that was started for a pool: where, as which process, how large."""

    pool: str
    host: str
    pid: int
    started_s: float
    """When the process was created, as in `WorkerBeat`."""
    concurrency: int
    """Child processes that were asked for."""
    log: str
    """Path of the log file on `host`."""
    role: str = ""
    """Whose tasks it does. Not by which modules: what code is run is never read from Redis."""
    slot: int = 0
    min_size: int = 0
    """Bounds of `concurrency`; 0 and 0 if nobody has said them."""
    max_size: int = 0
    idle_s: float = 0.0
    """With a `min_size` of 0: it is ended after so long without work."""

    @property
    def worker(self) -> str:
        return worker_name(self.pool, self.host, self.slot)

    @property
    def is_asleep(self) -> bool:
        """It has no worker, because there is nothing to do."""
        return self.pid == 0


class WorkerRegistry:
    """Heartbeats and pool records of one swarm.

    Every method raises `StoreUnavailableError` when Redis is away, and those that read raise
    `DamagedRecordError` for bytes that are no record; `forget` and `remove_pool` remove such bytes.
    """

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._tell_once = client.register_script(TELL_ONCE)
        self._has_beaten: set[str] = set()

    def beat(self, beat: WorkerBeat) -> None:
        """Replace the last heartbeat of this worker; if another process left one behind, that was lost."""
        if beat.name not in self._has_beaten:
            with suppress(DamagedRecordError):
                before = self.last(beat.name)
                if before is not None and (before.pid, before.started_s) != (beat.pid, beat.started_s):
                    self._tell_lost(before)
            self._has_beaten.add(beat.name)
        with redis_errors("write a heartbeat"):
            self._client.hset(self._keys.workers, beat.name, encode("beat", asdict(beat)))

    def last(self, name: str) -> WorkerBeat | None:
        """The last heartbeat of a worker, however old."""
        with redis_errors("read a heartbeat"):
            data = cast("bytes | None", self._client.hget(self._keys.workers, name))
        return None if data is None else _load(WorkerBeat, "beat", name, data)

    def alive(self, now_s: float) -> list[WorkerBeat]:
        """The heartbeats that are not too old, by name."""
        return [beat for beat in self._beats() if beat.is_alive(now_s)]

    def forget(self, name: str) -> None:
        """Remove a worker's heartbeat, as the worker itself does when it ends."""
        with redis_errors("remove a heartbeat"):
            self._client.hdel(self._keys.workers, name)

    def prune(self, now_s: float) -> int:
        """Tell of workers that are silent, and remove the heartbeats of those that died long ago; returns how many."""
        silent = [beat for beat in self._beats() if now_s - beat.beat_s > LOST_AFTER]
        for beat in silent:
            self._tell_lost(beat)
        stale = [beat.name for beat in silent if now_s - beat.beat_s > FORGET_AFTER]
        for name in stale:
            self.forget(name)
        return len(stale)

    def put_pool(self, record: PoolRecord) -> None:
        """Write or replace the record of a worker of a pool."""
        with redis_errors("write a pool record"):
            self._client.hset(self._keys.pools, record.worker, encode("pool", asdict(record)))

    def pools(self) -> list[PoolRecord]:
        """All pool records, by worker name."""
        stored = self._read_all(self._keys.pools, "read the pool records")
        return [_load(PoolRecord, "pool", name, data) for name, data in stored]

    def remove_pool(self, name: str) -> None:
        """Remove the record of worker `name`, see `worker_name`."""
        with redis_errors("remove a pool record"):
            self._client.hdel(self._keys.pools, name)

    def _tell_lost(self, beat: WorkerBeat) -> None:
        """Tell that this process was lost, once."""
        event = WorkerLost(worker=beat.name, role=beat.role, beat_s=beat.beat_s)
        mark = self._keys.nudge(f":lost:{beat.name}:{beat.pid}:{beat.started_s!r}")
        with redis_errors(f"tell that worker {beat.name} is lost"):
            self._tell_once(keys=[mark, self._keys.events], args=[_TOLD_MS, event.type, encode_event(event)])

    def _beats(self) -> list[WorkerBeat]:
        stored = self._read_all(self._keys.workers, "read the heartbeats")
        return [_load(WorkerBeat, "beat", name, data) for name, data in stored]

    def _read_all(self, key: str, action: str) -> list[tuple[str, bytes]]:
        with redis_errors(action):
            stored = cast("dict[bytes, bytes]", self._client.hgetall(key))
        return sorted((name.decode(errors="replace"), data) for name, data in stored.items())


def _load(record: type[_Record], kind: str, name: str, data: bytes) -> _Record:
    payload = decode(kind, data)
    values: dict[str, Any] = {}
    for field in fields(record):
        # What an older version wrote lacks the fields that have a default.
        value = payload.get(field.name, None if field.default is MISSING else field.default)
        # A bool is an int to isinstance, but not to us.
        if not isinstance(value, _TYPES[str(field.type)]) or isinstance(value, bool) != (field.type == "bool"):
            found = f"{field.name} must be {field.type}, got {shown(value, 40)}"
            raise DamagedRecordError(f"{kind} record {shown(name)}: {found}")
        values[field.name] = value
    return record(**values)
