"""Documents of one collection in Redis: written all or none, each with a life of its own, and a log of what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swarm.errors import CapacityError, EmbedderMismatchError
from swarm.store.connection import Client, redis_errors
from swarm.store.document_scripts import READ, TIDY, WRITE
from swarm.store.reply import to_bytes, to_entries, to_text
from swarm.wire.document_records import Document, Place, decode_document, document_id, encode_document
from swarm.wire.keys import DOCLOG_LENGTH, SwarmKeys, check_name

_PAGE = 100
"""Documents that are fetched at a time: each may have megabytes."""
_NAMES = 1_000
_OF_ANOTHER, _TOO_MANY = -1, -2
"""Why `WRITE` wrote nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A document to write; it expires `ttl_s` seconds after it was put or, if it is to live on, read."""

    document: Document
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A document as it was found. Times are seconds since the epoch, by Redis's clock."""

    id: str
    document: Document
    created_s: float
    updated_s: float
    ttl_s: float | None
    expires_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far somebody follows a collection: the last entry of its log, and how many there had been."""

    last_id: str
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happened since a position: forget everything first if `is_full`, then fetch `put`, drop `gone`.

    `expires_s` says of documents that nothing else happened to when they expire now; `space` whose vectors the
    collection holds, "" if none.
    """

    position: Position
    now_s: float
    space: str
    is_full: bool
    put: Collection[str]
    gone: Collection[str] = ()
    expires_s: Mapping[str, float] = field(default_factory=dict)


