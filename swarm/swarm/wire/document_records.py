"""Documents of agents' memories as records: a place, a JSON value, and the vectors by which they are found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import msgpack

from swarm.errors import BoundsError, InputError, ShapeError, shown
from swarm.sona.vectors import Vector, check_batch, check_count, check_text
from swarm.wire.codec import encode_readable, pack_floats, unpack_floats
from swarm.wire.keys import check_name
from swarm.wire.records import guarded

Namespace: TypeAlias = tuple[str, ...]

MAX_LABELS = 32
"""Labels of one namespace."""
MAX_NAME = 1_024
"""Characters of a label, or of a key."""
MAX_VECTORS = 256
"""Vectors of one document."""
MAX_DIM = 8_192


class Place(NamedTuple):
    """Where a document is: its key is unique in its namespace."""

    namespace: Namespace
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document: any JSON value at a place, perhaps with vectors (n, d) of any length, and who wrote it."""

    place: Place
    value: Any
    vectors: Vector | None = None
    agent: str = ""


def check_place(place: Place) -> Place:
    """`place` if labels and key are texts within their bounds.

    Raises
    ------
    InputError
        If the namespace is no tuple of labels, or a label is empty or no text.
    BoundsError
        If there are more than `MAX_LABELS` labels, or a label or the key is longer than `MAX_NAME`.
    """
    namespace, key = check_namespace(place.namespace), _check_name(place.key, "key")
    return Place(namespace, key)


def check_namespace(namespace: object) -> Namespace:
    """`namespace` as a tuple of labels, which may be empty; errors as in `check_place`.

    >>> check_namespace(["users", "ada"])
    ('users', 'ada')
    """
    if not isinstance(namespace, tuple | list):
        raise InputError(f"namespace must be a tuple of labels, got {shown(namespace)}")
    if len(namespace) > MAX_LABELS:
        raise BoundsError(f"namespace may have {MAX_LABELS} labels at most, got {len(namespace)}")
    return tuple(_check_name(label, "label of a namespace") for label in namespace)


def document_id(place: Place) -> str:
    """The name of a place in keys: of one length, and without what stands in it.

    >>> document_id(Place(("a", "b"), "c")) == document_id(Place(("a",), "b/c"))
    False
    """
    packed: bytes = msgpack.packb([list(place.namespace), place.key])
    return hashlib.blake2b(packed, digest_size=16).hexdigest()


def encode_document(document: Document) -> bytes:
    """A document; vectors as float32 bytes.

    Raises
    ------
    InputError
        If the value holds what is not JSON (numbers beyond 64 bits, keys that are no text, objects), or the place or
        the vectors are not as they must be.
    CapacityError
        If the record would be too large.
    """
    place, vectors = check_place(document.place), document.vectors
    if document.agent:
        check_name(document.agent, "agent")
    payload: dict[str, object] = {
        "namespace": list(place.namespace),
        "key": place.key,
        "value": document.value,
        "agent": document.agent,
    }
    if vectors is not None and len(vectors):
        vectors = check_vectors(vectors)
        payload |= {"dim": vectors.shape[1], "vectors": pack_floats(vectors)}
    return encode_readable("document", payload, "value")


def decode_document(data: bytes) -> Document:
    """The inverse of `encode_document`; tuples in the value have become lists."""
    return guarded("document", data, _document)


def check_vectors(vectors: object) -> Vector:
    """`vectors` as float32 rows (n, d).

    Raises
    ------
    ShapeError, BoundsError
        If they are not rows of one length, too many or too long, or not finite.
    """
    shape: tuple[int, ...] = getattr(vectors, "shape", ())
    if len(shape) != 2 or not 1 <= shape[1] <= MAX_DIM:
        raise ShapeError(f"vectors must have shape (n, d) with d in 1..{MAX_DIM}, got {shape}")
    if shape[0] > MAX_VECTORS:
        raise BoundsError(f"a document may have {MAX_VECTORS} vectors at most, got {shape[0]}: index fewer fields")
    return check_batch(vectors, shape[1], "vectors")


def _check_name(value: object, parameter: str) -> str:
    name = check_text(value, parameter)
    if not 1 <= len(name) <= MAX_NAME:
        raise BoundsError(f"{parameter} must have 1..{MAX_NAME} characters, got {len(name)}")
    return name


def _document(payload: Mapping[str, Any]) -> Document:
    vectors = None
    if "vectors" in payload:
        dim = check_count(payload["dim"], "dim", 1, MAX_DIM)
        vectors = unpack_floats(payload["vectors"], (len(payload["vectors"]) // (4 * dim), dim), "vectors")
    place = check_place(Place(payload["namespace"], payload["key"]))
    return Document(place=place, value=payload["value"], vectors=vectors, agent=check_text(payload["agent"], "agent"))
