"""Retention as its user sees it: how evidence ages, and what is pinned."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from swarm.errors import CapacityError, UnknownIdError
from swarm.sona.ageing import PIN_SIMILARITY, Pin
from swarm.sona.clusters import Cluster, family_of
from swarm.sona.vectors import check_text
from swarm.store.bank import BankStore
from swarm.store.retention import MAX_PINS, RetentionStore
from swarm.wire.retention_records import PinRecord, Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class PinView:
    """A pin. `pattern_id` is the pattern that stands in its place now, "" if there is none; `id` the one pinned."""

    id: str
    pattern_id: str
    response: str
    outcomes: float
    at_s: float
    by: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionView:
    """How evidence ages in a swarm, in seconds, None where it does not; how many patterns have expired so far."""

    half_life_s: float | None
    ttl_s: float | None
    expired: int
    pins: tuple[PinView, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def read_retention(store: RetentionStore, bank: BankStore) -> RetentionView:
    """The settings, with every pin and the pattern in its place."""
    retention, pins = store.read(), store.pins()
    patterns = bank.patterns() if pins else []
    return RetentionView(
        half_life_s=retention.half_life_s,
        ttl_s=retention.ttl_s,
        expired=store.expired(),
        pins=tuple(_view(record, patterns) for record in pins.values()),
    )


def set_retention(store: RetentionStore, half_life_s: float | None, ttl_s: float | None) -> Retention:
    """Let evidence age from now on; None switches it off. The next merge ages the bank.

    Raises
    ------
    BoundsError
        If a period is not in 1 second..100 years.
    """
    retention = Retention(half_life_s=half_life_s, ttl_s=ttl_s)
    store.write(retention)
    return retention


def pin_pattern(pattern_id: str, by: str, store: RetentionStore, bank: BankStore) -> PinView:
    """Keep a pattern from decaying, expiring and being pruned; done twice it is the same.

    Raises
    ------
    UnknownIdError
        If the bank has no such pattern.
    CapacityError
        If `MAX_PINS` patterns are pinned.
    """
    pattern = bank.pattern(check_text(pattern_id, "pattern_id"))
    if pattern is None:
        raise UnknownIdError(f"pattern {pattern_id!r:.80} is not in the bank: swarm query shows ids")
    pin = Pin(id=pattern.id, family=family_of(pattern), direction=pattern.centroid)
    record = PinRecord(pin=pin, at_s=store.now_s(), by=check_text(by, "by"))
    if not store.put_pin(record):
        raise CapacityError(f"{MAX_PINS} patterns are pinned, which is the bound (pins): unpin one first")
    return _view(record, [pattern])


def unpin_pattern(pattern_id: str, store: RetentionStore, bank: BankStore) -> PinView:
    """Let a pattern age again. It is named by the id with which it was pinned, or by the one that it has now.

    Raises
    ------
    UnknownIdError
        If no pin has or keeps that pattern.
    """
    pins = store.pins()
    record = pins.get(check_text(pattern_id, "pattern_id"))
    patterns = bank.patterns()
    if record is None:
        record = next((pin for pin in pins.values() if _view(pin, patterns).pattern_id == pattern_id), None)
    if record is None or not store.remove_pin(record.pin.id):
        raise UnknownIdError(f"no pin keeps pattern {pattern_id!r:.80}: swarm pin --list shows the pins")
    return _view(record, patterns)


def pattern_of(pin: Pin, patterns: list[Cluster]) -> Cluster | None:
    """The pattern in a pin's place: the nearest of its family, if it is near enough."""
    family = [pattern for pattern in patterns if family_of(pattern) == pin.family]
    nearest = max(family, key=lambda pattern: (pin.similarity(pattern), pattern.id), default=None)
    return None if nearest is None or pin.similarity(nearest) < PIN_SIMILARITY else nearest


def _view(record: PinRecord, patterns: list[Cluster]) -> PinView:
    pattern = pattern_of(record.pin, patterns)
    return PinView(
        id=record.pin.id,
        pattern_id="" if pattern is None else pattern.id,
        response="" if pattern is None else pattern.response,
        outcomes=0.0 if pattern is None else pattern.n,
        at_s=record.at_s,
        by=record.by,
    )
