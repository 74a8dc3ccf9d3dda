"""The file of a backup: frames of msgpack, each with a checksum, and one checksum of the whole at the end.

    magic (16 bytes)  format (2 bytes)  frame*  end frame
    frame: length (4 bytes)  checksum (16 bytes, of the frame's number and its payload)  payload

Payloads are `Head`, `Chunk` (a part of one key), and at the end how many there were with the SHA-256 of everything
before. Numbers are big-endian. A reader checks the whole file before anybody uses anything of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any, TypeVar

import msgpack

from swarm.errors import DamagedRecordError, NewerRecordError
from swarm.wire.keys import check_name

_T = TypeVar("_T")

MAGIC = b"sona-swarm backup"[:16]
FORMAT = 1
MAX_PAYLOAD_BYTES = 128 * 2**20
"""More than the largest value of any key, with its envelope."""
TYPES = ("string", "hash", "zset", "set", "list", "stream")
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_NUMBER_BYTES = 4
_SUM_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Of which swarm a backup is, which schema that has, and when it was begun, by Redis's clock.

    `agent` is "" for a whole swarm; else the file holds that agent alone, and is no swarm that could be restored.
    """

    swarm: str
    schema: int
    at_s: float
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of one key: of agent `agent` ("" for the swarm's own) and with `name` behind its hash tag.

    `items` are values; fields and values in turn; members and scores in turn; ids and lists of fields and values in
    turn. `ttl_ms` is what is left of the key's life, -1 without an end; `last_id` that of a stream.
    """

    agent: str
    name: bytes
    type: str
    items: tuple[Any, ...]
    ttl_ms: int = -1
    last_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a whole and undamaged file holds."""

    head: Head
    frames: int
    size_bytes: int


class BackupWriter:
    """Writes a backup into an open binary file, frame by frame."""

    def __init__(self, file: IO[bytes], head: Head) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.frames = 0
        self.size_bytes = 0
        self._put_bytes(MAGIC + FORMAT.to_bytes(2, "big"))
        # Without the field that a whole swarm has no use for, older programs read the backup, and refuse an agent.
        values = asdict(head)
        self._put(["head", values if head.agent else {name: values[name] for name in ("swarm", "schema", "at_s")}])

    def put(self, chunk: Chunk) -> None:
        """Write a part of a key."""
        self._put(["key", [chunk.agent, chunk.name, chunk.type, list(chunk.items), chunk.ttl_ms, chunk.last_id]])

    def end(self) -> None:
        """Write the end; without it the file is refused."""
        self._put(["end", {"frames": self.frames, "sha256": self._digest.digest()}])

    def _put(self, payload: list[object]) -> None:
        data: bytes = msgpack.packb(payload, use_bin_type=True)
        self._put_bytes(len(data).to_bytes(_NUMBER_BYTES, "big") + _checksum(self.frames, data) + data)
        self.frames += 1

    def _put_bytes(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)
        self.size_bytes += len(data)


def verify(file: IO[bytes]) -> Contents:
    """Read a file to its end, and check everything.

    Raises
    ------
    DamagedRecordError
        If it is cut, damaged, or no backup.
    NewerRecordError
        If a newer version wrote it.
    """
    reader = _Reader(file)
    head = reader.head()
    for _ in reader.chunks():
        pass
    return Contents(head=head, frames=reader.frames, size_bytes=reader.size_bytes)


def chunks(file: IO[bytes]) -> Iterator[Chunk]:
    """The parts of keys of a file that is verified; errors as in `verify`."""
    reader = _Reader(file)
    reader.head()
    yield from reader.chunks()


class _Reader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.frames = 0
        self.size_bytes = 0

    def head(self) -> Head:
        if self._read(len(MAGIC), "the beginning") != MAGIC:
            raise DamagedRecordError("backup: this file is no backup, and no agent.swarm")
        version = int.from_bytes(self._read(2, "the format"), "big")
        if version > FORMAT:
            raise NewerRecordError(f"backup: format {version}, this program reads up to {FORMAT}: upgrade it")
        if version < 1:
            raise DamagedRecordError(f"backup: there is no format {version}")
        kind, values = self._frame()
        if kind != "head":
            raise _damaged(0, "it is not the head")
        return _built(0, _head, values)

    def chunks(self) -> Iterator[Chunk]:
        while True:
            before = self._digest.digest()
            kind, values = self._frame()
            number = self.frames - 1
            if kind == "end":
                if not isinstance(values, dict) or values != {"frames": number, "sha256": before}:
                    raise _damaged(number, "the checksum of the whole does not fit")
                if self._file.read(1):
                    raise DamagedRecordError("backup: something follows its end")
                return
            if kind != "key":
                raise _damaged(number, f"of kind {kind!r:.40}")
            yield _built(number, _chunk, values)

    def _frame(self) -> tuple[object, Any]:
        number = self.frames
        length = int.from_bytes(self._read(_NUMBER_BYTES, f"frame {number}"), "big")
        if length > MAX_PAYLOAD_BYTES:
            raise _damaged(number, f"{length} bytes, the bound is {MAX_PAYLOAD_BYTES}")
        checksum = self._read(_SUM_BYTES, f"frame {number}")
        data = self._read(length, f"frame {number}")
        if _checksum(number, data) != checksum:
            raise _damaged(number, "its checksum does not fit")
        self.frames += 1
        try:
            kind, values = msgpack.unpackb(
                data,
                raw=False,
                max_str_len=MAX_PAYLOAD_BYTES,
                max_bin_len=MAX_PAYLOAD_BYTES,
                max_array_len=length,
                max_map_len=length,
                max_ext_len=0,
            )
        except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as error:
            raise _damaged(number, f"not readable ({type(error).__name__})") from error
        return kind, values

    def _read(self, count: int, what: str) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise DamagedRecordError(f"backup: it ends in {what}, after {self.size_bytes + len(data)} bytes: it is cut")
        self._digest.update(data)
        self.size_bytes += count
        return data


def _built(number: int, build: Callable[[Any], _T], values: Any) -> _T:
    try:
        return build(values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(number, f"{type(error).__name__}: {error!s:.200}") from error


def _head(values: Any) -> Head:
    head = Head(**values)
    check_name(head.swarm, "swarm")
    if head.agent != "":
        check_name(head.agent, "agent")
    if type(head.schema) is not int or not 0 <= head.schema < 2**31 or not isinstance(head.at_s, float):
        raise ValueError(f"schema {head.schema!r:.40} at {head.at_s!r:.40}")
    return head


def _chunk(values: Any) -> Chunk:
    agent, name, kind, items, ttl_ms, last_id = values
    if agent != "":
        check_name(agent, "agent")
    if not isinstance(name, bytes) or not name or kind not in TYPES or not isinstance(items, list):
        raise ValueError(f"a key {name!r:.40} of type {kind!r:.40}")
    if type(ttl_ms) is not int or not -1 <= ttl_ms < 2**53 or not (last_id == "" or _is_id(last_id)):
        raise ValueError(f"a lifetime of {ttl_ms!r:.40} ms, a last id of {last_id!r:.40}")
    if kind in ("hash", "zset", "stream") and len(items) % 2:
        raise ValueError(f"a {kind} with {len(items)} items")
    if not all(map(_CHECKS.get(kind, _is_bytes), items[::2])) or not all(
        map(_SECONDS.get(kind, _is_bytes), items[1::2])
    ):
        raise ValueError(f"a {kind} with items of another type")
    return Chunk(agent=agent, name=name, type=kind, items=tuple(items), ttl_ms=ttl_ms, last_id=last_id)


def _is_bytes(item: object) -> bool:
    return isinstance(item, bytes)


def _is_score(item: object) -> bool:
    return isinstance(item, float) and item == item


def _is_id(item: object) -> bool:
    return isinstance(item, str) and _ID.fullmatch(item) is not None


def _is_fields(item: object) -> bool:
    return isinstance(item, list) and len(item) > 0 and len(item) % 2 == 0 and all(map(_is_bytes, item))


_CHECKS = {"stream": _is_id}
_SECONDS = {"stream": _is_fields, "zset": _is_score}


def _checksum(number: int, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_SUM_BYTES, person=number.to_bytes(16, "big")).digest()


def _damaged(number: int, why: str) -> DamagedRecordError:
    return DamagedRecordError(f"backup: frame {number} is damaged: {why}")
