"""Open trajectories and the bounded buffer of ended ones.

Recording is on the hot path of every task, so vectors are kept as bytes and steps as bare tuples here; they
become `Step` and `Trajectory` objects, with arrays that cannot be written, only when they are read.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from swarm.errors import CapacityError, UnknownIdError
from swarm.sona.clusters import MAX_TIME_S
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import MAX_LATENCY_MS, Step, Trajectory, check_trajectory
from swarm.sona.vectors import (
    MAX_LENGTH,
    MAX_SQUARED_NORM,
    MIN_SQUARED_NORM,
    check_direction,
    check_number,
    check_numbers,
    check_text,
    check_vector,
)

MAX_OPEN = 100_000
_FLOAT32 = np.dtype(np.float32)


class Recording:
    """A trajectory as the recorder holds it: open until it has a quality."""

    def __init__(self, recording_id: int, embedding: bytes) -> None:
        self.id = recording_id
        self.embedding = embedding
        self.steps: list[tuple[float, bytes | None, bytes | None, str, float]] = []
        self.action = ""
        self.response = ""
        self.route = ""
        self.context: tuple[str, ...] = ()
        self.quality = 0.0
        self.at_s = 0.0

    def trajectory(self) -> Trajectory:
        """The trajectory as everybody else sees it."""
        return Trajectory(
            id=str(self.id),
            embedding=np.frombuffer(self.embedding, dtype=np.float32),
            quality=self.quality,
            steps=tuple(
                Step(
                    reward=reward,
                    activations=None if activations is None else np.frombuffer(activations, dtype=np.float32),
                    attention=None if attention is None else np.frombuffer(attention, dtype=np.float32),
                    node=node,
                    latency_ms=latency_ms,
                )
                for reward, activations, attention, node, latency_ms in self.steps
            ),
            action=self.action,
            response=self.response,
            route=self.route,
            latency_ms=sum((step[-1] for step in self.steps), 0.0),
            text="\n".join(self.context),
            at_s=self.at_s,
            context={str(line): text for line, text in enumerate(self.context)},
        )


class Recorder:
    """Records trajectories; an ended one waits in the buffer until a background cycle takes it.

    A full buffer refuses to end another trajectory (`CapacityError`); that one stays open, so nothing is lost.
    """

    def __init__(self, config: SonaConfig) -> None:
        self._dim = config.dim
        self._shape = (config.dim,)
        self._max_steps = config.max_trajectory_steps
        self._capacity = config.trajectory_capacity
        self._open: dict[int, Recording] = {}
        self._buffer: deque[Recording | Trajectory] = deque()
        self.next_id = 1
        self.recorded = 0

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def open_count(self) -> int:
        return len(self._open)

    def begin(self, embedding: object) -> int:
        """Open a trajectory for a query of shape (d,); its id."""
        if len(self._open) >= MAX_OPEN:
            raise CapacityError(f"open trajectories: the bound is {MAX_OPEN}; end some first")
        try:
            # As in `add_step`: what callers mostly pass is checked without a call.
            is_plain = (
                type(embedding) is np.ndarray
                and embedding.dtype is _FLOAT32
                and embedding.shape == self._shape
                and MIN_SQUARED_NORM <= embedding.dot(embedding) <= MAX_SQUARED_NORM
            )
        except RuntimeWarning:
            is_plain = False
        vector = np.asarray(embedding) if is_plain else check_vector(embedding, self._dim, "embedding")
        if not is_plain:
            check_direction(vector, self._dim, "embedding")
        recording_id = self.next_id
        self.next_id = recording_id + 1
        self._open[recording_id] = Recording(recording_id, vector.tobytes())
        return recording_id

    def opened(self, recording_id: int) -> Recording:
        """The open trajectory of that id, else an error that says what became of it."""
        try:
            return self._open[recording_id]
        except (KeyError, TypeError):
            issued = type(recording_id) is int and 0 < recording_id < self.next_id
            reason = "has ended already" if issued else "was never issued"
            raise UnknownIdError(f"trajectory_id {recording_id!r:.40} {reason}") from None

    def add_step(
        self, recording_id: int, activations: object, attention: object, reward: object, node: str, latency_ms: float
    ) -> None:
        """Append a step; see `SonaEngine.add_step`."""
        try:
            steps = self._open[recording_id].steps
        except (KeyError, TypeError):
            steps = self.opened(recording_id).steps
        if len(steps) >= self._max_steps:
            raise CapacityError(f"max_trajectory_steps is {self._max_steps}: trajectory {recording_id} is full")
        if type(reward) is not float or not 0.0 <= reward <= 1.0:
            reward = check_number(reward, "reward", 0.0, 1.0)
        if latency_ms != 0.0:
            latency_ms = check_number(latency_ms, "latency_ms", 0.0, MAX_LATENCY_MS)
        if node != "":
            check_text(node, "node")
        try:
            # What callers mostly pass is checked without a call; NaN compares false and takes the long way too.
            if (
                type(activations) is np.ndarray
                and activations.dtype is _FLOAT32
                and activations.shape == self._shape
                and activations.dot(activations) <= MAX_SQUARED_NORM
                and type(attention) is np.ndarray
                and attention.dtype is _FLOAT32
                and attention.ndim == 1
                and len(attention) <= MAX_LENGTH
                and attention.dot(attention) <= MAX_SQUARED_NORM
            ):
                steps.append((reward, activations.tobytes(), attention.tobytes(), node, latency_ms))
                return
        except RuntimeWarning:
            # An overflow, where warnings are errors; the long way says what is wrong.
            pass
        done = None if activations is None else _frozen(activations, self._dim, "activations")
        seen = None if attention is None else _frozen(attention, 0, "attention")
        steps.append((reward, done, seen, node, latency_ms))

    def end(self, recording_id: int, quality: object, now_s: float) -> None:
        """Close a trajectory and put it into the buffer."""
        recording = self.opened(recording_id)
        if type(quality) is not float or not 0.0 <= quality <= 1.0:
            quality = check_number(quality, "quality", 0.0, 1.0)
        if now_s != 0.0:
            now_s = check_number(now_s, "now_s", 0.0, MAX_TIME_S)
        if len(self._buffer) >= self._capacity:
            self._refuse()
        del self._open[recording_id]
        recording.quality = quality
        recording.at_s = now_s
        self._buffer.append(recording)
        self.recorded += 1

    def submit(self, trajectory: Trajectory) -> None:
        """Put a copy of a trajectory that ended elsewhere into the buffer."""
        checked = check_trajectory(trajectory, self._dim, self._max_steps)
        if len(self._buffer) >= self._capacity:
            self._refuse()
        self._buffer.append(checked)
        self.recorded += 1

    def newest(self, count: int) -> list[Trajectory]:
        """The last `count` trajectories of the buffer, oldest first."""
        tail = [self._buffer[-position] for position in range(min(count, len(self._buffer)), 0, -1)]
        return [item.trajectory() if isinstance(item, Recording) else item for item in tail]

    def clear(self) -> None:
        """Empty the buffer."""
        self._buffer.clear()

    def _refuse(self) -> None:
        raise CapacityError(
            f"trajectory_capacity is {self._capacity} and as many wait to be learned: call tick() or force_learn()"
        )


def _frozen(value: object, dim: int, parameter: str) -> bytes:
    """float32 bytes of a vector of shape (dim,), or of any length if `dim` is 0; finite."""
    checked = check_vector(value, dim, parameter) if dim else check_numbers(value, parameter)
    return checked.tobytes()
