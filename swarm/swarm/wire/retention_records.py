"""What a swarm keeps and for how long, as records: retention settings, pins, tombstones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from swarm.errors import InputError
from swarm.sona.ageing import Pin, check_period
from swarm.sona.vectors import check_number, check_text
from swarm.wire.codec import encode, pack_floats, unpack_floats
from swarm.wire.records import guarded

_MAX_TIME_S = 1e15
KINDS = ("trajectory", "pattern", "agent")
"""What can be forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How evidence ages in a swarm, in seconds; None switches that off."""

    half_life_s: float | None = None
    ttl_s: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PinRecord:
    """A pin, with when and by whom it was set."""

    pin: Pin
    at_s: float
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """That something was forgotten, without any of its content.

    `kind` is one of `KINDS`; `id` that of the trajectory or pattern, or the agent's name; `agent` whose it was, "" for
    anybody's. `work` is what is left to erase while `is_done` is False: stream ids by agent.
    """

    kind: str
    id: str
    agent: str
    at_s: float
    by: str
    is_done: bool = False
    work: Mapping[str, tuple[str, ...]] | None = None

    @property
    def field(self) -> str:
        """Its name among the tombstones of a swarm.

        >>> Tombstone(kind="trajectory", id="a/1", agent="ada", at_s=0.0, by="").field
        'trajectory:ada:a/1'
        """
        return f"{self.kind}:{self.agent}:{self.id}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: getattr(self, name) for name in ("kind", "id", "agent", "at_s", "by", "is_done")}


def check_retention(retention: Retention) -> Retention:
    """The settings, if they are within their bounds."""
    for name in ("half_life_s", "ttl_s"):
        check_period(getattr(retention, name), name)
    return retention


def encode_retention(retention: Retention) -> bytes:
    return encode("retention", retention.as_dict())


def decode_retention(data: bytes) -> Retention:
    """The inverse of `encode_retention`."""
    return guarded("retention", data, lambda payload: check_retention(Retention(**payload)))


def encode_pin(record: PinRecord) -> bytes:
    pin = record.pin
    return encode(
        "pin",
        {
            "id": pin.id,
            "family": list(pin.family),
            "direction": pack_floats(pin.direction),
            "at_s": record.at_s,
            "by": record.by,
        },
    )


def decode_pin(data: bytes) -> PinRecord:
    """The inverse of `encode_pin`."""
    return guarded("pin", data, _pin)


def encode_tombstone(tombstone: Tombstone) -> bytes:
    work = {} if tombstone.work is None else {name: list(places) for name, places in tombstone.work.items()}
    return encode("tombstone", {**tombstone.as_dict(), "work": work})


def decode_tombstone(data: bytes) -> Tombstone:
    """The inverse of `encode_tombstone`."""
    return guarded("tombstone", data, _tombstone)


def _pin(payload: Mapping[str, Any]) -> PinRecord:
    action, positive = payload["family"]
    if not isinstance(positive, bool):
        raise InputError(f"family must end with True or False, got {positive!r:.40}")
    direction = payload["direction"]
    return PinRecord(
        pin=Pin(
            id=check_text(payload["id"], "id"),
            family=(check_text(action, "family"), positive),
            direction=unpack_floats(direction, (len(direction) // 4,), "direction"),
        ),
        at_s=check_number(payload["at_s"], "at_s", 0.0, _MAX_TIME_S),
        by=check_text(payload["by"], "by"),
    )


def _tombstone(payload: Mapping[str, Any]) -> Tombstone:
    if payload["kind"] not in KINDS or not isinstance(payload["is_done"], bool):
        raise InputError(f"a tombstone is of kind {', '.join(KINDS)}, got {payload['kind']!r:.40}")
    return Tombstone(
        kind=payload["kind"],
        id=check_text(payload["id"], "id"),
        agent=check_text(payload["agent"], "agent"),
        at_s=check_number(payload["at_s"], "at_s", 0.0, _MAX_TIME_S),
        by=check_text(payload["by"], "by"),
        is_done=payload["is_done"],
        work={
            check_text(name, "work"): tuple(check_text(place, "work") for place in places)
            for name, places in payload["work"].items()
        },
    )