class DocumentStore:
    """One collection. `max_documents` may be in it."""

    def __init__(self, client: Client, keys: SwarmKeys, collection: str, max_documents: int) -> None:
        self.collection = check_name(collection, "collection")
        self._client = client
        self._keys = keys
        self._max = max_documents
        self._write = client.register_script(WRITE)
        self._read = client.register_script(READ)
        self._tidy = client.register_script(TIDY)

    def write(self, puts: Sequence[Put], deletes: Sequence[Place] = (), *, space: str = "") -> int:
        """Delete, then put, all or none; how many of those to delete were there.

        Parameters
        ----------
        space : whose vectors these are, "" if none has any

        Raises
        ------
        InputError, CapacityError
            If a document cannot be stored, or there would be more than `max_documents`; nothing was written.
        EmbedderMismatchError
            If the collection holds vectors of another embedder; nothing was written.
        """
        args: list[str | bytes | int] = [self.collection, DOCLOG_LENGTH, self._max, space]
        ids = [document_id(place) for place in deletes]
        for name in ids:
            args += [name, b"", 0, ""]
        for put in puts:
            ids.append(document_id(put.document.place))
            ttl_ms = 0 if put.ttl_s is None else max(1, round(put.ttl_s * 1_000))
            args += [ids[-1], encode_document(put.document), ttl_ms, put.document.agent]
        if not ids:
            return 0
        done, detail = self._attempt(ids, args)
        if done in (_OF_ANOTHER, _TOO_MANY):
            # What has expired may still be counted.
            self.tidy(list(self._everything().put))
            done, detail = self._attempt(ids, args)
        if done == _OF_ANOTHER:
            raise EmbedderMismatchError(
                f"collection {self.collection} holds vectors of {to_text(detail)}, got some of {space}: take another "
                "collection, or delete what is in it"
            )
        if done == _TOO_MANY:
            raise CapacityError(
                f"collection {self.collection}: {detail} documents, the bound is {self._max} (max_documents)"
            )
        return int(done)

    def _attempt(self, ids: Sequence[str], args: Sequence[str | bytes | int]) -> tuple[int, Any]:
        with redis_errors(f"write documents of {self.collection}"):
            done, detail = self._write(keys=self._keys_of(ids), args=args)
        return done, detail

    def read(self, ids: Sequence[str], lives_on: Sequence[bool] | None = None) -> list[Stored | None]:
        """Documents by id, None for what is not there; those that `lives_on` marks begin their lives anew."""
        marks = [False] * len(ids) if lives_on is None else lives_on
        found: list[Stored | None] = []
        for start in range(0, len(ids), _PAGE):
            page = slice(start, start + _PAGE)
            found += self._page(ids[page], marks[page])
        return found

    def _page(self, ids: Sequence[str], lives_on: Sequence[bool]) -> Iterator[Stored | None]:
        args: list[str | int] = [self.collection, DOCLOG_LENGTH]
        args += [part for name, mark in zip(ids, lives_on, strict=True) for part in (name, int(mark))]
        with redis_errors(f"read documents of {self.collection}"):
            now_ms, *found = self._read(keys=self._keys_of(ids), args=args)
        for name, entry in zip(ids, found, strict=True):
            yield None if entry is None else _stored(name, entry, now_ms)

    def changes(self, since: Position | None) -> Changes:
        """What happened since a position; everything, if that is None or not in the log any more."""
        if since is None:
            return self._everything()
        names = [f"{self.collection}:writes", f"{self.collection}:space"]
        with redis_errors(f"follow the documents of {self.collection}"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.time()
            pipeline.hmget(self._keys.collections, names)
            pipeline.xrange(self._keys.doclog(self.collection), min=f"({since.last_id}", max="+")
            time, (writes, space), log = pipeline.execute()
        entries = to_entries(log)
        # Every entry was counted. If that does not come out, some are gone: too many came, or Redis lost some.
        if since.writes + len(entries) != int(writes or 0):
            return self._everything()
        happened: dict[str, dict[bytes, bytes]] = {}
        for _, fields in entries:
            name = to_text(next(iter(fields.values())))
            if b"until" not in fields or b"until" in happened.get(name, fields):
                happened[name] = fields
        return Changes(
            position=Position(last_id=entries[-1][0] if entries else since.last_id, writes=int(writes or 0)),
            now_s=_seconds(time),
            space=(to_bytes(space) or b"").decode(),
            is_full=False,
            put=[name for name, fields in happened.items() if b"put" in fields],
            gone=[name for name, fields in happened.items() if b"gone" in fields],
            expires_s={name: int(fields[b"at"]) / 1e3 for name, fields in happened.items() if b"until" in fields},
        )

    def _everything(self) -> Changes:
        names = [f"{self.collection}:writes", f"{self.collection}:space"]
        with redis_errors(f"list the documents of {self.collection}"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.time()
            pipeline.hmget(self._keys.collections, names)
            pipeline.xrevrange(self._keys.doclog(self.collection), count=1)
            pipeline.zrange(self._keys.documents(self.collection), 0, -1)
            time, (writes, space), newest, ids = pipeline.execute()
        entries = to_entries(newest)
        return Changes(
            position=Position(last_id=entries[0][0] if entries else "0-0", writes=int(writes or 0)),
            now_s=_seconds(time),
            space=(to_bytes(space) or b"").decode(),
            is_full=True,
            put=[to_text(name) for name in ids],
        )

    def tidy(self, ids: Sequence[str]) -> None:
        """Take documents out of the list that have expired; nothing happens to the others."""
        keys = self._keys
        for start in range(0, len(ids), _NAMES):
            page = ids[start : start + _NAMES]
            names = [keys.documents(self.collection), *(keys.document(self.collection, name) for name in page)]
            with redis_errors(f"tidy the documents of {self.collection}"):
                self._tidy(keys=names, args=page)

    def erase_of_agent(self, agent: str) -> int:
        """Delete what an agent has written; how many documents."""
        ids, count = list(self._everything().put), 0
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            with redis_errors(f"look for documents of {agent}"):
                pipeline = self._client.pipeline(transaction=False)
                for name in page:
                    pipeline.hget(self._keys.document(self.collection, name), "agent")
                writers = pipeline.execute()
            theirs = [name for name, writer in zip(page, writers, strict=True) if writer == agent.encode()]
            places = [stored.document.place for stored in self.read(theirs) if stored is not None]
            count += self.write([], places)
        return count

    def _keys_of(self, ids: Sequence[str]) -> list[str]:
        keys, name = self._keys, self.collection
        own = (keys.document(name, document) for document in ids)
        return [keys.collections, keys.documents(name), keys.doclog(name), *own]


def collections_of(client: Client, keys: SwarmKeys) -> list[str]:
    """The collections of a swarm, by name."""
    with redis_errors("list the collections"):
        fields = client.hkeys(keys.collections)
    return sorted({to_text(field).partition(":")[0] for field in fields})


def _stored(name: str, entry: list[bytes | int], now_ms: int) -> Stored:
    record, created, updated, ttl_ms, left_ms = entry
    assert isinstance(record, bytes)
    return Stored(
        id=name,
        document=decode_document(record),
        created_s=float(created) / 1e6,
        updated_s=float(updated) / 1e6,
        ttl_s=int(ttl_ms) / 1e3 or None,
        expires_s=None if int(left_ms) < 0 else (now_ms + int(left_ms)) / 1e3,
    )


def _seconds(time: tuple[int, int]) -> float:
    return time[0] + time[1] / 1e6
