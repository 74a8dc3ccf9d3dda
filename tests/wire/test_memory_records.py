"""Samples, tasks and standings as records: they come back exactly, and damage is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, trajectory, unit_vectors

from swarm.errors import DamagedRecordError, NewerRecordError
from swarm.sona.boundary import TaskShift
from swarm.sona.reservoir import Reservoir
from swarm.sona.standing import Standing
from swarm.wire.codec import VERSION
from swarm.wire.memory_records import (
    MAX_SAMPLE_FLOATS,
    LearnerRecord,
    decode_learner,
    decode_sample,
    encode_learner,
    encode_sample,
)


def a_sample(seed: int = 0, n: int = 12) -> Reservoir:
    rng = np.random.default_rng(seed)
    rows = unit_vectors(rng, n) if n else np.empty((0, DIM), dtype=np.float32)
    return Reservoir.of(
        [trajectory(f"t{i}-\N{SNOWMAN}", x, float(rng.random()), action=f"a{i % 3}") for i, x in enumerate(rows)], DIM
    )


def a_learner(seed: int = 0) -> LearnerRecord:
    rng = np.random.default_rng(seed)
    task = TaskShift.beginning(DIM)
    for n in (50, 33, 7):
        task, _ = task.seen(unit_vectors(rng, n))
    q, p, r = rng.random((3, 70)).astype(np.float32)
    return LearnerRecord(task=task, standing=Standing.of(q, p, r, p))


SAMPLE, LEARNER = encode_sample(a_sample()), encode_learner(a_learner())


@PROPERTY
@given(st.integers(0, 1000), st.integers(0, 40))
def test_a_sample_comes_back_exactly(seed: int, n: int) -> None:
    before = a_sample(seed, n)
    after = decode_sample(encode_sample(before))
    assert (after.ids, after.actions) == (before.ids, before.actions)
    assert after.embeddings.tobytes() == before.embeddings.tobytes()
    assert after.qualities.tobytes() == before.qualities.tobytes()
    assert after.priorities.tolist() == before.priorities.tolist()
    assert after.embeddings.dtype == np.float16
    assert encode_sample(after) == encode_sample(before)


def test_a_sample_that_was_read_can_be_joined_and_bounded_on() -> None:
    whole = a_sample(1, 30)
    first = decode_sample(encode_sample(whole.take(np.arange(15))))
    both = first.joined(decode_sample(encode_sample(whole.take(np.arange(10, 30))))).bounded(8)
    assert set(both.ids) == set(whole.bounded(8).ids)


def test_a_sample_of_large_vectors_is_cut_so_that_it_fits() -> None:
    dim = 4096
    n = MAX_SAMPLE_FLOATS // dim + 20
    rows = np.zeros((n, dim), dtype=np.float16)
    rows[:, 0] = 1.0
    wide = Reservoir.made([f"t{i}" for i in range(n)], rows, ["a"] * n, np.ones(n, dtype=np.float32))
    kept = decode_sample(encode_sample(wide))
    assert len(kept) == MAX_SAMPLE_FLOATS // dim
    assert kept.ids == wide.bounded(len(kept)).ids


@PROPERTY
@given(st.integers(0, 1000))
def test_a_learner_comes_back_exactly(seed: int) -> None:
    before = a_learner(seed)
    after = decode_learner(encode_learner(before))
    assert after.standing == before.standing
    for name in ("n", "waiting_n", "strange_n", "strange_batches", "tasks"):
        assert getattr(after.task, name) == getattr(before.task, name)
    for name in ("total", "waiting", "strange"):
        assert getattr(after.task, name).tobytes() == getattr(before.task, name).tobytes()
    assert encode_learner(after) == encode_learner(before)


def test_one_that_just_begins_comes_back_too() -> None:
    record = LearnerRecord(task=TaskShift.beginning(DIM), standing=Standing())
    assert encode_learner(decode_learner(encode_learner(record))) == encode_learner(record)
    assert len(decode_sample(encode_sample(Reservoir.empty()))) == 0


# Damage

DECODERS: list[tuple[bytes, Callable[[bytes], object], Callable[[Any], bytes]]] = [
    (SAMPLE, decode_sample, encode_sample),
    (LEARNER, decode_learner, encode_learner),
]


@PROPERTY
@given(st.data(), st.sampled_from([0, 1]))
def test_a_record_that_was_cut_is_damaged(data: st.DataObject, which: int) -> None:
    record, decode, _ = DECODERS[which]
    with pytest.raises(DamagedRecordError):
        decode(record[: data.draw(st.integers(0, len(record) - 1))])


@PROPERTY
@given(st.data(), st.sampled_from([0, 1]))
def test_a_record_with_flipped_bits_is_read_or_damaged_and_nothing_else(data: st.DataObject, which: int) -> None:
    record, decode, encode = DECODERS[which]
    changed = bytearray(record)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = decode(bytes(changed))
    except (DamagedRecordError, NewerRecordError):
        return
    # Whatever could be read can be stored again.
    decode(encode(found))


@PROPERTY
@given(st.binary(max_size=200), st.sampled_from([0, 1]))
def test_other_bytes_are_damaged(data: bytes, which: int) -> None:
    with pytest.raises(DamagedRecordError):
        DECODERS[which][1](data)


def test_a_record_of_the_other_kind_is_damaged_and_a_newer_one_says_so() -> None:
    with pytest.raises(DamagedRecordError):
        decode_sample(LEARNER)
    with pytest.raises(DamagedRecordError):
        decode_learner(SAMPLE)
    for kind, decode in (("sample", decode_sample), ("learner", decode_learner)):
        with pytest.raises(NewerRecordError):
            decode(msgpack.packb([kind, VERSION + 1, {}]))


def forged(record: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The record with `change(payload)` applied."""
    kind, version, payload = msgpack.unpackb(record)
    change(payload)
    return bytes(msgpack.packb([kind, version, payload]))


