from __future__ import annotations

import tracemalloc
from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from swarm.errors import CapacityError, DamagedRecordError, InputError, NewerRecordError
from swarm.sona.vectors import Vector
from swarm.wire.codec import MAX_RECORD_BYTES, VERSION, decode, encode, pack_floats, unpack_floats

PROPERTY = settings(max_examples=150, deadline=None, derandomize=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    TEXT,
    st.binary(max_size=40),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=25
)
PAYLOADS = st.dictionaries(TEXT, VALUES, max_size=5)
NOTE = encode("note", {"a": [1, 2.5, "x", b"y", None, {"b": [True, False] * 20}], "c": "longer text " * 9})


@PROPERTY
@given(PAYLOADS, st.sampled_from(["note", "", "trajectory", "é"]))
def test_what_was_encoded_is_decoded(payload: dict[str, Any], kind: str) -> None:
    assert decode(kind, encode(kind, payload)) == payload
    assert encode(kind, payload) == encode(kind, payload)


@PROPERTY
@given(st.integers(0, len(NOTE) - 1))
def test_a_record_that_was_cut_is_damaged(size: int) -> None:
    with pytest.raises(DamagedRecordError, match=r"^note record: "):
        decode("note", NOTE[:size])


@PROPERTY
@given(st.binary(min_size=1, max_size=9))
def test_a_record_with_something_behind_it_is_damaged(tail: bytes) -> None:
    with pytest.raises(DamagedRecordError, match=r"^note record: "):
        decode("note", NOTE + tail)


@settings(PROPERTY, max_examples=500)
@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_a_record_with_a_flipped_byte_is_damaged_or_newer_or_another_map(position: int, mask: int) -> None:
    data = bytearray(NOTE)
    data[position] ^= mask
    with suppress(DamagedRecordError, NewerRecordError):
        assert isinstance(decode("note", bytes(data)), dict)


@settings(PROPERTY, max_examples=500)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: NOTE[:6] + tail)))
def test_any_bytes_are_a_map_or_damaged_or_newer(data: bytes) -> None:
    with suppress(DamagedRecordError, NewerRecordError):
        assert isinstance(decode("note", data), dict)


@PROPERTY
@given(VALUES)
def test_any_message_that_is_no_envelope_is_damaged(value: Any) -> None:
    for message in (value, ["note"], ["note", VERSION], ["note", VERSION, {}, 1], ["other", VERSION, {}]):
        with pytest.raises(DamagedRecordError):
            decode("note", msgpack.packb(message))
    if not isinstance(value, dict):
        with pytest.raises(DamagedRecordError, match="payload is not a map"):
            decode("note", msgpack.packb(["note", VERSION, value]))


@pytest.mark.parametrize("version", [VERSION + 1, 1000, 2**64 - 1])
def test_a_newer_version_says_which(version: int) -> None:
    message = f"version {version}, this program reads up to {VERSION}: upgrade it"
    with pytest.raises(NewerRecordError, match=message):
        decode("note", msgpack.packb(["note", version, {}]))


@pytest.mark.parametrize("version", [0, -1, True, False, 1.0, "1", None, [], {}])
def test_an_impossible_version_is_damaged(version: object) -> None:
    with pytest.raises(DamagedRecordError, match="is not a positive integer"):
        decode("note", msgpack.packb(["note", version, {}]))


@pytest.mark.parametrize("kind", ["other", "", b"note", None, 5, ["note"], "x" * 10_000])
def test_a_record_of_another_kind_is_damaged_and_both_are_named(kind: object) -> None:
    with pytest.raises(DamagedRecordError, match=r"^note record: found a record of kind ") as caught:
        decode("note", msgpack.packb([kind, VERSION, {}]))
    assert len(str(caught.value)) < 120


def test_keys_that_are_no_text_and_types_of_others_are_damaged() -> None:
    for payload in ({1: 2}, {None: 1}, {"a": {2.5: 1}}):
        with pytest.raises(DamagedRecordError):
            decode("note", msgpack.packb(["note", VERSION, payload]))
    for extension in (msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 2)):
        with pytest.raises(DamagedRecordError):
            decode("note", msgpack.packb(["note", VERSION, {"a": extension}]))


