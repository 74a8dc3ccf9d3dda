"""Records: what was encoded comes back exactly, and whatever else there may be is a clear error."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from swarm_support import DIM, a_registration, some_cluster, some_outcome, some_vector

from swarm.errors import CapacityError, DamagedRecordError, InputError, NewerRecordError, RecordError
from swarm.sona.clusters import Cluster, merge_clusters
from swarm.sona.config import PRESETS, SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.lora import LoraPair
from swarm.sona.trajectory import Step, Trajectory
from swarm.wire.codec import MAX_RECORD_BYTES, VERSION, decode, encode
from swarm.wire.records import (
    Registration,
    Weights,
    check_weights_fit,
    decode_cluster,
    decode_registration,
    decode_trajectory,
    decode_weights,
    encode_cluster,
    encode_registration,
    encode_trajectory,
    encode_weights,
)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
qualities = st.floats(0.0, 1.0, width=64)
amounts = st.floats(0.0, 1e9)
coordinates = st.floats(-10.0, 10.0, width=32)


def vectors(dim: int) -> st.SearchStrategy[Any]:
    # The first number keeps the vector away from zero, which has no direction.
    return hnp.arrays(np.float32, dim, elements=coordinates).map(lambda v: np.concatenate([[np.float32(1.0)], v[1:]]))


steps = st.builds(
    Step,
    reward=qualities,
    activations=st.none() | vectors(DIM),
    attention=st.none() | hnp.arrays(np.float32, st.integers(0, 9), elements=coordinates),
    node=texts,
    latency_ms=amounts,
)
trajectories = st.builds(
    Trajectory,
    id=texts,
    embedding=vectors(DIM),
    quality=qualities,
    steps=st.lists(steps, max_size=3).map(tuple),
    action=texts,
    response=texts,
    route=texts,
    latency_ms=amounts,
    cost=amounts,
    text=texts,
    task_type=texts,
    agent=texts,
    at_s=amounts,
    context=st.dictionaries(texts, texts, max_size=3),
)
clusters = st.lists(trajectories, min_size=1, max_size=4).map(
    lambda group: merge_clusters([trajectory.as_cluster(0.3) for trajectory in group])
)
factors = hnp.arrays(np.float32, (4, DIM), elements=coordinates)
pairs = st.builds(LoraPair, factors, factors, st.floats(0.0, 10.0))


@st.composite
def weights(draw: st.DrawFn) -> Weights:
    base = tuple(draw(st.lists(pairs, min_size=1, max_size=2)))
    count = 2 * len(base) if draw(st.booleans()) else 0
    memory = EwcMemory(
        [draw(factors) for _ in range(count)],
        [draw(factors) for _ in range(count)],
        draw(amounts),
        draw(st.integers(0, 100)),
    )
    return Weights(base=base, ewc=memory)


def plain(value: object) -> object:
    """Dataclasses and arrays as values that compare by content; arrays by their bytes."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, LoraPair):
        return plain(value.up), plain(value.down), value.scale
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@given(trajectories)
def test_a_trajectory_comes_back_exactly(trajectory: Trajectory) -> None:
    assert plain(decode_trajectory(encode_trajectory(trajectory))) == plain(trajectory)


@given(clusters)
def test_a_cluster_comes_back_exactly_with_its_sums_in_float64(cluster: Cluster) -> None:
    back = decode_cluster(encode_cluster(cluster))
    assert plain(back) == plain(cluster)
    assert back.sum_embedding.dtype == np.float64


@given(weights())
def test_weights_and_their_memory_come_back_exactly(given_weights: Weights) -> None:
    assert plain(decode_weights(encode_weights(given_weights))) == plain(given_weights)


@given(st.sampled_from(sorted(PRESETS)), st.integers(16, 8192), texts, amounts)
def test_a_registration_comes_back_exactly(preset: str, dim: int, role: str, at_s: float) -> None:
    registration = Registration(role=role, config=SonaConfig.preset(preset, dim=dim), registered_s=at_s)
    assert decode_registration(encode_registration(registration)) == registration


def test_adding_to_a_cluster_goes_on_without_rounding_after_a_round_trip() -> None:
    one, two = some_cluster(0), replace(some_cluster(5), action="action-0")
    exact = merge_clusters([one, two])
    assert plain(merge_clusters([decode_cluster(encode_cluster(one)), two])) == plain(exact)


def test_decoded_vectors_are_private_copies() -> None:
    data = encode_trajectory(some_outcome(1))
    decode_trajectory(data).embedding[0] = 7.0
    assert decode_trajectory(data).embedding[0] == some_vector(1)[0]


