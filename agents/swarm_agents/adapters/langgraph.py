"""LangGraph: its long-term memory in the swarm's Redis, and a node with the hooks of an agent around it.

    graph = builder.compile(store=SwarmStore(swarm))

The store is a `BaseStore` with semantic search and lives that Redis ends. Needs the extra `langgraph`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from langchain_core.embeddings import Embeddings
from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    ensure_embeddings,
    get_text_at_path,
)

from swarm.embed.base import Embedder
from swarm.errors import InputError, ShapeError, shown
from swarm.services.document_filter import check_filter, meets
from swarm.services.documents import Documents, embed_leniently
from swarm.services.swarm import Swarm
from swarm.sona.vectors import Vector, check_count
from swarm.store.documents import Put, Stored
from swarm.wire.document_records import Document, Place

_WHOLE = "$"
"""The path of the whole value."""


class SwarmEmbeddings(Embeddings):
    """The swarm's embedder as one of LangChain's; what says nothing to it becomes zero, and is like nothing."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text."""
        return [[float(number) for number in row] for row in embed_leniently(self._embedder, texts)]

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.embed_documents([text])[0]


class SwarmStore(BaseStore):
    """A store of LangGraph, kept by the swarm: durable, and the same for all processes.

    Parameters
    ----------
    swarm : whose Redis, and whose embedder; by default the one of the environment
    index : which fields are embedded, by default the whole value; with `embed` another embedder than the swarm's, and
        with False nothing is embedded
    ttl : how long items live by default, and whether reading them begins their lives anew
    collection : items of another collection are never seen; it holds the vectors of one embedder
    agent : the registered agent that remembers here: what it put goes when that agent is forgotten
    """

    supports_ttl = True

    def __init__(
        self,
        swarm: Swarm | None = None,
        *,
        index: IndexConfig | Literal[False] | None = None,
        ttl: TTLConfig | None = None,
        collection: str = "langgraph",
        agent: str = "",
    ) -> None:
        swarm = swarm or Swarm()
        config: IndexConfig = index or {}
        self.ttl_config = ttl
        self.index_config = None if index is False else config
        self.embeddings: Embeddings | None
        self.embeddings, space = (None, "") if index is False else _embeddings(config, swarm)
        self._agent = agent
        self._fields = config.get("fields") or [_WHOLE]
        self._dim = config.get("dims")
        self._documents = Documents(swarm.settings, swarm.client, collection, space=space)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Answer operations: those that read as it was before, those that write all or none, the last one of a key.

        Raises
        ------
        InputError
            If an operation cannot be carried out; nothing was written.
        """
        asked = list(ops)
        texts = self._texts(asked)
        if self.embeddings is None or texts.is_empty:
            return self._answer(asked, {}, {})
        documents = self.embeddings.embed_documents(texts.documents) if texts.documents else []
        queries = [self.embeddings.embed_query(text) for text in texts.queries]
        return self._answer(asked, self._by_text(texts.documents, documents), self._by_text(texts.queries, queries))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As `batch`; embedding and Redis are waited for elsewhere."""
        asked = list(ops)
        texts = self._texts(asked)
        if self.embeddings is None or texts.is_empty:
            return await asyncio.to_thread(self._answer, asked, {}, {})
        documents = await self.embeddings.aembed_documents(texts.documents) if texts.documents else []
        queries = await asyncio.gather(*(self.embeddings.aembed_query(text) for text in texts.queries))
        vectors = self._by_text(texts.documents, documents), self._by_text(texts.queries, queries)
        return await asyncio.to_thread(self._answer, asked, *vectors)

    def _texts(self, ops: Sequence[Op]) -> _Texts:
        documents = dict.fromkeys(text for op in ops if isinstance(op, PutOp) for text in self._indexed(op))
        queries = dict.fromkeys(op.query for op in ops if isinstance(op, SearchOp) and op.query)
        return _Texts(list(documents), list(queries))

    def _indexed(self, op: PutOp) -> list[str]:
        """The texts by which an item is found."""
        if self.embeddings is None or op.value is None or op.index is False:
            return []
        paths = self._fields if op.index is None else op.index
        try:
            return [text for path in paths for text in get_text_at_path(dict(op.value), path)]
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"value must be JSON, got {type(error).__name__}: {str(error)[:120]}") from error

    def _by_text(self, texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> dict[str, Vector]:
        if not texts:
            return {}
        made = np.asarray(vectors, dtype=np.float32)
        if made.ndim != 2 or len(made) != len(texts) or (self._dim and made.shape[1] != self._dim):
            raise ShapeError(
                f"embed must answer {len(texts)} vectors of {self._dim or 'any'} numbers, got {made.shape}"
            )
        return dict(zip(texts, made, strict=True))

    def _answer(
        self, ops: Sequence[Op], documents: Mapping[str, Vector], queries: Mapping[str, Vector]
    ) -> list[Result]:
        gets = iter(self._get([op for op in ops if isinstance(op, GetOp)]))
        results: list[Result] = []
        puts: dict[Place, PutOp] = {}
        for op in ops:
            if isinstance(op, GetOp):
                results.append(next(gets))
            elif isinstance(op, SearchOp):
                results.append(self._search(op, queries))
            elif isinstance(op, ListNamespacesOp):
                results.append(self._list(op))
            elif isinstance(op, PutOp):
                puts[Place(op.namespace, op.key)] = op
                results.append(None)
            else:
                raise InputError(f"ops must be operations of a store, got {shown(op)}")
        self._put(puts, documents)
        return results

    def _get(self, ops: Sequence[GetOp]) -> list[Item | None]:
        places = [Place(op.namespace, op.key) for op in ops]
        found = self._documents.get(places, [op.refresh_ttl for op in ops]) if ops else []
        return [None if stored is None else Item(**_fields(stored)) for stored in found]

    def _search(self, op: SearchOp, queries: Mapping[str, Vector]) -> list[SearchItem]:
        conditions = check_filter(op.filter or {})
        found = self._documents.search(
            op.namespace_prefix,
            accept=(lambda value: meets(value, conditions)) if conditions else None,
            query=queries[op.query] if op.query and queries else None,
            limit=op.limit,
            offset=op.offset,
            lives_on=op.refresh_ttl,
        )
        return [SearchItem(**_fields(stored), score=score) for stored, score in found]

    def _list(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        first, most = check_count(op.offset, "offset", 0, 2**53), check_count(op.limit, "limit", 0, 2**53)
        conditions = op.match_conditions or ()
        found = [name for name in self._documents.namespaces() if all(_matches(name, one) for one in conditions)]
        if op.max_depth is not None:
            found = sorted({name[: op.max_depth] for name in found})
        return found[first : first + most]

    def _put(self, ops: Mapping[Place, PutOp], documents: Mapping[str, Vector]) -> None:
        puts, deletes = [], []
        for place, op in ops.items():
            if op.value is None:
                deletes.append(place)
                continue
            texts = self._indexed(op)
            document = Document(
                place=place,
                value=dict(op.value),
                vectors=np.stack([documents[text] for text in texts]) if texts else None,
                agent=self._agent,
            )
            puts.append(Put(document=document, ttl_s=None if op.ttl is None else 60.0 * op.ttl))
        self._documents.write(puts, deletes)


@dataclass(frozen=True, slots=True)
class _Texts:
    """What some operations need vectors of."""

    documents: list[str]
    queries: list[str]

    @property
    def is_empty(self) -> bool:
        return not (self.documents or self.queries)


def _embeddings(config: IndexConfig, swarm: Swarm) -> tuple[Embeddings, str]:
    """What makes the vectors, and its name."""
    if "embed" in config:
        return ensure_embeddings(config["embed"]), "the caller"
    identity = swarm.embedder.identity
    return SwarmEmbeddings(swarm.embedder), f"{identity.id}@{identity.version}"


def _fields(stored: Stored) -> dict[str, Any]:
    """What every item has."""
    return {
        "namespace": stored.document.place.namespace,
        "key": stored.document.place.key,
        "value": stored.document.value,
        "created_at": datetime.fromtimestamp(stored.created_s, UTC),
        "updated_at": datetime.fromtimestamp(stored.updated_s, UTC),
    }


def _matches(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    """Whether a namespace begins, or ends, as the condition says; `*` stands for any label."""
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise InputError(f"match_type must be prefix or suffix, got {shown(condition.match_type, 40)}")
    if len(path) > len(namespace):
        return False
    labels = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, labels, strict=True))