def test_a_record_up_to_the_bound_is_taken_and_one_byte_more_is_not() -> None:
    envelope = len(encode("note", {"a": b"0" * 100_000})) - 100_000
    largest = encode("note", {"a": b"0" * (MAX_RECORD_BYTES - envelope)})
    assert len(largest) == MAX_RECORD_BYTES
    assert len(decode("note", largest)["a"]) == MAX_RECORD_BYTES - envelope
    with pytest.raises(CapacityError, match=f"may have {MAX_RECORD_BYTES} bytes at most, got {MAX_RECORD_BYTES + 1}"):
        encode("note", {"a": b"0" * (MAX_RECORD_BYTES - envelope + 1)})
    with pytest.raises(DamagedRecordError, match=f"{MAX_RECORD_BYTES + 1} bytes, the bound is {MAX_RECORD_BYTES}"):
        decode("note", largest + b"\x00")


HEAD = b"\x93\xa4note\x01"


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x91" * 200_000,
        b"\x81\xa1a" * 200_000,
        b"\x91" * 200_000 + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xdd\x00\x0f\x42\x40" * 500,
        b"\xdf\x00\x0f\x42\x40\xa1a" * 500,
        b"\xdd\x00\x0f\x42\x40" * 500 + b"\xc0" * 100_000,
    ],
    ids=lambda bomb: f"{bomb[:5].hex()}x{len(bomb)}",
)
def test_nesting_and_lengths_that_a_record_only_claims_cost_no_memory(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        for data in (HEAD + bomb, HEAD + b"\x81\xa1a" + bomb, bomb):
            with pytest.raises(DamagedRecordError):
                decode("note", data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 500 nested lists that claim a million items each would take 4 GB.
    assert peak < 10 * len(bomb) + 450_000_000 * (len(bomb) > 100_000) + 30_000_000


@pytest.mark.parametrize("depth", [1, 100, 500])
def test_what_can_be_encoded_at_some_depth_can_be_decoded(depth: int) -> None:
    payload: dict[str, Any] = {}
    for _ in range(depth):
        payload = {"a": payload}
    assert decode("note", encode("note", payload)) == payload


def test_what_msgpack_does_not_know_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    for value in ({1, 2}, object(), 2**64, -(2**63) - 1, "\ud800", 1j, np.float32(1), np.zeros(2), deep):
        with pytest.raises(InputError, match=r"^a note record cannot hold this"):
            encode("note", {"a": value})


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@PROPERTY
@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6), elements=FLOATS))
def test_floats_come_back_bit_by_bit_in_a_writeable_copy(array: Vector) -> None:
    data = pack_floats(array)
    back = unpack_floats(data, array.shape, "x")
    assert back.tobytes() == array.tobytes()
    assert back.shape == array.shape
    assert back.dtype == np.float32
    assert back.flags.writeable
    if back.size:
        back[...] = 7.0
        assert pack_floats(array) == data


def test_floats_of_any_layout_are_packed_row_by_row() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert pack_floats(array.T) == np.ascontiguousarray(array.T).tobytes()
    assert pack_floats(array.astype(">f4")) == array.tobytes()
    assert pack_floats(array[:, ::2]) == array[:, ::2].copy().tobytes()


@pytest.mark.parametrize("data", [b"", b"\x00" * 11, b"\x00" * 13, "text", None, 5, [0.0] * 3, bytearray(12)])
def test_floats_that_do_not_fit_their_shape_are_damaged(data: object) -> None:
    with pytest.raises(DamagedRecordError, match=r"^weights: expected 12 bytes of float32 for shape \(3,\), got "):
        unpack_floats(data, (3,), "weights")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_not_finite_are_damaged(value: float) -> None:
    data = pack_floats(np.array([1.0, value], dtype=np.float32))
    with pytest.raises(DamagedRecordError, match="weights: holds a value that is not finite"):
        unpack_floats(data, (2,), "weights")
