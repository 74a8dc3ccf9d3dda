"""Open trajectories and the bounded buffer of ended ones."""

from __future__ import annotations

from collections import deque

import numpy as np

from swarm.errors import BoundsError, CapacityError, ShapeError, UnknownIdError
from swarm.sona.config import SonaConfig
from swarm.sona.signals import MAX_LATENCY_MS
from swarm.sona.trajectory import Step, Trajectory
from swarm.sona.vectors import Vector, check_number, check_vector

MAX_OPEN = 100_000
MAX_ATTENTION = 65_536


class OpenTrajectory:
    """A task under way: mutable, private to the recorder."""

    __slots__ = ("action", "context", "embedding", "response", "route", "steps")

    def __init__(self, embedding: Vector) -> None:
        self.embedding = embedding
        self.steps: list[Step] = []
        self.action = ""
        self.response = ""
        self.route = ""
        self.context: dict[str, str] | None = None


class Recorder:
    """Records trajectories; an ended one waits in the buffer until a background cycle takes it.

    A full buffer refuses to end another trajectory (`CapacityError`); that one stays open, so nothing is lost.
    """

    def __init__(self, config: SonaConfig) -> None:
        self._dim = config.dim
        self._max_steps = config.max_trajectory_steps
        self._capacity = config.trajectory_capacity
        self._open: dict[int, OpenTrajectory] = {}
        self.next_id = 1
        self.buffer: deque[Trajectory] = deque()
        self.recorded = 0

    @property
    def open_count(self) -> int:
        return len(self._open)

    def begin(self, embedding: object) -> int:
        """Open a trajectory for a query of shape (d,); its id."""
        if len(self._open) >= MAX_OPEN:
            raise CapacityError(f"open trajectories: the bound is {MAX_OPEN}; end or abandon some first")
        vector = check_vector(embedding, self._dim, "embedding")
        if not vector.any():
            raise BoundsError("embedding must not be zero: it has no direction")
        trajectory_id = self.next_id
        self.next_id = trajectory_id + 1
        self._open[trajectory_id] = OpenTrajectory(vector)
        return trajectory_id

    def opened(self, trajectory_id: int) -> OpenTrajectory:
        """The open trajectory of that id, else an error that says what became of it."""
        trajectory = self._open.get(trajectory_id)
        if trajectory is None:
            issued = isinstance(trajectory_id, int) and 0 < trajectory_id < self.next_id
            raise UnknownIdError(
                f"trajectory_id {trajectory_id!r:.40} {'has ended already' if issued else 'was never issued'}"
            )
        return trajectory

    def add_step(
        self,
        trajectory_id: int,
        activations: object,
        attention: object,
        reward: object,
        node: str,
        latency_ms: float,
    ) -> None:
        """Append a step; see `SonaEngine.add_step`."""
        steps = self.opened(trajectory_id).steps
        if len(steps) >= self._max_steps:
            raise CapacityError(f"max_trajectory_steps is {self._max_steps}: trajectory {trajectory_id} is full")
        checked = reward if type(reward) is float and 0.0 <= reward <= 1.0 else check_number(reward, "reward", 0, 1)
        if latency_ms:
            latency_ms = check_number(latency_ms, "latency_ms", 0.0, MAX_LATENCY_MS)
        steps.append(
            Step(
                reward=checked,
                activations=None if activations is None else check_vector(activations, self._dim, "activations"),
                attention=None if attention is None else _check_attention(attention),
                node=node,
                latency_ms=latency_ms,
            )
        )

    def end(self, trajectory_id: int, quality: object, now_s: float) -> Trajectory:
        """Close a trajectory and put it into the buffer."""
        opened = self.opened(trajectory_id)
        checked = check_number(quality, "quality", 0.0, 1.0)
        self._make_room()
        del self._open[trajectory_id]
        trajectory = Trajectory(
            id=str(trajectory_id),
            embedding=opened.embedding,
            quality=checked,
            steps=tuple(opened.steps),
            action=opened.action,
            response=opened.response,
            route=opened.route,
            at_s=now_s,
            context=opened.context or {},
        )
        self.buffer.append(trajectory)
        self.recorded += 1
        return trajectory

    def submit(self, trajectory: Trajectory) -> None:
        """Put a trajectory that ended elsewhere into the buffer."""
        check_vector(trajectory.embedding, self._dim, "embedding")
        check_number(trajectory.quality, "quality", 0.0, 1.0)
        self._make_room()
        self.buffer.append(trajectory)
        self.recorded += 1

    def drain(self) -> list[Trajectory]:
        """Take everything out of the buffer."""
        taken = list(self.buffer)
        self.buffer.clear()
        return taken

    def _make_room(self) -> None:
        if len(self.buffer) >= self._capacity:
            raise CapacityError(
                f"trajectory_capacity is {self._capacity} and as many wait to be learned: call tick() or force_learn()"
            )


def _check_attention(attention: object) -> Vector:
    """A private copy of shape (m,), any m up to `MAX_ATTENTION`, finite."""
    try:
        vector = np.array(attention, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(f"attention must be numbers, got {type(attention).__name__}") from error
    if vector.ndim != 1 or len(vector) > MAX_ATTENTION:
        raise ShapeError(f"attention must have shape (m,) with m <= {MAX_ATTENTION}, got {vector.shape}")
    return check_vector(vector, len(vector), "attention")