SAMPLE_FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "fewer actions": lambda p: p["actions"].pop(),
    "fewer ids": lambda p: p["ids"].pop(),
    "ids of numbers": lambda p: p.update(ids=[1] * 12),
    "fewer qualities": lambda p: p.update(qualities=p["qualities"][:-4]),
    "odd bytes": lambda p: p.update(qualities=p["qualities"][:-1]),
    "qualities of nan": lambda p: p.update(qualities=np.full(12, np.nan, dtype="<f4").tobytes()),
    "quality of two": lambda p: p.update(qualities=np.full(12, 2.0, dtype="<f4").tobytes()),
    "embeddings of nan": lambda p: p.update(embeddings=np.full(12 * DIM, np.nan, dtype="<f2").tobytes()),
    "fewer embeddings": lambda p: p.update(embeddings=p["embeddings"][:-2]),
    "another dim": lambda p: p.update(dim=DIM + 1),
    "negative dim": lambda p: p.update(dim=-1),
    "huge dim": lambda p: p.update(dim=10**9),
    "no dim": lambda p: p.pop("dim"),
    "embeddings of text": lambda p: p.update(embeddings="x"),
}
LEARNER_FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "sums of nan": lambda p: p.update(sums=np.full(3 * DIM, np.nan).tobytes()),
    "fewer sums": lambda p: p.update(sums=p["sums"][:-8]),
    "another dim": lambda p: p.update(dim=DIM - 1),
    "too few counts": lambda p: p["counts"].pop(),
    "negative count": lambda p: p["counts"].__setitem__(0, -1.0),
    "count of nan": lambda p: p["counts"].__setitem__(1, float("nan")),
    "batches of a half": lambda p: p["counts"].__setitem__(3, 0.5),
    "standing a list": lambda p: p.update(standing=[1, 2]),
    "standing of text": lambda p: p["standing"].update(n="many"),
    "standing of nan": lambda p: p["standing"].update(rq=float("nan")),
    "strange standing": lambda p: p["standing"].update(strange=1.0),
    "no standing": lambda p: p.pop("standing"),
}


@pytest.mark.parametrize("name", SAMPLE_FORGERIES)
def test_a_sample_with_impossible_values_is_damaged(name: str) -> None:
    with pytest.raises(DamagedRecordError):
        decode_sample(forged(SAMPLE, SAMPLE_FORGERIES[name]))


@pytest.mark.parametrize("name", LEARNER_FORGERIES)
def test_a_learner_with_impossible_values_is_damaged(name: str) -> None:
    with pytest.raises(DamagedRecordError):
        decode_learner(forged(LEARNER, LEARNER_FORGERIES[name]))
