"""Documents of a swarm: what the memories of agent frameworks remember, for all processes, until it expires.

    notes = Documents(swarm.settings, swarm.client, "notes")
    notes.write([Put(document=Document(place=Place(("users", "ada"), "1"), value={"likes": "tea"}))])
    notes.search(("users",))

They are no experience: nothing is learned from them, and no query of the swarm finds them. Vectors are what the caller
says they are; a collection holds those of one embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from swarm.embed.base import Embedder
from swarm.embed.text import MAX_TEXT_BYTES
from swarm.errors import ShapeError, TextError
from swarm.services.document_view import Accept, DocumentView, Held
from swarm.settings import Settings
from swarm.sona.vectors import Vector, check_count, check_number
from swarm.store.connection import Client
from swarm.store.documents import DocumentStore, Put, Stored
from swarm.store.migrations import bind_schema, check_swarm
from swarm.wire.document_records import Namespace, Place, check_namespace, check_place, document_id
from swarm.wire.keys import SwarmKeys
from swarm.wire.schema import SCHEMA

MAX_TTL_S = 1e9
MAX_LIMIT = 1_000_000


class Documents:
    """One collection of documents. Safe to use from several threads; several processes see one another's.

    Parameters
    ----------
    space : who makes the vectors; those of another one are refused
    """

    def __init__(self, settings: Settings, client: Client, collection: str, *, space: str = "the caller") -> None:
        self._client = client
        self._keys = SwarmKeys(settings.name)
        self._space = space
        self._store = DocumentStore(client, self._keys, collection, settings.max_documents)
        self._view = DocumentView(self._store)
        self._is_bound = False

    def write(self, puts: Sequence[Put] = (), deletes: Sequence[Place] = ()) -> int:
        """Delete, then put, all or none, durable when it returns; how many of those to delete were there.

        What is put again keeps the time when it was first put, and nothing else.

        Raises
        ------
        InputError
            If a place, a value, a life or vectors are not as they must be; nothing was written.
        EmbedderMismatchError
            If the collection holds vectors of another embedder; nothing was written.
        CapacityError
            If there would be more than `max_documents`, or a record would be too large; nothing was written.
        """
        for put in puts:
            if put.ttl_s is not None:
                check_number(put.ttl_s, "ttl_s", 1e-3, MAX_TTL_S)
        space = self._space_of([put.document.vectors for put in puts if put.document.vectors is not None])
        if not self._is_bound:
            # Looked at first: an agent may read what `bind_schema` writes, and no more.
            if check_swarm(self._client, self._keys) < SCHEMA:
                bind_schema(self._client, self._keys)
            self._is_bound = True
        return self._store.write(puts, [check_place(place) for place in deletes], space=space)

    def get(self, places: Sequence[Place], lives_on: Sequence[bool] | None = None) -> list[Stored | None]:
        """Documents by place, None for what is not there. Those that `lives_on` marks begin their lives anew."""
        return self._store.read([document_id(check_place(place)) for place in places], lives_on)

    def search(
        self,
        prefix: Namespace = (),
        *,
        accept: Accept | None = None,
        query: Vector | None = None,
        limit: int = 10,
        offset: int = 0,
        lives_on: bool = False,
    ) -> list[tuple[Stored, float | None]]:
        """Documents of namespaces that begin with `prefix`, and how like the query each is (cosine), best first.

        Parameters
        ----------
        accept : whether a value is wanted; see `document_filter`. It must not change it
        query : of the dimension of the vectors; without it, and behind those that have a vector, documents are in the
            order in which they were first put
        lives_on : whether those that are found begin their lives anew

        Raises
        ------
        InputError
            If a parameter is out of its bounds.
        EmbedderMismatchError
            If the collection holds vectors of another embedder, or dimension.
        """
        check_count(limit, "limit", 0, MAX_LIMIT)
        check_count(offset, "offset", 0, MAX_LIMIT)
        page, within = slice(offset, offset + limit), check_namespace(prefix)
        found: list[tuple[Held, float | None]]
        if query is None:
            found = [(held, None) for held in self._view.look(within, accept)[page]]
        else:
            found = self._view.search(within, accept, query, self._space_of([query[None, :]]), page)
        # As they are now; the values in the view are not handed out.
        stored = self._store.read([held.id for held, _ in found], [lives_on] * len(found))
        scores = (score for _, score in found)
        return [(one, score) for one, score in zip(stored, scores, strict=True) if one is not None]

    def look(self, prefix: Namespace = (), accept: Accept | None = None) -> list[Held]:
        """As `search` without a query, all of it, as the view holds it: to be read only."""
        return self._view.look(check_namespace(prefix), accept)

    def namespaces(self) -> list[Namespace]:
        """The namespaces that hold documents, sorted."""
        return self._view.namespaces()

    def _space_of(self, given: Sequence[Vector]) -> str:
        """Whose vectors these are, with their dimension; "" if there are none."""
        dims = {vectors.shape[-1] for vectors in given if len(vectors)}
        if len(dims) > 1:
            raise ShapeError(f"vectors of one collection must have one dimension, got {sorted(dims)}")
        return f"{self._space} ({dims.pop()}-d)" if dims else ""


def embed_leniently(embedder: Embedder, texts: Sequence[str]) -> Vector:
    """Vectors (n, d) of texts as they come: of long ones the beginning counts, those that say nothing are zero.

    A memory must not be refused for what stands in it.
    """
    cut = [_beginning(text) for text in texts]
    try:
        return embedder.embed(cut)
    except TextError:
        vectors = np.zeros((len(cut), embedder.identity.dim), dtype=np.float32)
        for row, text in enumerate(cut):
            with suppress(TextError):
                vectors[row] = embedder.embed_one(text)
        return vectors


def _beginning(text: str) -> str:
    return text.encode(errors="replace")[:MAX_TEXT_BYTES].decode(errors="ignore")
