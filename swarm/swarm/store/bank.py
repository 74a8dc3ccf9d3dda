"""The shared ReasoningBank in Redis: patterns, their change log, and what has been merged."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from swarm.errors import InputError, RecordError, StaleWriterError
from swarm.sona.clusters import Cluster
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import check_count
from swarm.store.commit import counted, counted_pairs
from swarm.store.connection import Client, redis_errors
from swarm.store.lease import Lease
from swarm.store.reply import to_bytes, to_entries, to_hash, to_text
from swarm.store.scripts import PUBLISH
from swarm.wire.codec import encode
from swarm.wire.event_records import encode_event
from swarm.wire.event_types import Body
from swarm.wire.keys import BANKLOG_LENGTH, SwarmKeys, check_name
from swarm.wire.records import decode_cluster, decode_weights, encode_cluster, guarded

_CURSOR = re.compile(r"[0-9]+-[0-9]+")
_PAGE = 1_000
"""Patterns that are fetched at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedAgent:
    """Which generation of an agent the bank contains, and up to which outcome."""

    generation: int
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BankChanges:
    """What to do to a replica to bring it to `version`: drop everything first if `is_full`."""

    version: str
    is_full: bool
    put: Sequence[Cluster]
    removed: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one publication changed: how many patterns it wrote and removed."""

    put: int
    removed: int
    is_full: bool


class BankStore:
    """The bank of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._publish = client.register_script(PUBLISH)

    def lease(self, ttl: float) -> Lease | None:
        """The right to merge, or None while somebody else has it."""
        return Lease.take(self._client, self._keys.lease, self._keys.fence, ttl)

    def merged(self, names: Sequence[str] | None = None) -> dict[str, MergedAgent]:
        """What the bank contains, by agent; by default of all."""
        with redis_errors("read what was merged"):
            if names is None:
                found = to_hash(self._client.hgetall(self._keys.merged))
            else:
                values = map(to_bytes, self._client.hmget(self._keys.merged, list(names)) if names else [])
                found = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        return {name: guarded("merged", data, _merged_agent) for name, data in found.items()}

    def patterns(self) -> list[Cluster]:
        """All patterns, by id."""
        with redis_errors("read the bank"):
            found = to_hash(self._client.hgetall(self._keys.bank))
        return [decode_cluster(data) for data in found.values()]

    def pattern(self, pattern_id: str) -> Cluster | None:
        """One pattern, or None."""
        with redis_errors("read a pattern"):
            found = to_bytes(self._client.hget(self._keys.bank, pattern_id))
        return None if found is None else decode_cluster(found)

    def count(self) -> int:
        """Number of patterns."""
        with redis_errors("count the patterns"):
            return int(self._client.hlen(self._keys.bank))

    def version(self) -> str:
        """Id of the newest entry of the change log; "0-0" before the first."""
        with redis_errors("read the bank's version"):
            newest = to_entries(self._client.xrevrange(self._keys.banklog, count=1))
        return newest[0][0] if newest else "0-0"

    def merges(self) -> int:
        """How often the bank was published."""
        with redis_errors("count the merges"):
            return int(self._client.hget(self._keys.meta, "merges") or 0)

    def aged(self) -> str:
        """How old everything in the bank is, as `publish` was told; "" if nothing ages."""
        with redis_errors("read how old the bank is"):
            return (to_bytes(self._client.hget(self._keys.meta, "aged")) or b"").decode()

    def publish(
        self,
        lease: Lease,
        put: Sequence[Cluster],
        removed: Sequence[str],
        merged: Mapping[str, MergedAgent],
        *,
        experts: Mapping[str, int] | None = None,
        is_full: bool = False,
        aged: str = "",
        expired: int = 0,
        events: Sequence[Body] = (),
    ) -> str:
        """Write changed patterns, the log entry and what was merged in one transaction; the new version.

        `experts` are the agents whose adapters bend everybody's queries, with the generation of their weights.
        With `is_full` replicas do not follow the change, but load everything anew. `aged` says how old everything in
        the bank is by this, "" if nothing ages; `expired` is added to the count of patterns that were too old. `events`
        are told in the same transaction; a `MergeComplete` among them gets the new version there.

        Raises
        ------
        StaleWriterError
            If the lease was lost; nothing was written.
        """
        keys = self._keys
        ids = {"put": [cluster.id for cluster in put], "removed": list(removed)}
        change = encode("change", {**ids, "full": True} if is_full else ids)
        args: list[bytes | str | int] = [lease.token, BANKLOG_LENGTH, change, encode("experts", experts or {})]
        args += [aged, expired]
        args += counted(removed)
        args += counted_pairs((cluster.id, encode_cluster(cluster)) for cluster in put)
        args += counted_pairs(
            (name, encode("merged", {"generation": entry.generation, "cursor": entry.cursor}))
            for name, entry in merged.items()
        )
        args += counted_pairs((event.type, encode_event(event)) for event in events)
        touched = [keys.lease, keys.bank, keys.banklog, keys.merged, keys.meta, keys.events]
        with redis_errors("publish the bank"):
            version = self._publish(keys=touched, args=args)
        if not version:
            raise StaleWriterError(f"bank: the lease with token {lease.token} was lost before the commit")
        return to_text(version)

    def experts(self) -> dict[str, int]:
        """The agents whose adapters bend everybody's queries, with the generation of their weights."""
        with redis_errors("read the experts"):
            found = to_bytes(self._client.hget(self._keys.meta, "experts"))
        return {} if found is None else guarded("experts", found, _experts)

    def bases(self, names: Iterable[str]) -> dict[str, tuple[LoraPair, ...]]:
        """The base tiers of agents as they are now; one that has none, or a damaged one, is not there."""
        wanted = list(names)
        with redis_errors("read the weights of the experts"):
            pipeline = self._client.pipeline(transaction=False)
            for name in wanted:
                pipeline.get(self._keys.agent(name).weights)
            records = map(to_bytes, pipeline.execute())
        found = {}
        for name, record in zip(wanted, records, strict=True):
            # One that is damaged is its own agent's trouble, which hears of it; it must not keep the others away.
            with suppress(RecordError):
                if record is not None:
                    found[name] = decode_weights(record).base
        return found

    def changes_since(self, version: str | None) -> BankChanges | None:
        """What happened after `version`; None if nothing did. None as version asks for everything."""
        changes = self.changes_after(version)
        return self._everything() if changes is not None and changes.is_full else changes

    def changes_after(self, version: str | None, *, in_order: bool = True) -> BankChanges | None:
        """As `changes_since`, but what is to be loaded anew (`is_full`) is not fetched: see `pages`.

        With `in_order` that includes changes after which replicas are to hold everything in one order.
        """
        if version is None:
            return self._anew()
        with redis_errors("follow the bank"):
            entries = to_entries(self._client.xrange(self._keys.banklog, min=version, max="+"))
        if not entries or entries[0][0] != version:
            # The entry we stood at is gone: we are too far behind, or the bank was emptied.
            return None if version == "0-0" and not entries else self._anew()
        if len(entries) == 1:
            return None
        changes = [guarded("change", fields.get(b"c", b""), _ids) for _, fields in entries[1:]]
        if in_order and any(change.is_full for change in changes):
            return self._anew()
        return self._touched(entries[-1][0], {pattern_id for change in changes for pattern_id in change.ids})

    def pages(self) -> Iterator[list[Cluster]]:
        """All patterns, some at a time and in no order; one that is replaced meanwhile may come twice.

        What changes between the first page and the last may or may not be there: ask for the `version` before, and
        follow the changes since.
        """
        cursor = 0
        while True:
            with redis_errors("read the bank"):
                cursor, found = self._client.hscan(self._keys.bank, cursor, count=_PAGE)
            yield [decode_cluster(data) for data in to_hash(found).values()]
            if not cursor:
                return

    def _anew(self) -> BankChanges:
        return BankChanges(version=self.version(), is_full=True, put=(), removed=())

    def change(self, version: str) -> Change | None:
        """What was published with this id of the change log; None if the log does not hold it."""
        if not _CURSOR.fullmatch(version):
            return None
        with redis_errors("read the change log"):
            entries = to_entries(self._client.xrange(self._keys.banklog, min=version, max=version))
        return guarded("change", entries[0][1].get(b"c", b""), _change) if entries else None

    def _everything(self) -> BankChanges:
        # The version is read first: a change between the two reads is then applied twice, which does no harm.
        version = self.version()
        return BankChanges(version=version, is_full=True, put=self.patterns(), removed=())

    def _touched(self, version: str, ids: Collection[str]) -> BankChanges:
        touched = sorted(ids)
        found: list[bytes | None] = []
        with redis_errors("follow the bank"):
            for start in range(0, len(touched), _PAGE):
                page = touched[start : start + _PAGE]
                found += [to_bytes(data) for data in self._client.hmget(self._keys.bank, page)]
        put = [decode_cluster(data) for data in found if data is not None]
        removed = [pattern_id for pattern_id, data in zip(touched, found, strict=True) if data is None]
        return BankChanges(version=version, is_full=False, put=put, removed=removed)


def _merged_agent(payload: Mapping[str, Any]) -> MergedAgent:
    if not _CURSOR.fullmatch(payload["cursor"]):
        raise InputError(f"cursor must be a stream id, got {payload['cursor']!r:.40}")
    generation = check_count(payload["generation"], "generation", 0, 2**53)
    return MergedAgent(generation=generation, cursor=payload["cursor"])


def _experts(payload: Mapping[str, Any]) -> dict[str, int]:
    return {
        check_name(name, "expert"): check_count(generation, "generation", 0, 2**53)
        for name, generation in payload.items()
    }


def _change(payload: Mapping[str, Any]) -> Change:
    return Change(put=len(payload["put"]), removed=len(payload["removed"]), is_full=payload.get("full") is True)


class _Touched(NamedTuple):
    """The patterns that a change touched, and whether replicas are to load everything anew."""

    ids: frozenset[str]
    is_full: bool


def _ids(payload: Mapping[str, Any]) -> _Touched:
    ids = frozenset((*payload["put"], *payload["removed"]))
    if not all(isinstance(pattern_id, str) for pattern_id in ids):
        raise InputError("ids of patterns must be text")
    return _Touched(ids, payload.get("full") is True)
