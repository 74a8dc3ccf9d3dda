"""Tasks as records: what is encoded can be decoded, what is out of bounds is refused with its name."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import CapacityError, DamagedRecordError, InputError
from swarm.wire.codec import VERSION, encode
from swarm.wire.task_records import (
    MAX_WHY,
    TaskRecord,
    TaskState,
    decode_result,
    decode_status,
    decode_task,
    encode_result,
    encode_task,
    reason,
    role_of,
    task_id,
)

TASK = TaskRecord(role="coder", text="rename a column")
STATUS: dict[str, Any] = {
    "state": "running",
    "submitted": 1.5,
    "attempts": 1,
    "replays": 0,
    "deadline": 0,
    "worker": "w",
    "fraction": 0,
    "note": "",
    "why": "",
    "cancelled": 1,
}
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), plain, max_size=4))
def test_a_task_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    task = replace(TASK, payload=payload, agent="coder-1", submitter="é 1", deadline=2e9, idempotency_key="a key")
    assert decode_task(encode_task(task)) == task


def test_a_task_that_is_in_no_trace_can_be_done_by_an_earlier_version() -> None:
    place = f"00-{'a' * 32}-{'b' * 16}-01"
    traced = replace(TASK, traceparent=place)
    assert decode_task(encode_task(traced)) == traced
    assert place.encode() in encode_task(traced)
    assert b"traceparent" not in encode_task(TASK)


@given(plain)
def test_a_result_comes_back_as_it_was(result: Any) -> None:
    assert decode_result(encode_result(result)) == result


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"role": ""}, "role must be 1-63"),
        ({"role": "a/b"}, "role must be 1-63"),
        ({"role": None}, "role must be"),
        ({"agent": "{x}"}, "agent must be"),
        ({"text": ""}, "task must hold more"),
        ({"text": "x" * 65_537}, "task may have 65536 bytes"),
        ({"text": 7, "payload": {"a": 1}}, "task must be text"),
        ({"text": "\ud800"}, "task"),
        ({"payload": [1]}, "payload must be a mapping, got list"),
        ({"payload": {1: 2}}, "payload may hold"),
        ({"payload": {"a": {2: 3}}}, "payload may hold"),
        ({"payload": {"a": object()}}, "payload may hold"),
        ({"payload": {"a": datetime.datetime(2020, 1, 1)}}, "payload may hold"),
        ({"payload": {"a": msgpack.Timestamp(1)}}, "payload may hold"),
        ({"payload": {"a": msgpack.ExtType(1, b"x")}}, "payload may hold"),
        ({"payload": {"a": 2**64}}, "payload may hold"),
        ({"payload": {"a": "\ud800"}}, "payload may hold"),
        ({"submitter": "a\0b"}, "submitter must be at most 200 printable"),
        ({"submitter": "x" * 201}, "submitter must be at most 200 printable"),
        ({"submitter": None}, "submitter must be"),
        ({"idempotency_key": "a\nb"}, "idempotency_key must be at most 200 printable"),
        ({"idempotency_key": b"x"}, "idempotency_key must be"),
        ({"priority": 10}, r"priority must be in 0\.\.9, got 10"),
        ({"priority": -1}, "priority must be"),
        ({"priority": 5.0}, "priority must be a whole number"),
        ({"deadline": -1.0}, "deadline must be in"),
        ({"deadline": float("nan")}, "deadline must be in"),
        ({"deadline": "tomorrow"}, "deadline must be a number"),
        ({"time_limit": 0.0}, r"time_limit must be in 0\.01\.\.86400, got 0"),
        ({"time_limit": float("inf")}, "time_limit must be in"),
        ({"max_attempts": 0}, r"max_attempts must be in 1\.\.100, got 0"),
        ({"max_attempts": 101}, "max_attempts must be in"),
        ({"backoff": -0.1}, "backoff must be in"),
        ({"max_backoff": 1e9}, "max_backoff must be in"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}") as caught:
        encode_task(replace(TASK, **changes))
    assert "\n" not in str(caught.value)


def test_a_payload_nested_too_deeply_is_refused() -> None:
    nested: Any = []
    for _ in range(2000):
        nested = [nested]
    with pytest.raises(InputError, match="payload may hold"):
        encode_task(replace(TASK, payload={"a": nested}))


@pytest.mark.parametrize("parameter", ["payload", "result"])
def test_what_does_not_fit_into_a_record_is_refused_by_name(parameter: str) -> None:
    large = {"a": b"x" * 9_000_000}
    with pytest.raises(CapacityError, match=f"^{parameter} must fit into a record of 8388608 bytes"):
        encode_result(large) if parameter == "result" else encode_task(replace(TASK, payload=large))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_damaged(data: bytes) -> None:
    for decoder in (decode_task, decode_result, decode_status):
        with pytest.raises(DamagedRecordError):
            decoder(data)


@pytest.mark.parametrize("changes", [{"priority": 11}, {"role": 3}, {"extra": 1}, {"payload": 3}])
def test_a_record_with_a_value_out_of_bounds_is_damaged(changes: dict[str, Any]) -> None:
    values = {name: getattr(TASK, name) for name in TaskRecord.__dataclass_fields__}
    with pytest.raises(DamagedRecordError):
        decode_task(encode("task", values | changes))


def test_a_state_as_lua_packs_it_is_read() -> None:
    status = decode_status(msgpack.packb(["task-state", VERSION, STATUS]))
    assert (status.state, status.submitted, status.is_cancelled) == (TaskState.RUNNING, 1.5, True)
    for changes in ({"state": "lost"}, {"attempts": -1}, {"fraction": 2}, {"submitted": "x"}):
        with pytest.raises(DamagedRecordError):
            decode_status(msgpack.packb(["task-state", VERSION, STATUS | changes]))


def test_ids_name_their_role_and_keys_are_told_apart() -> None:
    assert task_id("coder") != task_id("coder")
    assert task_id("coder", "a") == task_id("coder", "a") != task_id("coder", "b") != task_id("tester", "b")
    assert role_of(task_id("some-role", "a key")) == "some-role"


@pytest.mark.parametrize("task", ["", "coder", "coder:", "coder:xyz", "a b:" + "0" * 32, ":" + "0" * 32, None, 7])
def test_what_is_no_id_is_refused(task: Any) -> None:
    with pytest.raises(InputError, match="task id"):
        role_of(task)


def test_a_reason_can_always_be_stored() -> None:
    assert reason(ValueError("\ud800")) == "?"
    assert len(reason("x" * 10_000)) == MAX_WHY
    assert reason("") == "no reason was given"
