"""Keys as parts of a backup, and back: by their type, so that any version of Redis can read what another wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import redis

from swarm.errors import DamagedRecordError
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes, to_entries, to_text
from swarm.wire.backup_format import Chunk
from swarm.wire.keys import SwarmKeys

CHUNK_BYTES = 2**20
"""About so much is in one part of a key, or one value if that is larger."""
_PAGE = 20
"""Values are asked for so many at a time, because each may have megabytes."""
_ENTRIES = 200
_COMMANDS = 1_000
"""At most so many are sent together."""


class Dumper:
    """Reads keys of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys

    def key(self, key: str | bytes, *, last_id: str | None = None) -> Iterator[Chunk]:
        """The parts of a key as it is; none if it is not there, or has expired meanwhile.

        Of a stream only entries up to `last_id` are read, and that is its last id then.
        """
        with redis_errors(f"read the key {key!r:.80}"):
            kind, ttl_ms = to_text(self._client.type(key)), int(self._client.pttl(key))
            if kind == "none" or ttl_ms == -2:
                return
            if kind == "stream" and last_id is None:
                last_id = stream_end(self._client, key)
            pages = self._pages(key, kind, last_id or "+")
            yield from self.chunks(key, kind, pages, ttl_ms=ttl_ms, last_id=last_id or "")

    def chunks(
        self, key: str | bytes, kind: str, pages: Iterable[list[Any]], *, ttl_ms: int = -1, last_id: str = ""
    ) -> Iterator[Chunk]:
        """Parts of a key from its items; at least one."""
        agent, name = split_key(self._keys, key)

        def chunk(items: list[Any]) -> Chunk:
            return Chunk(agent=agent, name=name, type=kind, items=tuple(items), ttl_ms=ttl_ms, last_id=last_id)

        waiting: list[Any] = []
        size, is_first = 0, True
        for page in pages:
            waiting += page
            size += sum(map(_size, page))
            if size >= CHUNK_BYTES:
                yield chunk(waiting)
                waiting, size, is_first = [], 0, False
        if waiting or is_first:
            yield chunk(waiting)

    def _pages(self, key: str | bytes, kind: str, last_id: str) -> Iterator[list[Any]]:
        # redis-py types replies by what they may be with any of its options.
        client: Any = self._client
        if kind == "string":
            value = to_bytes(client.get(key))
            yield [] if value is None else [value]
        elif kind == "hash":
            cursor: Any = None
            while cursor != 0:
                cursor, found = client.hscan(key, cursor=cursor or 0, count=_PAGE)
                yield [part for pair in found.items() for part in pair]
        elif kind == "zset":
            cursor = None
            while cursor != 0:
                cursor, scored = client.zscan(key, cursor=cursor or 0, count=_ENTRIES)
                yield [part for pair in scored for part in pair]
        elif kind == "set":
            yield sorted(client.smembers(key))
        elif kind == "list":
            first = 0
            while page := client.lrange(key, first, first + _ENTRIES - 1):
                yield list(page)
                first += _ENTRIES
        elif kind == "stream":
            yield from self._entries(key, last_id)
        else:
            raise DamagedRecordError(f"the key {key!r:.80} is of type {kind}, which no swarm has")

    def _entries(self, key: str | bytes, last_id: str) -> Iterator[list[Any]]:
        first = "-"
        while page := to_entries(self._client.xrange(key, min=first, max=last_id, count=_ENTRIES)):
            yield [
                part
                for entry_id, fields in page
                for part in (entry_id, [part for pair in fields.items() for part in pair])
            ]
            first = f"({page[-1][0]}"


class Loader:
    """Writes keys of a backup into the swarm of `keys`, whatever the swarm was called."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._pipeline = client.pipeline(transaction=False)
        self._waiting_bytes = 0

    def put(self, chunk: Chunk) -> None:
        """Write a part of a key, at the latest with `flush`; parts of one key come in their order."""
        key, items = self.key_of(chunk), list(chunk.items)
        self._add(self._pipeline, key, chunk, items)
        if chunk.ttl_ms >= 0:
            self._pipeline.pexpire(key, max(1, chunk.ttl_ms))
        self._waiting_bytes += _size(items)
        if self._waiting_bytes >= CHUNK_BYTES or len(self._pipeline) >= _COMMANDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with redis_errors(f"write the swarm {self._keys.swarm}"):
            self._pipeline.execute()
        self._waiting_bytes = 0

    def key_of(self, chunk: Chunk) -> bytes:
        """The name of a key in this swarm."""
        tag = f"{self._keys.swarm}/{chunk.agent}" if chunk.agent else self._keys.swarm
        return f"{{{tag}}}:".encode() + chunk.name

    def _add(self, pipeline: Any, key: bytes, chunk: Chunk, items: list[Any]) -> None:
        pairs = list(zip(items[::2], items[1::2], strict=False))
        if chunk.type == "string":
            for value in items:
                pipeline.set(key, value)
        elif chunk.type == "hash" and items:
            pipeline.execute_command("HSET", key, *items)
        elif chunk.type == "zset" and items:
            pipeline.zadd(key, dict(pairs))
        elif chunk.type == "set" and items:
            pipeline.sadd(key, *items)
        elif chunk.type == "list" and items:
            pipeline.rpush(key, *items)
        elif chunk.type == "stream":
            for entry_id, fields in pairs:
                pipeline.execute_command("XADD", key, entry_id, *fields)
            if not items and chunk.last_id != "0-0":
                # An empty stream still knows its last id: later ones must be greater.
                pipeline.execute_command("XADD", key, chunk.last_id, "x", "x")
                pipeline.xdel(key, chunk.last_id)


def set_last_id(client: Client, key: bytes, last_id: str) -> None:
    """Let a stream go on behind `last_id`, though its last entries may be gone."""
    with redis_errors(f"set the last id of {key!r:.80}"):
        client.execute_command("XSETID", key, last_id)  # type: ignore[no-untyped-call]  # redis-py has no name for it


def stream_end(client: Client, key: str | bytes) -> str:
    """The last id that a stream gave out, whether or not the entry is still there; "0-0" without a stream."""
    try:
        return to_text(client.xinfo_stream(key)["last-generated-id"])
    except redis.ResponseError as error:
        if "no such key" in str(error):
            return "0-0"
        raise


def split_key(keys: SwarmKeys, key: str | bytes) -> tuple[str, bytes]:
    """(agent, or "" for the swarm's own; what stands behind the hash tag) of a key of this swarm."""
    name = key.encode() if isinstance(key, str) else key
    tag, _, rest = name.partition(b"}:")
    return tag.decode().removeprefix("{" + keys.swarm).removeprefix("/"), rest


def _size(item: Any) -> int:
    if isinstance(item, bytes | str):
        return len(item) + 8
    return sum(map(_size, item)) + 8 if isinstance(item, list) else 16
