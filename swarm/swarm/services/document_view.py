"""A local view of one collection of documents, which follows its log: a search costs one look at what changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from swarm.errors import EmbedderMismatchError
from swarm.sona.vectors import Integers, Vector, check_vector, unit, unit_rows
from swarm.store.documents import DocumentStore, Position, Stored
from swarm.wire.document_records import Namespace, Place

Accept = Callable[[Any], bool]
"""Whether a value is wanted; it must not change it."""
_FIRST_ROWS = 64
_DIGITS = 6
"""Digits of a score. float32 tells no more, and equal vectors must come out equal."""


@dataclass(slots=True)
class Held:
    """A document in the view. Its value is shared: whoever reads it must not change it."""

    id: str
    place: Place
    value: Any
    created_s: float
    expires_s: float | None
    rows: Sequence[int]


class DocumentView:
    """The documents of one collection in this process; safe to use from several threads."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._position: Position | None = None
        self._space = ""
        self._held: dict[str, Held] = {}
        self._in: dict[Namespace, dict[str, Held]] = {}
        self._mortal: dict[str, Held] = {}
        self._rows = _Rows()

    def look(self, prefix: Namespace, accept: Accept | None) -> list[Held]:
        """The documents of namespaces with this prefix that are accepted, in the order in which they were first put.

        Raises
        ------
        StoreUnavailableError
            If Redis is away: what is not known to be there is not found.
        """
        with self._lock:
            self._follow()
            return self._accepted(prefix, accept)

    def search(
        self, prefix: Namespace, accept: Accept | None, query: Vector, space: str, page: slice
    ) -> list[tuple[Held, float | None]]:
        """A page of what `look` finds, with its scores: the most like the query first, by cosine.

        Those without a vector come last and have no score.

        Raises
        ------
        StoreUnavailableError
            As in `look`.
        EmbedderMismatchError
            If the collection holds vectors of another embedder than `space`.
        """
        with self._lock:
            self._follow()
            found = self._accepted(prefix, accept)
            if self._rows.dim is None:
                return [(held, None) for held in found[page]]
            if space != self._space:
                raise EmbedderMismatchError(
                    f"collection {self._store.collection} holds vectors of {self._space}, asked for one of {space}"
                )
            best = self._best(found, query)
        order = np.argsort(-best, kind="stable")[page]
        return [(found[i], float(best[i]) if np.isfinite(best[i]) else None) for i in order.tolist()]

    def namespaces(self) -> list[Namespace]:
        """The namespaces that hold documents, sorted."""
        with self._lock:
            self._follow()
            return sorted(self._in)

    def _accepted(self, prefix: Namespace, accept: Accept | None) -> list[Held]:
        size = len(prefix)
        found = [
            held
            for namespace, inside in self._in.items()
            if namespace[:size] == prefix
            for held in inside.values()
            if accept is None or accept(held.value)
        ]
        return sorted(found, key=attrgetter("created_s"))

    def _best(self, found: Sequence[Held], query: Vector) -> Vector:
        """The largest score among the vectors of each document; minus infinity for those that have none."""
        best = np.full(len(found), -np.inf, dtype=np.float32)
        rows = np.array([row for held in found for row in held.rows], dtype=np.intp)
        owners = np.repeat(np.arange(len(found)), [len(held.rows) for held in found])
        np.maximum.at(best, owners, self._rows.scores(query, rows))
        return best

    def _follow(self) -> None:
        changes = self._store.changes(self._position)
        if changes.is_full:
            self._held, self._in, self._mortal, self._rows = {}, {}, {}, _Rows()
        self._space = changes.space
        # First all that goes: what comes may have vectors of another dimension.
        for name in (*changes.gone, *changes.put):
            self._drop(name)
        for name, expires_s in changes.expires_s.items():
            if name in self._held:
                self._held[name].expires_s = expires_s
        self._expire(changes.now_s)
        self._fetch(list(changes.put))
        # Last: if something went wrong before, it is followed anew from where it stood.
        self._position = changes.position

    def _fetch(self, wanted: Sequence[str]) -> None:
        stored = self._store.read(wanted)
        self._store.tidy([name for name, one in zip(wanted, stored, strict=True) if one is None])
        for one in stored:
            if one is not None:
                self._hold(one)

    def _expire(self, now_s: float) -> None:
        expired = [
            name for name, held in self._mortal.items() if held.expires_s is not None and held.expires_s <= now_s
        ]
        for name in expired:
            self._drop(name)
        self._store.tidy(expired)

    def _hold(self, stored: Stored) -> None:
        document = stored.document
        rows = () if document.vectors is None else self._rows.add(document.vectors)
        held = Held(stored.id, document.place, document.value, stored.created_s, stored.expires_s, rows)
        self._held[stored.id] = held
        self._in.setdefault(document.place.namespace, {})[stored.id] = held
        if stored.expires_s is not None:
            self._mortal[stored.id] = held

    def _drop(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is None:
            return
        self._mortal.pop(name, None)
        self._rows.remove(held.rows)
        inside = self._in[held.place.namespace]
        del inside[name]
        if not inside:
            del self._in[held.place.namespace]


class _Rows:
    """Vectors of unit length in one array, with room for more; rows of what is gone are used again."""

    def __init__(self) -> None:
        self.dim: int | None = None
        self._vectors = np.zeros((0, 0), dtype=np.float32)
        self._free: list[int] = []

    def add(self, vectors: Vector) -> list[int]:
        n, d = vectors.shape
        if self.dim is None:
            self.dim, self._vectors = d, np.zeros((0, d), dtype=np.float32)
        if n > len(self._free):
            used = len(self._vectors)
            room = max(_FIRST_ROWS, used, n)
            self._vectors = np.concatenate([self._vectors, np.zeros((room, d), dtype=np.float32)])
            self._free += range(used + room - 1, used - 1, -1)
        rows = [self._free.pop() for _ in range(n)]
        self._vectors[rows] = unit_rows(vectors)
        return rows

    def remove(self, rows: Sequence[int]) -> None:
        self._free += rows
        if len(self._free) == len(self._vectors):
            # Empty: the next ones may be of another dimension.
            self.dim = None
            self._free = []

    def scores(self, query: Vector, rows: Integers) -> Vector:
        assert self.dim is not None
        direction = unit(check_vector(query, self.dim, "query"))
        # To copy most rows takes longer than to multiply all.
        is_few = 2 * len(rows) < len(self._vectors)
        scores: Vector = self._vectors[rows] @ direction if is_few else (self._vectors @ direction)[rows]
        return np.round(scores, _DIGITS)
