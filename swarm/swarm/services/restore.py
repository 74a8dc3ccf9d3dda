"""Restore of a swarm from the file of a backup, under its name or another.

The whole file is checked before anything is written. While it is written, `meta` says so, and nobody can use the swarm;
its own `meta` takes that place at the end. So a restore that was killed leaves no half of a swarm behind that anybody
would take for a whole one, and can be run again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from swarm.errors import InputError, NewerRecordError, RuntimeSetupError
from swarm.settings import Settings
from swarm.store.connection import Client, clock_s, connect, redis_errors
from swarm.store.dump import Loader, set_last_id
from swarm.store.erase import erase_swarm
from swarm.store.migrations import migrate
from swarm.store.reply import to_bytes
from swarm.store.workers import WorkerRegistry
from swarm.wire.backup_format import Chunk, Contents, chunks, verify
from swarm.wire.keys import SwarmKeys, check_name
from swarm.wire.schema import RESTORING_FIELD, SCHEMA, SCHEMA_FIELD, refuse_unreadable

_META = b"meta"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What was restored: `source` as `swarm`, as it was at `at_s`."""

    source: str
    swarm: str
    at_s: float
    keys: int
    size_bytes: int
    replaced: int
    """Keys that were erased before."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def check_backup(path: Path) -> Contents:
    """Check the whole file.

    Raises
    ------
    RuntimeSetupError
        If it cannot be read.
    DamagedRecordError, NewerRecordError
        If it is cut, damaged or newer than this program, or the swarm in it is.
    """
    with _opened(path) as file:
        return _check(file)


def restore(path: Path, settings: Settings, name: str | None = None, *, replace: bool = False) -> RestoreReport:
    """Write the swarm of a backup into the Redis of `settings`.

    Parameters
    ----------
    name : of the restored swarm; by default the one it had
    replace : erase a swarm of that name first

    Raises
    ------
    RuntimeSetupError
        If the file cannot be read, or workers of that swarm are alive.
    DamagedRecordError, NewerRecordError
        As in `check_backup`, or the swarm that is there is newer than this program; nothing was written.
    InputError
        If there is such a swarm already, and `replace` is False, or the file holds an agent alone; nothing was written.
    """
    with _opened(path) as file:
        contents = _check(file)
        target = check_name(name or contents.head.swarm, "name")
        settings = settings.model_copy(update={"name": target})
        # A swarm that was left half restored is refused by every connection but this one.
        with connect(settings, is_checked=False) as client:
            keys = SwarmKeys(target)
            replaced = _make_room(client, keys, replace=replace)
            file.seek(0)
            count = _write(client, keys, file)
            migrate(client, keys)
    return RestoreReport(
        source=contents.head.swarm,
        swarm=target,
        at_s=contents.head.at_s,
        keys=count,
        size_bytes=contents.size_bytes,
        replaced=replaced,
    )


def _check(file: IO[bytes]) -> Contents:
    contents = verify(file)
    if contents.head.agent:
        raise InputError(f"this file holds the agent {contents.head.agent} alone, no swarm: swarm import reads it")
    if contents.head.schema > SCHEMA:
        raise NewerRecordError(
            f"backup: its swarm {contents.head.swarm} has schema {contents.head.schema}, this program knows schemas up "
            f"to {SCHEMA}: upgrade it"
        )
    return contents


def _make_room(client: Client, keys: SwarmKeys, *, replace: bool) -> int:
    """Erase what is there, if that is wanted, and note that a restore is under way; how many keys went."""
    alive = WorkerRegistry(client, keys).alive(clock_s(client))
    if alive:
        raise RuntimeSetupError(
            f"swarm {keys.swarm}: its workers are alive ({', '.join(beat.name for beat in alive[:3])}): stop them first"
        )
    with redis_errors("read the swarm's schema"):
        # Not `restoring`: this completes it.
        refuse_unreadable(keys.swarm, to_bytes(client.hget(keys.meta, SCHEMA_FIELD)), None)
    is_empty = _is_empty(client, keys)
    if not is_empty and not replace:
        raise InputError(f"swarm {keys.swarm} is not empty: --replace erases it first, --as gives another name")
    with redis_errors(f"begin the restore of {keys.swarm}"):
        client.hset(keys.meta, RESTORING_FIELD, 1)
    return 0 if is_empty else erase_swarm(client, keys, keep=frozenset({keys.meta.encode()}))


def _is_empty(client: Client, keys: SwarmKeys) -> bool:
    with redis_errors(f"look whether swarm {keys.swarm} is empty"):
        return all(next(client.scan_iter(match=pattern, count=1000), None) is None for pattern in keys.patterns)


def _write(client: Client, keys: SwarmKeys, file: IO[bytes]) -> int:
    """Write every key, `meta` last; how many there were."""
    loader, meta, ends = Loader(client, keys), list[Chunk](), dict[bytes, str]()
    count, last = 0, b""
    for chunk in chunks(file):
        key = loader.key_of(chunk)
        count, last = count + (key != last), key
        if chunk.agent == "" and chunk.name == _META:
            meta.append(chunk)
            continue
        loader.put(chunk)
        if chunk.type == "stream" and chunk.last_id != "0-0":
            ends[key] = chunk.last_id
    loader.flush()
    for key, last_id in ends.items():
        set_last_id(client, key, last_id)
    _finish(client, keys, meta)
    return count


def _finish(client: Client, keys: SwarmKeys, meta: list[Chunk]) -> None:
    items = [item for chunk in meta for item in chunk.items]
    with redis_errors(f"end the restore of {keys.swarm}"):
        pipeline = client.pipeline(transaction=True)
        pipeline.delete(keys.meta)
        if items:
            pipeline.hset(keys.meta, items=items)
        pipeline.execute()


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise RuntimeSetupError(f"cannot read the backup {path}: {error.strerror or error}") from error