A_TRAJECTORY = encode_trajectory(
    replace(some_outcome(1), steps=(Step(reward=0.5, activations=some_vector(2), node="n"),), context={"a": "b"})
)
A_CLUSTER = encode_cluster(merge_clusters([some_cluster(0), some_cluster(5)]))
SOME_WEIGHTS = encode_weights(
    Weights(
        base=(LoraPair(np.ones((4, DIM), np.float32), np.zeros((4, DIM), np.float32), 1.0),),
        ewc=EwcMemory([np.ones((4, DIM), np.float32)] * 2, [np.ones((4, DIM), np.float32)] * 2, 1.0, 1),
    )
)
A_REGISTRATION = encode_registration(a_registration())
Decode = Callable[[bytes], object]
Encode = Callable[[Any], bytes]
KINDS: dict[str, tuple[bytes, Decode, Encode]] = {
    "trajectory": (A_TRAJECTORY, decode_trajectory, encode_trajectory),
    "cluster": (A_CLUSTER, decode_cluster, encode_cluster),
    "weights": (SOME_WEIGHTS, decode_weights, encode_weights),
    "registration": (A_REGISTRATION, decode_registration, encode_registration),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@given(share=st.floats(0.0, 1.0, exclude_max=True))
def test_a_record_that_was_cut_is_damaged(kind: str, share: float) -> None:
    data, decode_it, _ = KINDS[kind]
    with pytest.raises(DamagedRecordError, match=kind):
        decode_it(data[: int(share * len(data))])


@every_kind
@given(position=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_an_error_of_ours_or_leaves_a_usable_record(kind: str, position: float, bit: int) -> None:
    data, decode_it, encode_it = KINDS[kind]
    broken = bytearray(data)
    broken[int(position * len(data))] ^= 1 << bit
    try:
        found = decode_it(bytes(broken))
    except RecordError:
        return
    assert decode_it(encode_it(found)) is not None


@every_kind
@given(junk=st.binary(max_size=200))
def test_any_bytes_are_an_error_of_ours(kind: str, junk: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        KINDS[kind][1](junk)


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats()
    | st.text(max_size=4)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@every_kind
@given(data=st.data())
def test_a_value_of_another_type_anywhere_is_damaged_or_harmless(kind: str, data: st.DataObject) -> None:
    record, decode_it, encode_it = KINDS[kind]
    payload = decode(kind, record)
    payload[data.draw(st.sampled_from(sorted(payload)))] = data.draw(json_like)
    try:
        found = decode_it(encode(kind, payload))
    except DamagedRecordError:
        return
    assert decode_it(encode_it(found)) is not None


@every_kind
def test_a_missing_or_an_extra_field_is_damaged(kind: str) -> None:
    record, decode_it, _ = KINDS[kind]
    payload = decode(kind, record)
    for name in payload:
        with pytest.raises(DamagedRecordError):
            decode_it(encode(kind, {key: value for key, value in payload.items() if key != name}))
    if kind in ("trajectory", "cluster"):
        with pytest.raises(DamagedRecordError, match="fields"):
            decode_it(encode(kind, payload | {"colour": "red"}))


@every_kind
def test_a_record_of_a_newer_version_says_so(kind: str) -> None:
    record, decode_it, _ = KINDS[kind]
    newer = msgpack.packb([kind, VERSION + 1, {"fields": "nobody knows"}])
    with pytest.raises(NewerRecordError, match=f"{kind} record: version {VERSION + 1}"):
        decode_it(newer)
    assert decode_it(record) is not None


@every_kind
def test_a_record_of_another_kind_is_damaged(kind: str) -> None:
    other = next(data for name, (data, _, _) in KINDS.items() if name != kind)
    with pytest.raises(DamagedRecordError, match="of kind"):
        KINDS[kind][1](other)


NAN = struct.pack("<f", float("nan"))


def damaged(kind: str, **changes: object) -> bytes:
    return encode(kind, decode(kind, KINDS[kind][0]) | changes)


def changed_step(**changes: object) -> list[dict[str, object]]:
    [step] = decode("trajectory", A_TRAJECTORY)["steps"]
    return [step | changes]


def changed_exemplar(position: int, value: object) -> list[list[object]]:
    exemplar, *others = decode("cluster", A_CLUSTER)["exemplars"]
    exemplar[position] = value
    return [exemplar, *others]


@pytest.mark.parametrize(
    "changes",
    [
        {"quality": 7.5},
        {"quality": float("nan")},
        {"quality": "1.0"},
        {"quality": True},
        {"embedding": b""},
        {"embedding": bytes(4 * DIM)},
        {"embedding": NAN * DIM},
        {"embedding": struct.pack("<f", 3e38) * DIM},
        {"embedding": bytes(4 * DIM)[:-1]},
        {"embedding": [0.5] * DIM},
        {"embedding": "x" * 4 * DIM},
        {"latency_ms": -1.0},
        {"cost": float("inf")},
        {"at_s": None},
        {"text": b"bytes"},
        {"action": 5},
        {"agent": None},
        {"text": "x" * 70_000},
        {"route": "x" * 2_000},
        {"context": {"a": 1}},
        {"context": ["a"]},
        {"steps": 5},
        {"steps": "ab"},
        {"steps": changed_step(reward=7.5)},
        {"steps": changed_step(reward=float("nan"))},
        {"steps": changed_step(latency_ms="fast")},
        {"steps": changed_step(node=3)},
        {"steps": changed_step(activations=NAN * DIM)},
        {"steps": changed_step(activations=b"\0" * 8)},
        {"steps": changed_step(attention=NAN)},
        {"steps": changed_step(surprise=1)},
    ],
    ids=lambda changes: "-".join(f"{key}" for key in changes),
)
def test_a_trajectory_with_an_impossible_value_is_damaged(changes: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordError, match=r"trajectory|embedding|activations|attention"):
        decode_trajectory(damaged("trajectory", **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"positive": None},
        {"positive": 1},
        {"n": float("nan")},
        {"n": -1.0},
        {"sum_quality": "many"},
        {"sum_embedding": struct.pack("<d", float("nan")) * DIM},
        {"sum_embedding": b"\0" * 7},
        {"sum_embedding": "text"},
        {"agents": {"a": [1.0, float("nan")]}},
        {"agents": {"a": [1.0]}},
        {"agents": ["a"]},
        {"routes": {"r": [1.0, 1.0, 1.0, float("inf"), 1.0]}},
        {"task_types": {"General": "often"}},
        {"task_types": 5},
        {"exemplars": changed_exemplar(0, 5)},
        {"exemplars": changed_exemplar(1, 7.5)},
        {"exemplars": changed_exemplar(4, float("nan"))},
        {"exemplars": [[1, 2]]},
        {"id": None},
        {"label": 5},
        {"last_s": float("nan")},
    ],
    ids=lambda changes: "-".join(f"{key}" for key in changes),
)
def test_a_cluster_with_an_impossible_value_is_damaged(changes: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordError, match="cluster"):
        decode_cluster(damaged("cluster", **changes))


FACTOR = bytes(4 * 4 * DIM)


@pytest.mark.parametrize(
    "changes",
    [
        {"rank": 0},
        {"rank": 5},
        {"rank": 2**60},
        {"dim": "32"},
        {"base": []},
        {"base": [[float("nan"), FACTOR, FACTOR]]},
        {"base": [[1.0, FACTOR, NAN * 4 * DIM]]},
        {"base": [[1.0, FACTOR]]},
        {"importance": [FACTOR]},
        {"anchor": []},
        {"constant": float("nan")},
        {"tasks": -1},
        {"tasks": 0.5},
    ],
    ids=lambda changes: "-".join(f"{key}" for key in changes),
)
def test_weights_with_an_impossible_value_are_damaged(changes: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordError):
        decode_weights(damaged("weights", **changes))


@pytest.mark.parametrize(
    "changes", [{"role": 5}, {"config": {"dim": 1}}, {"config": {"colour": 1}}, {"config": 3}, {"registered_s": "now"}]
)
def test_a_registration_with_an_impossible_value_is_damaged(changes: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordError, match="registration"):
        decode_registration(damaged("registration", **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"quality": 7.5},
        {"quality": float("nan")},
        {"embedding": np.full(DIM, np.nan, np.float32)},
        {"embedding": np.zeros(DIM, np.float32)},
        {"text": "\ud800"},
        {"text": b"bytes"},
        {"response": "x" * 70_000},
        {"route": 5},
        {"context": {"a": object()}},
        {"steps": (Step(reward=2.0),)},
        {"steps": (Step(reward=0.5, activations=np.full(DIM, np.inf, np.float32)),)},
    ],
    ids=lambda changes: "-".join(f"{key}" for key in changes),
)
def test_what_could_not_be_decoded_is_not_encoded(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        encode_trajectory(replace(some_outcome(1), **changes))


def test_a_record_that_is_too_large_is_refused_when_it_is_written() -> None:
    step = Step(reward=0.5, attention=np.ones(60_000, np.float32))
    with pytest.raises(CapacityError, match=str(MAX_RECORD_BYTES)):
        encode_trajectory(replace(some_outcome(1), steps=(step,) * 40))


def test_the_largest_outcomes_make_clusters_that_still_fit_into_a_record() -> None:
    # Otherwise one long output would block its agent's consolidation for ever.
    long = replace(some_outcome(0), text="\U0001f41d" * 65_536, response="\U0001f41d" * 65_536, route="r" * 1024)
    group = [replace(long, id=str(number)).as_cluster(0.3) for number in range(20)]
    data = encode_cluster(merge_clusters([decode_cluster(encode_cluster(cluster)) for cluster in group]))
    assert len(data) < MAX_RECORD_BYTES


def test_a_configuration_whose_weights_would_not_fit_into_a_record_is_refused() -> None:
    largest = SonaConfig(dim=8192, base_lora_rank=32)
    check_weights_fit(largest)
    factor = np.ones((32, 8192), np.float32)
    full = EwcMemory([factor, factor], [factor, factor], 1.0, 1)
    assert encode_weights(Weights(base=(LoraPair(factor, factor, 1.0),), ewc=full))
    with pytest.raises(InputError, match="base_lora_rank"):
        check_weights_fit(replace(largest, base_lora_layers=2))
