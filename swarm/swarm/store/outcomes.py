"""An agent's outcomes: the durable stream, receipts, and open trajectories."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from swarm.errors import CapacityError, QueueFullError, RecordError
from swarm.settings import Settings
from swarm.store.connection import Client, clock_s, redis_errors
from swarm.store.reply import stream_position, to_bytes, to_entries, to_text
from swarm.store.scripts import APPEND, EXPIRE_OPEN, OPEN
from swarm.wire.keys import AgentKeys
from swarm.wire.records import begun_at

_FIELDS = {b"r", b"k"}
_PAGE = 1_000
MAX_BATCH = 1_000
"""Outcomes in one transaction: Redis serves nobody else meanwhile."""
_OPEN_AT_ONCE = 100
"""Open trajectories that one script looks at: about a millisecond."""
_SOONEST_S, _LATEST_S = 0.05, 60.0
MAX_OPEN = 10_000
"""Open trajectories of one agent in Redis; the next one is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Where an outcome stands in the stream, and whether this call put it there.

    One that `is_forgotten` was not taken: it belongs to what was forgotten, and must not bring it back.
    """

    stream_id: str
    is_new: bool
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What says whether an outcome belongs to what was forgotten.

    `life` is that of the agent which reports it ("" if that is not known), `action` what was tried, `at_s` the time of
    the task in seconds since the epoch.
    """

    life: str = ""
    action: str = ""
    at_s: float = math.inf


UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An encoded outcome on its way into a stream."""

    record: bytes
    idempotency_key: str
    trajectory_id: str
    origin: Origin = UNKNOWN_ORIGIN


FORGOTTEN_RECEIPT = "-"
"""Stands in the receipt of an outcome that was refused because it belongs to what was forgotten."""


class OutcomeStore:
    """The stream of one agent."""

    def __init__(self, client: Client, keys: AgentKeys, *, max_pending: int, receipt_ttl: float) -> None:
        self._client = client
        self._keys = keys
        self._max_pending = max_pending
        self._receipt_ttl_ms = int(receipt_ttl * 1000)
        self._append = client.register_script(APPEND)
        self._open = client.register_script(OPEN)
        self._expire_open = client.register_script(EXPIRE_OPEN)

    @classmethod
    def of(cls, settings: Settings, client: Client, agent: str) -> Self:
        """The stream of an agent, with the bounds of the settings."""
        keys = AgentKeys(settings.name, agent)
        return cls(client, keys, max_pending=settings.max_pending, receipt_ttl=settings.receipt_ttl)

    def append(
        self, record: bytes, idempotency_key: str, trajectory_id: str, origin: Origin = UNKNOWN_ORIGIN
    ) -> Appended:
        """Put an outcome into the stream, once per idempotency key, and close its open trajectory.

        What belongs to something that was forgotten is not taken, and counted as `refused`.

        Raises
        ------
        QueueFullError
            If `max_pending` outcomes wait for consolidation; nothing was taken.
        """
        outcome = Outcome(record=record, idempotency_key=idempotency_key, trajectory_id=trajectory_id, origin=origin)
        return self.append_many([outcome])[0]

    def append_many(self, outcomes: Sequence[Outcome]) -> list[Appended]:
        """As `append`, for outcomes in order, with one round trip for each `MAX_BATCH` of them.

        Raises
        ------
        QueueFullError
            If there was no room for all; `taken` says how many were taken. A call with the same outcomes does the rest.
        """
        found: list[Appended] = []
        for start in range(0, len(outcomes), MAX_BATCH):
            batch = outcomes[start : start + MAX_BATCH]
            found += self._append_batch(batch)
            if len(found) < start + len(batch):
                raise self._full(len(found))
        return found

    def _append_batch(self, outcomes: Sequence[Outcome]) -> list[Appended]:
        keys = self._keys
        args: list[bytes | str | int] = [self._max_pending, self._receipt_ttl_ms]
        for outcome in outcomes:
            origin = outcome.origin
            args += (outcome.record, outcome.trajectory_id, outcome.idempotency_key)
            args += (origin.life, origin.action, repr(float(origin.at_s)))
        receipts = [keys.receipt(outcome.idempotency_key) for outcome in outcomes]
        with redis_errors(f"append an outcome of {keys.agent}"):
            answers = self._append(keys=[keys.stream, keys.state, keys.open, keys.tombs, *receipts], args=args)
        return [
            Appended(stream_id=stream_id.decode(), is_new=answer == 1, is_forgotten=answer == 2)
            for answer, stream_id in zip(answers[::2], answers[1::2], strict=True)
        ]

    def untaken(self, outcomes: Sequence[Outcome]) -> list[bool]:
        """For each outcome whether `append` would take it: False if it was taken before, or belongs to what was
        forgotten.
        """
        keys = self._keys
        pipeline = self._client.pipeline(transaction=False)
        pipeline.mget([keys.receipt(outcome.idempotency_key) for outcome in outcomes])
        pipeline.hmget(keys.tombs, [f"t:{outcome.trajectory_id}" for outcome in outcomes])
        pipeline.hmget(keys.tombs, [f"a:{outcome.origin.action}" for outcome in outcomes])
        with redis_errors(f"look for outcomes of {keys.agent}"):
            receipts, trajectories, actions = pipeline.execute() if outcomes else ((), (), ())
        return [
            receipt is None and trajectory is None and (dug is None or outcome.origin.at_s > float(dug))
            for outcome, receipt, trajectory, dug in zip(outcomes, receipts, trajectories, actions, strict=True)
        ]

    def _full(self, taken: int) -> QueueFullError:
        """When the next generation can be expected to make room, going by the time between the last two."""
        with redis_errors(f"read the log of {self._keys.agent}"):
            entries = to_entries(self._client.xrevrange(self._keys.log, count=2))
        times = [stream_position(entry_id)[0] / 1000.0 for entry_id, _ in entries]
        due_s = 2 * times[0] - times[1] - clock_s(self._client) if len(times) == 2 else 1.0
        retry_s = min(max(due_s, _SOONEST_S), _LATEST_S)
        return QueueFullError(
            f"agent {self._keys.agent}: {self._max_pending} outcomes wait for consolidation (max_pending); "
            f"retry in {retry_s:.2f} s",
            retry_s,
            taken,
        )

    def read_after(self, cursor: str, count: int, last: str = "+") -> list[tuple[str, bytes]]:
        """At most `count` entries behind `cursor`, up to and with `last`, oldest first: (stream id, record).

        What `append` did not write is passed over: it was never accepted and must not count.
        """
        with redis_errors(f"read the outcomes of {self._keys.agent}"):
            entries = self._client.xrange(self._keys.stream, min=f"({cursor}", max=last, count=count)
        return [(stream_id, fields[b"r"]) for stream_id, fields in to_entries(entries) if fields.keys() == _FIELDS]

    def find(self, stream_id: str) -> bytes | None:
        """The record of one entry, or None if it is not there."""
        with redis_errors(f"read an outcome of {self._keys.agent}"):
            entries = to_entries(self._client.xrange(self._keys.stream, min=stream_id, max=stream_id))
        return entries[0][1].get(b"r") if entries else None

    def pages(self, cursor: str, last: str) -> Iterator[tuple[str, bytes]]:
        """All entries behind `cursor`, up to and with `last`, as `read_after` gives them, fetched page by page."""
        while entries := self.read_after(cursor, _PAGE, last):
            yield from entries
            cursor = entries[-1][0]

    def ends(self) -> tuple[str, str] | None:
        """Ids of the first and the last entry that the stream holds, or None if it is empty."""
        with redis_errors(f"read the ends of the stream of {self._keys.agent}"):
            first = to_entries(self._client.xrange(self._keys.stream, count=1))
            last = to_entries(self._client.xrevrange(self._keys.stream, count=1))
        return (first[0][0], last[0][0]) if first and last else None

    def find_receipt(self, idempotency_key: str) -> str | None:
        """The stream id that an idempotency key stands for, or None if unknown or expired."""
        with redis_errors("look up a receipt"):
            found = self._client.get(self._keys.receipt(idempotency_key))
        return None if found is None else to_text(found)

    def dead_reason(self, stream_id: str) -> str | None:
        """Why an entry could not be used, or None."""
        with redis_errors("look up a dead outcome"):
            found = self._client.hget(self._keys.dead, stream_id)
        return None if found is None else to_text(found)

    def put_open(self, trajectory_id: str, record: bytes, life: str = "") -> None:
        """Remember an open trajectory, unless it was forgotten; `life` is that of the agent, if it is known."""
        keys = self._keys
        with redis_errors(f"open a trajectory of {keys.agent}"):
            taken = self._open(keys=[keys.open, keys.state, keys.tombs], args=[trajectory_id, record, MAX_OPEN, life])
        if not taken:
            raise CapacityError(f"agent {self._keys.agent}: {MAX_OPEN} trajectories are open; end or abandon some")

    def get_open(self, trajectory_id: str) -> bytes | None:
        """The open trajectory of that id."""
        with redis_errors(f"read an open trajectory of {self._keys.agent}"):
            return to_bytes(self._client.hget(self._keys.open, trajectory_id))

    def abandon(self, trajectory_id: str) -> None:
        """Forget an open trajectory that will have no outcome."""
        with redis_errors(f"abandon a trajectory of {self._keys.agent}"):
            self._client.hdel(self._keys.open, trajectory_id)

    def expire_open(self, before_s: float, trajectory_ids: Sequence[str | bytes] | None = None) -> int:
        """Forget open trajectories that began before `before_s`, of all or of those named; how many, and count them.

        One that goes on or begins anew meanwhile stays, and one that cannot be read: nobody knows how old it is.
        """
        keys, expired = self._keys, 0
        with redis_errors(f"let go of open trajectories of {keys.agent}"):
            # All of them are `MAX_OPEN` at most.
            ids = list(self._client.hkeys(keys.open) if trajectory_ids is None else trajectory_ids)
            for start in range(0, len(ids), _OPEN_AT_ONCE):
                page = ids[start : start + _OPEN_AT_ONCE]
                records = zip(page, self._client.hmget(keys.open, page), strict=True)
                if old := [part for one, record in records for part in _if_old(one, to_bytes(record), before_s)]:
                    expired += int(self._expire_open(keys=[keys.open, keys.state], args=old))
        return expired


def _if_old(trajectory_id: str | bytes, record: bytes | None, before_s: float) -> tuple[str | bytes, ...]:
    """The id and the digest of an open trajectory that began before `before_s`; nothing of another one."""
    if record is None:
        return ()
    with suppress(RecordError):
        if begun_at(record) < before_s:
            return trajectory_id, hashlib.sha1(record, usedforsecurity=False).hexdigest()
    return ()
