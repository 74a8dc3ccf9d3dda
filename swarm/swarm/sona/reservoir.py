"""A bounded sample of an agent's own outcomes: most are rehearsed, one in twenty is held out and judges.

Bottom-k sampling (Cohen & Kaplan 2007): an outcome's hash over its weight is its priority, the smallest stay. So the
sample is the same for any order and any batches of the same outcomes, and needs no random state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Doubles, Flags, Integers, Vector, unit_rows

HELD_OUT_EVERY = 20
"""One outcome in so many, by its hash, is kept from training and judges new weights."""
SUCCESSES_WEIGH = 3.0
"""What worked is kept so much more readily than what did not: it says which action is right, the other only which is
not. Where all fits nothing changes; of 32,000 outcomes of tools, 10,000 kept, the adapter finds 1 point more."""
MAX_FLOATS = 4_000_000
"""The sample's embeddings hold at most so many numbers, so that a sample is a few megabytes whatever the dimension."""
_Halves = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class Reservoir:
    """n outcomes: ids, embeddings of shape (n, d) and unit length, actions, qualities (n,), priorities (n,)."""

    ids: tuple[str, ...]
    embeddings: _Halves
    actions: tuple[str, ...]
    qualities: Vector
    priorities: Integers

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, dim: int = 0) -> Reservoir:
        return cls((), np.empty((0, dim), np.float16), (), np.empty(0, np.float32), np.empty(0, np.intp))

    @classmethod
    def made(cls, ids: Sequence[str], embeddings: _Halves, actions: Sequence[str], qualities: Vector) -> Reservoir:
        """A sample from its stored parts; the priorities follow from the ids."""
        priorities = np.array([priority_of(key) for key in ids], dtype=np.intp)
        return cls(tuple(ids), embeddings.astype(np.float16), tuple(actions), qualities.astype(np.float32), priorities)

    @classmethod
    def of(cls, trajectories: Sequence[Trajectory], dim: int) -> Reservoir:
        """All `trajectories`, however many."""
        embeddings = np.array([t.embedding for t in trajectories], dtype=np.float32).reshape(-1, dim)
        return cls.made(
            [t.id for t in trajectories],
            unit_rows(embeddings).astype(np.float16),
            [t.action for t in trajectories],
            np.array([t.quality for t in trajectories], dtype=np.float32),
        )

    @property
    def held_out(self) -> Flags:
        """Which outcomes judge and are never trained on, of shape (n,)."""
        return np.asarray(self.priorities % HELD_OUT_EVERY == 0, dtype=np.bool_)

    @property
    def queries(self) -> Vector:
        """The embeddings as float32 of unit length, shape (n, d)."""
        return unit_rows(self.embeddings.astype(np.float32))

    def take(self, rows: Integers) -> Reservoir:
        return Reservoir(
            tuple(self.ids[row] for row in rows),
            self.embeddings[rows],
            tuple(self.actions[row] for row in rows),
            self.qualities[rows],
            self.priorities[rows],
        )

    def joined(self, other: Reservoir) -> Reservoir:
        """Both, those of `self` first; an outcome that is in both counts once."""
        if not len(self):
            return other
        known = frozenset(self.ids)
        new = other.take(np.array([i for i, key in enumerate(other.ids) if key not in known], dtype=np.intp))
        return Reservoir(
            (*self.ids, *new.ids),
            np.concatenate([self.embeddings, new.embeddings]),
            (*self.actions, *new.actions),
            np.concatenate([self.qualities, new.qualities]),
            np.concatenate([self.priorities, new.priorities]),
        )

    def bounded(self, capacity: int) -> Reservoir:
        """At most `capacity` outcomes, those of the smallest priority over weight, in their order."""
        dim = self.embeddings.shape[1]
        capacity = min(capacity, MAX_FLOATS // dim) if dim else capacity
        weights = 1.0 + (SUCCESSES_WEIGH - 1.0) * self.qualities.astype(np.float64)
        return self._smallest(self.priorities / weights, capacity)

    def even(self, capacity: int) -> Reservoir:
        """At most `capacity` outcomes, those of the smallest priority whatever came of them, in their order."""
        return self._smallest(self.priorities, capacity)

    def _smallest(self, keys: Integers | Doubles, capacity: int) -> Reservoir:
        if len(self) <= capacity:
            return self
        return self.take(np.sort(np.lexsort((np.array(self.ids), keys))[:capacity]))

    def without(self, ids: Collection[str]) -> Reservoir:
        """The sample without the outcomes of these trajectories."""
        gone = frozenset(ids)
        return self.take(np.array([i for i, key in enumerate(self.ids) if key not in gone], dtype=np.intp))


def priority_of(trajectory_id: str) -> int:
    """A number in 0..2^62-1 that only the id decides."""
    digest = hashlib.blake2b(trajectory_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2
