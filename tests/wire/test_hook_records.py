"""Sessions of hooks as records."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import DamagedRecordError, InputError, RecordError, SwarmError
from swarm.wire.hook_records import MAX_SEEN, SessionRecord, TurnRecord, decode_session, encode_session

TURN = TurnRecord(
    agent="claude-code",
    role="",
    trajectory_id="hook-1",
    began_s=5.0,
    checks={"pytest": True, "mypy": False},
    well=3,
    badly=1,
    last_failed=False,
    is_interrupted=False,
    steps=4,
    tokens=100,
    part=1,
    delegation="",
    is_ended=False,
    is_reported=False,
)
SESSION = SessionRecord(
    client="claude-code",
    session="s",
    model="m",
    at_s=6.0,
    turns={"": TURN, "sub": replace(TURN, agent="claude-code.tester", role="tester")},
    seen=(b"12345678", b"abcdefgh"),
)


def test_what_is_encoded_is_decoded() -> None:
    assert decode_session(encode_session(SESSION)) == SESSION


@pytest.mark.parametrize(
    "wrong",
    [
        replace(SESSION, seen=(b"short",)),
        replace(SESSION, seen=(b"12345678",) * (MAX_SEEN + 1)),
        replace(SESSION, at_s=-1.0),
        replace(SESSION, turns={str(number): TURN for number in range(65)}),
        replace(SESSION, turns={"": replace(TURN, agent="no name")}),
        replace(SESSION, turns={"": replace(TURN, well=-1)}),
        replace(SESSION, turns={"": replace(TURN, checks={"pytest": cast(bool, 1)})}),
        replace(SESSION, client="a\ud800"),
    ],
)
def test_what_is_out_of_bounds_is_not_encoded(wrong: SessionRecord) -> None:
    with pytest.raises(InputError):
        encode_session(wrong)


@given(cut=st.integers(0, 400), junk=st.binary(max_size=20))
def test_damaged_bytes_are_refused_as_such(cut: int, junk: bytes) -> None:
    data = encode_session(SESSION)
    damaged = data[: min(cut, len(data) - 1)] + junk
    try:
        found = decode_session(damaged)
    except RecordError:
        return
    except SwarmError as error:
        raise AssertionError(f"not said to be damaged: {error!r}") from error
    assert encode_session(found)


def test_a_field_too_many_or_too_few_is_damage() -> None:
    kind, version, payload = msgpack.unpackb(encode_session(SESSION))
    for changed in (payload | {"novelty": 1}, {key: payload[key] for key in payload if key != "seen"}):
        with pytest.raises(DamagedRecordError):
            decode_session(msgpack.packb([kind, version, changed]))
