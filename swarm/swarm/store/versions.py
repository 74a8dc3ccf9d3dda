"""The versions of an agent: its log of generations, and what it held at each that can still be reached."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from swarm.errors import BoundsError, DamagedRecordError
from swarm.store.agents import VALUES
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes, to_entries, to_hash
from swarm.store.retention_scripts import HOLDS
from swarm.wire.codec import decode
from swarm.wire.keys import SwarmKeys

Span = tuple[str, str]
"""Outcomes behind the first stream id, up to and with the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One generation as its commit described it.

    `kind` is "" for a consolidation; then the content builds on `parent`, the generation before. Another kind says
    what made it, and `parent` on which version the content builds. `spans` are the outcomes it adds to that.
    """

    generation: int
    at_ms: int
    kind: str
    parent: int
    spans: tuple[Span, ...]
    cause: str
    figures: Mapping[str, Any]
    cursor: str = "0-0"
    believed: str = ""
    """How far the agent was believed before, for a consolidation."""
    dead: tuple[str, ...] = ()
    """Stream ids of outcomes that it could not use, the first of them."""
    config_before: str = ""
    """The settings that the agent had before, as JSON, where this generation changed them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an agent held at a version, as stored: clusters by id, and whole records by name.

    All records of `VALUES` are here, None before they were first written.
    """

    version: int
    clusters: Mapping[str, bytes]
    values: Mapping[str, bytes | None]
    skipped: int

    @property
    def age(self) -> int:
        """How many consolidations it comes from."""
        return self.version - self.skipped


class VersionStore:
    """Reads the versions of the agents of one swarm; `Committer` writes them."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._holds = client.register_script(HOLDS)

    def log(self, name: str) -> list[LogEntry]:
        """The generations whose entries are kept, oldest first."""
        with redis_errors(f"read the log of {name}"):
            found = to_entries(self._client.xrange(self._keys.agent(name).log))
        entries: list[LogEntry] = []
        cursor = "0-0"
        for stream_id, fields in found:
            try:
                entry = read_log_entry(stream_id, fields, cursor if entries else None)
            except (KeyError, ValueError) as error:
                raise DamagedRecordError(f"log of agent {name}, entry {stream_id}: {error!r:.200}") from error
            entries.append(entry)
            cursor = entry.cursor
        return entries

    def reachable(self, name: str) -> list[int]:
        """The versions that can be rolled back to, oldest first; the current one is not among them."""
        numbers = self._undos(name)
        if not numbers:
            return []
        # Each leads to the next lower one, because those between are removed; only the lowest one must be asked.
        lowest = self._undo(name, numbers[0])
        return numbers[:-1] if lowest is None else [lowest["to"], *numbers[:-1]]

    def at(self, name: str, version: int) -> Content:
        """What the agent held at `version`; the caller has its lease, or nothing may change meanwhile.

        Raises
        ------
        BoundsError
            If that version cannot be reached: it is too old, was never, or holds what was taken back.
        """
        keys = self._keys.agent(name)
        with redis_errors(f"read the versions of {name}"):
            state, clusters, found = (
                self._client.hmget(keys.state, "generation", "skipped"),
                to_hash(self._client.hgetall(keys.clusters)),
                self._client.mget(keys.weights, keys.learner, keys.sample, keys.routes),
            )
        number, skipped = (int(value or 0) for value in state)
        values = dict(zip(VALUES, map(to_bytes, found), strict=True))
        current = number
        while number > version:
            undo = self._undo(name, number)
            if undo is None:
                break
            for cluster_id, record in undo["clusters"].items():
                if record is None:
                    clusters.pop(cluster_id, None)
                else:
                    clusters[cluster_id] = record
            values |= undo["values"]
            number, skipped = undo["to"], undo["skipped"]
        if number != version:
            raise BoundsError(_unreachable(name, version, current, self.reachable(name)))
        return Content(version=version, clusters=clusters, values=values, skipped=skipped)

    def holds_bytes(self, name: str, needles: Collection[bytes]) -> bool:
        """Whether any of these bytes are in what the agent holds, or held at a version that can be rolled back to."""
        keys = self._keys.agent(name)
        with redis_errors(f"search the versions of {name}"):
            return bool(self._holds(keys=[keys.sample, keys.clusters, keys.undo], args=list(needles)))

    def _undos(self, name: str) -> list[int]:
        with redis_errors(f"list the versions of {name}"):
            return sorted(int(number) for number in self._client.hkeys(self._keys.agent(name).undo))

    def _undo(self, name: str, number: int) -> dict[str, Any] | None:
        """What the commit of generation `number` replaced, as its script packed it."""
        with redis_errors(f"read the versions of {name}"):
            packed = to_bytes(self._client.hget(self._keys.agent(name).undo, str(number)))
        if packed is None:
            return None
        try:
            found = msgpack.unpackb(packed, raw=True, strict_map_key=False)
            return {
                "to": int(found[b"to"]),
                "skipped": int(found[b"skipped"]),
                # An empty table of Lua is packed as an empty list; a value that was not there as false.
                "clusters": {key.decode(): record or None for key, record in dict(found[b"clusters"]).items()},
                "values": {key.decode(): record or None for key, record in dict(found[b"values"]).items()},
            }
        except (ValueError, TypeError, KeyError, AttributeError, msgpack.UnpackException) as error:
            raise DamagedRecordError(f"undo of agent {name}, version {number}: {error!r:.200}") from error


def _unreachable(name: str, version: int, current: int, reachable: Sequence[int]) -> str:
    if not reachable:
        return f"version must be one that agent {name} can be rolled back to, and there is none yet, got {version}"
    if reachable[0] <= version < current:
        return (
            f"version {version} of agent {name} holds what was taken back by a later rewind; "
            f"these can be reached: {', '.join(map(str, reachable))}"
        )
    return f"version must be in {reachable[0]}..{reachable[-1]} for agent {name}, got {version}"


def read_log_entry(stream_id: str, fields: Mapping[bytes, bytes], before: str | None) -> LogEntry:
    """A generation from its entry; `before` is the cursor of the entry before, None if that is not known."""
    generation, cursor = int(fields[b"generation"]), fields[b"cursor"].decode()
    kind = fields.get(b"kind", b"").decode()
    # Older generations are not in the log any more: the oldest entry then stands for all of them.
    spans = ((before or "0-0", cursor),) if not kind else _spans(fields.get(b"spans", b"").decode())
    return LogEntry(
        generation=generation,
        at_ms=int(stream_id.split("-")[0]),
        kind=kind,
        parent=int(fields.get(b"parent", generation - 1)),
        spans=spans,
        cause=fields.get(b"cause", b"").decode(),
        figures=decode("figures", fields[b"figures"]),
        cursor=cursor,
        believed=fields.get(b"believed", b"").decode(),
        dead=tuple(fields.get(b"dead", b"").decode().split()),
        config_before=fields.get(b"config_before", b"").decode(),
    )


def encode_spans(spans: Sequence[Span]) -> str:
    """Spans as text, for a log entry.

    >>> encode_spans([("0-0", "7-0"), ("7-0", "9-1")])
    '0-0:7-0 7-0:9-1'
    """
    return " ".join(f"{first}:{last}" for first, last in spans)


def _spans(text: str) -> tuple[Span, ...]:
    pairs = [tuple(part.split(":")) for part in text.split()]
    return tuple((first, last) for first, last in pairs)
