"""Entries of an agent's stream as what a consolidation learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarm.errors import DamagedRecordError, NewerRecordError
from swarm.sona.trajectory import Trajectory
from swarm.store.forgotten import Forgotten
from swarm.store.reply import stream_position
from swarm.wire.records import decode_trajectory

_MAX_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a few entries of a stream come to; `cursor` is the last of them, "" without any.

    `dead` says why an entry cannot be used, `forgotten` are those that were taken back.
    """

    trajectories: tuple[Trajectory, ...]
    dead: Mapping[str, str]
    forgotten: tuple[str, ...]
    cursor: str

    @property
    def at_s(self) -> float:
        """When the last was accepted, by Redis's clock: the time of the cycle that learns them, whenever it runs."""
        return stream_position(self.cursor)[0] / 1000.0

    @property
    def entries(self) -> int:
        return len(self.trajectories) + len(self.dead) + len(self.forgotten)


def read_batch(entries: Sequence[tuple[str, bytes]], dim: int, forgotten: Forgotten) -> Batch:
    """The batch of `entries`, in their order; one that a newer version wrote ends it.

    Raises
    ------
    NewerRecordError
        If the first entry was written by a newer version.
    """
    trajectories: list[Trajectory] = []
    dead: dict[str, str] = {}
    passed: list[str] = []
    cursor = ""
    for stream_id, record in entries:
        try:
            if forgotten.covers(stream_id):
                passed.append(stream_id)
            else:
                trajectories.append(_decode(record, dim))
        except NewerRecordError:
            if not cursor:
                raise
            break
        except DamagedRecordError as error:
            dead[stream_id] = str(error)[:_MAX_REASON]
        cursor = stream_id
    return Batch(trajectories=tuple(trajectories), dead=dead, forgotten=tuple(passed), cursor=cursor)


def _decode(record: bytes, dim: int) -> Trajectory:
    trajectory = decode_trajectory(record)
    if len(trajectory.embedding) != dim:
        raise DamagedRecordError(f"embedding: expected {dim} numbers, got {len(trajectory.embedding)}")
    return trajectory
