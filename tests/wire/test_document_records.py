"""Records of documents: what goes in comes out, and what cannot be stored is refused before it is."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import BoundsError, CapacityError, InputError, RecordError, ShapeError, TextError
from swarm.wire.codec import MAX_RECORD_BYTES
from swarm.wire.document_records import (
    MAX_LABELS,
    MAX_NAME,
    MAX_VECTORS,
    Document,
    Place,
    decode_document,
    document_id,
    encode_document,
)

HOME = Place(("users", "ada"), "1")
LABEL = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | LABEL,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LABEL, inner, max_size=4),
    max_leaves=12,
)


@PROPERTY
@given(st.lists(LABEL, max_size=5), LABEL, VALUE, st.integers(0, 3))
def test_a_document_comes_back_as_it_was(labels: list[str], key: str, value: Any, n: int) -> None:
    vectors = np.random.default_rng(n).standard_normal((n, 5)).astype(np.float32)
    document = Document(place=Place(tuple(labels), key), value=value, vectors=vectors, agent="ada")
    found = decode_document(encode_document(document))
    assert (found.place, found.value, found.agent) == (document.place, value, "ada")
    if n:
        assert found.vectors is not None
        assert (found.vectors == vectors).all()
    else:
        assert found.vectors is None


@PROPERTY
@given(st.lists(LABEL, max_size=4), LABEL, st.lists(LABEL, max_size=4), LABEL)
def test_two_places_have_one_id_only_if_they_are_one(a: list[str], x: str, b: list[str], y: str) -> None:
    one, other = Place(tuple(a), x), Place(tuple(b), y)
    assert (document_id(one) == document_id(other)) is (one == other)


@pytest.mark.parametrize(
    ("place", "error"),
    [
        (Place(("",), "k"), BoundsError),
        (Place(("a",), ""), BoundsError),
        (Place(("a",), "k" * (MAX_NAME + 1)), BoundsError),
        (Place(("a",) * (MAX_LABELS + 1), "k"), BoundsError),
        (Place((1,), "k"), TextError),  # type: ignore[arg-type]
        (Place("abc", "k"), InputError),  # type: ignore[arg-type]
        (Place(("a",), "\ud800"), TextError),
    ],
)
def test_a_place_out_of_its_bounds_is_refused(place: Place, error: type[Exception]) -> None:
    with pytest.raises(error):
        encode_document(Document(place=place, value={}))


@pytest.mark.parametrize("value", [2**64, {1: "key"}, {"a": object()}, {"a": {"b", "c"}}, {"a": "\ud800"}])
def test_a_value_that_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        encode_document(Document(place=HOME, value=value))


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(CapacityError, match="value must fit into a record"):
        encode_document(Document(place=HOME, value={"text": "x" * MAX_RECORD_BYTES}))
    with pytest.raises(BoundsError, match="256 vectors at most, got 257"):
        encode_document(Document(place=HOME, value={}, vectors=np.ones((MAX_VECTORS + 1, 2), dtype=np.float32)))


@pytest.mark.parametrize(
    ("vectors", "error"),
    [
        (np.ones(3, dtype=np.float32), ShapeError),
        (np.ones((2, 0), dtype=np.float32), ShapeError),
        (np.array([[np.nan, 1.0]], dtype=np.float32), BoundsError),
        (np.array([[1e7, 1.0]], dtype=np.float32), BoundsError),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(vectors: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        encode_document(Document(place=HOME, value={}, vectors=vectors))


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_record_is_an_error_of_ours_or_a_document(position: int, byte: int) -> None:
    data = bytearray(encode_document(Document(place=HOME, value={"a": [1, "b"]}, vectors=np.ones((2, 3), np.float32))))
    data[position % len(data)] = byte
    with suppress(RecordError):
        assert isinstance(decode_document(bytes(data)), Document)
