"""CrewAI: its memory in the swarm's Redis, durable, and the same for every crew that uses it.

    storage = SwarmStorage(swarm)
    memory = Memory(storage=storage, embedder=storage.embed, llm=...)

Needs the extra `crewai`, in an environment of its own: CrewAI wants older versions of `mcp` and `openai`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from crewai.memory.types import MemoryRecord, ScopeInfo

from swarm.services.document_view import Accept
from swarm.services.documents import Documents, embed_leniently
from swarm.services.swarm import Swarm
from swarm.store.documents import Put, Stored
from swarm.wire.document_records import Document, Place

_ROOT = "/"


class SwarmStorage:
    """A `StorageBackend` of CrewAI, kept by the swarm. A record's id names it; its scope is one of its fields.

    Parameters
    ----------
    swarm : whose Redis, and whose embedder if `embed` is used; by default the one of the environment
    collection : records of another collection are never seen; all its vectors have one dimension
    agent : the registered agent that remembers here: what it saved goes when that agent is forgotten
    """

    def __init__(self, swarm: Swarm | None = None, *, collection: str = "crewai", agent: str = "") -> None:
        self._swarm = swarm or Swarm()
        self._agent = agent
        self._documents = Documents(self._swarm.settings, self._swarm.client, collection)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The swarm's embedder, as `Memory(embedder=...)` takes one: no API key, no network."""
        return [[float(number) for number in row] for row in embed_leniently(self._swarm.embedder, texts)]

    # Single records

    def save(self, records: list[MemoryRecord]) -> None:
        """Keep records, all or none; one of a known id takes the place of the other.

        Raises
        ------
        EmbedderMismatchError, ShapeError
            If embeddings have another dimension than those that are kept, or than one another; nothing was written.
        """
        last = {record.id: self._put(record) for record in records}
        self._documents.write(list(last.values()))

    def update(self, record: MemoryRecord) -> None:
        """Replace the record of the same id; errors as in `save`."""
        self.save([record])

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """The record of an id, or None."""
        [found] = self._documents.get([_place(record_id)])
        return None if found is None else _record(found)

    # Many records

    def search(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """The records most like an embedding, by cosine, of a scope, with one of the categories and all the metadata.

        Raises
        ------
        EmbedderMismatchError
            If the embedding has another dimension than those that are kept.
        """
        found = self._documents.search(
            accept=_accepts(scope_prefix, categories, metadata_filter),
            query=np.asarray(query_embedding, dtype=np.float32),
            limit=limit,
        )
        return [(_record(stored), score) for stored, score in found if score is not None and score >= min_score]

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the records that meet every condition that is given, all if none is; how many."""
        found = self._documents.look(accept=_accepts(scope_prefix, categories, metadata_filter, older_than))
        wanted = None if record_ids is None else set(record_ids)
        return self._documents.write([], [held.place for held in found if wanted is None or held.place.key in wanted])

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """Records of a scope, newest first."""
        held = sorted(
            self._documents.look(accept=_accepts(scope_prefix)), key=lambda one: _created(one.value), reverse=True
        )
        found = self._documents.get([one.place for one in held[max(0, offset) :][: max(0, limit)]])
        return [_record(stored) for stored in found if stored is not None]

    def count(self, scope_prefix: str | None = None) -> int:
        """How many records a scope holds, those of the scopes in it counted too."""
        return len(self._values(scope_prefix))

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete all records of a scope, by default all."""
        self.delete(scope_prefix=scope_prefix)

    # Scopes and categories

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """What a scope holds, those of the scopes in it counted too."""
        path, values = _path(scope), self._values(scope)
        times = sorted(_created(value).replace(tzinfo=None) for value in values)
        return ScopeInfo(
            path=path,
            record_count=len(values),
            categories=sorted({name for value in values for name in value["categories"]}),
            oldest_record=times[0] if times else None,
            newest_record=times[-1] if times else None,
            child_scopes=_children(path, values),
        )

    def list_scopes(self, parent: str = _ROOT) -> list[str]:
        """The scopes right below another one that hold records."""
        return _children(_path(parent), self._values(parent))

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """How many records of a scope each category has."""
        return dict(Counter(name for value in self._values(scope_prefix) for name in value["categories"]))

    # The same for code that must not wait

    async def asave(self, records: list[MemoryRecord]) -> None:
        """See `save`."""
        await asyncio.to_thread(self.save, records)

    async def asearch(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """See `search`."""
        return await asyncio.to_thread(
            self.search, query_embedding, scope_prefix, categories, metadata_filter, limit, min_score
        )

    async def adelete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """See `delete`."""
        return await asyncio.to_thread(self.delete, scope_prefix, categories, record_ids, older_than, metadata_filter)

    def _put(self, record: MemoryRecord) -> Put:
        embedding = np.asarray(record.embedding, dtype=np.float32)[None, :] if record.embedding else None
        value = record.model_dump(mode="json", exclude={"id", "embedding"})
        return Put(document=Document(place=_place(record.id), value=value, vectors=embedding, agent=self._agent))

    def _values(self, scope: str | None) -> list[Mapping[str, Any]]:
        """The records of a scope, to be read only."""
        return [held.value for held in self._documents.look(accept=_accepts(scope))]


def _place(record_id: str) -> Place:
    """Ids name records in every scope, so the scope is no part of their place."""
    return Place((), record_id)


def _record(stored: Stored) -> MemoryRecord:
    vectors = stored.document.vectors
    embedding = None if vectors is None else [float(number) for number in vectors[0]]
    return MemoryRecord(id=stored.document.place.key, embedding=embedding, **stored.document.value)


def _accepts(
    scope: str | None,
    categories: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    older_than: datetime | None = None,
) -> Accept:
    """Whether a record is in a scope, or below it, has one of the categories, all the metadata, and is old enough."""
    path = _path(scope)

    def accepts(value: Mapping[str, Any]) -> bool:
        return (
            _is_in(_path(value["scope"]), path)
            and (not categories or any(name in value["categories"] for name in categories))
            and all(value["metadata"].get(name) == wanted for name, wanted in (metadata or {}).items())
            and (older_than is None or _created(value) < _in_utc(older_than))
        )

    return accepts


def _path(scope: str | None) -> str:
    """A scope as CrewAI writes it.

    >>> _path("crew/ada/"), _path(None)
    ('/crew/ada', '/')
    """
    return _ROOT + "/".join(part for part in (scope or "").split("/") if part)


def _is_in(scope: str, parent: str) -> bool:
    return parent == _ROOT or scope == parent or scope.startswith(f"{parent}/")


def _children(parent: str, values: Sequence[Mapping[str, Any]]) -> list[str]:
    """The scopes right below one that records are in."""
    begin = parent.rstrip("/") + "/"
    below = (_path(value["scope"]).removeprefix(begin).partition("/")[0] for value in values)
    return sorted({begin + name for value, name in zip(values, below, strict=True) if _path(value["scope"]) != parent})


def _created(value: Mapping[str, Any]) -> datetime:
    return _in_utc(datetime.fromisoformat(value["created_at"]))


def _in_utc(time: datetime) -> datetime:
    """CrewAI's times are UTC and do not say so; those that do say so must be compared with them."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
