"""Events as records: the type of an event is the kind of its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from swarm.errors import CapacityError, InputError, shown
from swarm.sona.vectors import check_count, check_number
from swarm.wire.codec import encode
from swarm.wire.event_types import EVENTS, MAX_NAMES, Body
from swarm.wire.records import guarded

MAX_EVENT_BYTES = 8192
_LARGEST = 1e15


def encode_event(body: Body) -> bytes:
    """The record of an event, of kind `body.type`.

    Raises
    ------
    InputError
        If it is none of `EVENTS`, or a value is of the wrong type.
    CapacityError
        If it would have more than `MAX_EVENT_BYTES`.
    """
    if EVENTS.get(getattr(body, "type", "")) is not type(body):
        raise InputError(f"event must be one of {', '.join(EVENTS)}, got {shown(body, 40)}")
    payload = asdict(body)  # type: ignore[call-overload]  # all classes of EVENTS are dataclasses
    _build(type(body), payload)
    record = encode(body.type, payload)
    if len(record) > MAX_EVENT_BYTES:
        raise CapacityError(f"an event may have {MAX_EVENT_BYTES} bytes at most, got {len(record)}")
    return record


def decode_event(kind: str, data: bytes) -> Body:
    """The inverse of `encode_event`.

    Raises
    ------
    RecordError
        If it cannot be read, or `kind` is none of `EVENTS`.
    """
    wanted = EVENTS.get(kind)
    return guarded(kind, data, lambda payload: _build(wanted, payload))


def _build(kind: type[Body] | None, payload: Mapping[str, Any]) -> Body:
    if kind is None:
        raise InputError("this program knows no such type")
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]  # as above
        # What an older program wrote lacks the fields that have a default.
        if field.name in payload:
            values[field.name] = _CHECKS[str(field.type)](payload[field.name], field.name)
    return kind(**values)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, got {shown(value, 40)}")
    return value


def _names(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_NAMES:
        raise InputError(f"{name} must be {MAX_NAMES} names at most, got {shown(value, 40)}")
    return tuple(_text(one, name) for one in value)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {shown(value, 40)}")
    return value


def _number(value: object, name: str) -> float:
    return check_number(value, name, -_LARGEST, _LARGEST)


_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    "str": _text,
    "int": lambda value, name: check_count(value, name, 0, 2**53),
    "float": _number,
    "bool": _flag,
    "float | None": lambda value, name: None if value is None else _number(value, name),
    "tuple[str, ...]": _names,
}
