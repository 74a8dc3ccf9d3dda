"""Events as records: every type comes back as it was told, and nothing else is taken."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from swarm.errors import CapacityError, DamagedRecordError, InputError, NewerRecordError
from swarm.wire.codec import encode
from swarm.wire.event_records import MAX_EVENT_BYTES, decode_event, encode_event
from swarm.wire.event_types import EVENTS, AgentForgotten, Body, Gap, LearnComplete

SAMPLES: dict[str, Any] = {
    "str": "x-1",
    "int": 3,
    "float": 0.5,
    "bool": True,
    "float | None": None,
    "tuple[str, ...]": ("ada", "bob"),
}


def sample(kind: type[Body]) -> Body:
    values = {field.name: SAMPLES[str(field.type)] for field in fields(kind)}  # type: ignore[arg-type]  # dataclasses
    return kind(**values)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_every_type_comes_back_as_it_was_told(name: str) -> None:
    event = sample(EVENTS[name])
    record = encode_event(event)
    assert decode_event(name, record) == event
    assert len(record) < 400
    assert name.partition(":")[0].isalpha()


def test_what_an_older_program_left_out_has_its_default() -> None:
    record = encode("agent:forgotten", {"agent": "ada"})
    assert decode_event("agent:forgotten", record) == AgentForgotten(agent="ada")


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("agent:forgotten", b"\xc1"),
        ("agent:forgotten", encode("agent:created", {"agent": "ada"})),
        ("agent:forgotten", encode("agent:forgotten", {"agent": 7})),
        ("agent:forgotten", encode("agent:forgotten", {})),
        ("of:tomorrow", encode("of:tomorrow", {})),
    ],
)
def test_what_is_no_event_is_one_clear_error(kind: str, record: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        decode_event(kind, record)


def test_an_event_of_a_newer_version_is_refused_as_such() -> None:
    record = encode("agent:forgotten", {"agent": "ada"}).replace(b"agent:forgotten\x01", b"agent:forgotten\x02")
    with pytest.raises(NewerRecordError):
        decode_event("agent:forgotten", record)


def test_only_events_of_bounded_size_are_told() -> None:
    with pytest.raises(InputError, match="event must be one of pattern:stored"):
        encode_event(Gap(missed=1))
    with pytest.raises(CapacityError, match=f"{MAX_EVENT_BYTES} bytes at most"):
        encode_event(AgentForgotten(agent="a" * MAX_EVENT_BYTES))
    learned = sample(LearnComplete)
    assert isinstance(learned, LearnComplete)
    with pytest.raises(InputError, match="outcomes must be a whole number in 0"):
        encode_event(replace(learned, outcomes=0.5))  # type: ignore[arg-type]  # on purpose
