"""Outcomes that were taken back: consolidation passes them over, and no version that holds them is reachable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from swarm.store.connection import Client, redis_errors
from swarm.store.reply import stream_position, to_hash
from swarm.wire.keys import SwarmKeys

UP_TO = "<="
"""Before the id of the last outcome of a field that stands for many."""
_DONE = " done"


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was taken back of one agent: single outcomes by stream id, and all up to one by "<=" and its id.

    `marks` says how far each is: "" once it is marked, "N" when generation N is free of it (from then on it is
    settled), "N done" when what depended on it is rebuilt, too.
    """

    marks: Mapping[str, str]

    @cached_property
    def _floor(self) -> tuple[int, int]:
        floors = [field.removeprefix(UP_TO) for field in self.marks if is_floor(field)]
        return max(map(stream_position, floors), default=(-1, 0))

    def covers(self, stream_id: str) -> bool:
        """Whether an outcome was taken back."""
        return stream_id in self.marks or stream_position(stream_id) <= self._floor

    def is_settled(self, stream_id: str) -> bool:
        """Whether the agent's current generation is free of an outcome that was taken back."""
        position = stream_position(stream_id)
        return any(
            field == stream_id or (is_floor(field) and position <= stream_position(field.removeprefix(UP_TO)))
            for field, state in self.marks.items()
            if state
        )

    def is_done(self, field: str) -> bool:
        """Whether nothing is left to do for a mark."""
        return self.marks.get(field, "").endswith(_DONE)


NOTHING_FORGOTTEN = Forgotten(marks={})


def up_to(stream_id: str) -> str:
    """The field that stands for every outcome up to one."""
    return UP_TO + stream_id


def is_floor(field: str) -> bool:
    """Whether a field stands for every outcome up to one."""
    return field.startswith(UP_TO)


def settled_by(state: str) -> int:
    """The generation that is free of what a mark stands for, 0 if none is yet.

    >>> settled_by("7"), settled_by("7 done"), settled_by("")
    (7, 7, 0)
    """
    return int(state.removesuffix(_DONE) or 0)


class ForgottenStore:
    """What was taken back of the agents of one swarm; the commit settles it."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys

    def of(self, name: str) -> Forgotten:
        """What was taken back of an agent."""
        with redis_errors(f"read what was taken back of {name}"):
            found = to_hash(self._client.hgetall(self._keys.agent(name).forgotten))
        return Forgotten(marks={field: state.decode() for field, state in found.items()})

    def mark(self, name: str, fields: Iterable[str]) -> None:
        """Take outcomes back; what is marked already stays as it is."""
        with redis_errors(f"take outcomes of {name} back"):
            pipeline = self._client.pipeline(transaction=True)
            for field in fields:
                pipeline.hsetnx(self._keys.agent(name).forgotten, field, "")
            pipeline.execute()

    def finish(self, name: str, fields: Iterable[str]) -> None:
        """Note of settled outcomes that nothing is left to do."""
        marks = self.of(name).marks
        with redis_errors(f"finish taking outcomes of {name} back"):
            pipeline = self._client.pipeline(transaction=True)
            for field in fields:
                state = marks.get(field, "")
                if state and not state.endswith(_DONE):
                    pipeline.hset(self._keys.agent(name).forgotten, field, state + _DONE)
            pipeline.execute()
