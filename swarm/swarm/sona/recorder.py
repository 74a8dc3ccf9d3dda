"""Open trajectories and the bounded buffer of ended ones.

Recording is on the hot path of every task, so vectors are kept as bytes and steps as bare tuples here; they
become `Step` and `Trajectory` objects, with arrays that cannot be written, only when they are read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from swarm.errors import CapacityError, UnknownIdError, shown
from swarm.sona.clusters import MAX_TIME_S
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import GENERAL, MAX_LATENCY_MS, Step, Trajectory, check_trajectory
from swarm.sona.vectors import (
    MAX_LENGTH,
    MAX_SQUARED_NORM,
    MIN_SQUARED_NORM,
    check_count,
    check_direction,
    check_number,
    check_numbers,
    check_text,
    check_vector,
)

MAX_OPEN = 100_000
_ARRAY = np.ndarray
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
        self.task_type = GENERAL
        self.context: tuple[str, ...] = ()
        self.quality = 0.0
        self.at_s = 0.0

    def trajectory(self, agent: str) -> Trajectory:
        """The trajectory of `agent` as everybody else sees it."""
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
            task_type=self.task_type,
            agent=agent,
            at_s=self.at_s,
            context={str(line): text for line, text in enumerate(self.context)},
        )


class TrajectoryRecorder:
    """The recording half of an engine. An ended trajectory waits in the buffer until a background cycle takes it.

    A full buffer refuses to end another trajectory (`CapacityError`); that one stays open, so nothing is lost.
    """

    def __init__(self, config: SonaConfig, agent: str) -> None:
        self.config = config
        self.agent = agent
        """Whose trajectories are recorded."""
        self._shape = (config.dim,)
        self._max_steps = config.max_trajectory_steps
        self._capacity = config.trajectory_capacity
        self._open: dict[int, Recording] = {}
        self._buffer: deque[Recording | Trajectory] = deque()
        self._next_id = 1
        self._recorded = 0
        self._unlearned = 0
        """Trajectories at the end of the buffer that the instant loop has not seen yet."""

    def begin_trajectory(self, embedding: object) -> int:
        """Open a trajectory for a query of shape (d,); its id.

        Raises
        ------
        ShapeError, BoundsError
            If the embedding has another dimension, is zero or not finite.
        """
        if len(self._open) >= MAX_OPEN:
            raise CapacityError(f"open trajectories: the bound is {MAX_OPEN}; end some first")
        try:
            # As in `add_step`: what callers mostly pass is checked without a call.
            is_plain = (
                type(embedding) is _ARRAY
                and embedding.dtype is _FLOAT32
                and embedding.shape == self._shape
                and MIN_SQUARED_NORM <= embedding.dot(embedding) <= MAX_SQUARED_NORM
            )
        except RuntimeWarning:
            is_plain = False
        if not is_plain:
            embedding = check_vector(embedding, self.config.dim, "embedding")
            check_direction(embedding, self.config.dim, "embedding")
        trajectory_id = self._next_id
        self._next_id = trajectory_id + 1
        self._open[trajectory_id] = Recording(trajectory_id, embedding.tobytes())  # type: ignore[attr-defined]  # an array
        return trajectory_id

    def add_step(
        self,
        trajectory_id: int,
        activations: object,
        attention: object,
        reward: object,
        *,
        node: str = "",
        latency_ms: float = 0.0,
    ) -> None:
        """Append a step with its reward in [0, 1].

        Parameters
        ----------
        activations : what was done, as a vector of shape (d,), or None
        attention : any vector, or None; kept with the trajectory
        node : the pattern, tool or model that the step used
        """
        try:
            steps = self._open[trajectory_id].steps
        except (KeyError, TypeError):
            steps = self._opened(trajectory_id).steps
        if len(steps) >= self._max_steps:
            raise CapacityError(f"max_trajectory_steps is {self._max_steps}: trajectory {trajectory_id} is full")
        if type(reward) is not float or not 0.0 <= reward <= 1.0:
            reward = check_number(reward, "reward", 0.0, 1.0)
        # An array would be compared value by value: the type is asked first.
        if type(latency_ms) is not float or latency_ms != 0.0:
            latency_ms = check_number(latency_ms, "latency_ms", 0.0, MAX_LATENCY_MS)
        if type(node) is not str or node:
            check_text(node, "node")
        try:
            # What callers mostly pass is checked without a call; NaN compares false and takes the long way too.
            if (
                type(activations) is _ARRAY
                and activations.dtype is _FLOAT32
                and activations.shape == self._shape
                and activations.dot(activations) <= MAX_SQUARED_NORM
                and type(attention) is _ARRAY
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
        done = None if activations is None else check_vector(activations, self.config.dim, "activations").tobytes()
        seen = None if attention is None else check_numbers(attention, "attention").tobytes()
        steps.append((reward, done, seen, node, latency_ms))

    def record_step(self, trajectory_id: int, node_id: int | str, score: object, latency_us: float) -> None:
        """Append a routing step: which node, how well, in how many microseconds."""
        checked = check_number(latency_us, "latency_us", 0.0, 1e3 * MAX_LATENCY_MS)
        node = node_id if isinstance(node_id, str) else str(check_count(node_id, "node_id", -(2**63), 2**64))
        self.add_step(trajectory_id, None, None, score, node=node, latency_ms=checked / 1e3)

    def use_pattern(self, trajectory_id: int, action: str, response: str = "") -> None:
        """Name the action that was tried: the one of a pattern that was found, or the id of a new result."""
        opened = self._opened(trajectory_id)
        opened.action, opened.response = check_text(action, "action"), check_text(response, "response")

    def set_route(self, trajectory_id: int, route: str) -> None:
        """Name the model, tool or variant that served the task."""
        self._opened(trajectory_id).route = check_text(route, "route")

    def set_task_type(self, trajectory_id: int, task_type: str) -> None:
        """Name the type of the task, as `swarm.embed.TaskTypes` infers it from the query; it becomes its pattern's."""
        self._opened(trajectory_id).task_type = check_text(task_type, "task_type") or GENERAL

    def add_context(self, trajectory_id: int, text: str) -> None:
        """Attach a line of context; several may be attached. They are the text of the outcome's exemplar."""
        opened = self._opened(trajectory_id)
        opened.context = (*opened.context, check_text(text, "text"))

    def end_trajectory(self, trajectory_id: int, quality: object, now_s: float = 0.0) -> None:
        """End a trajectory with its quality in [0, 1]. What it teaches is seen by the next `apply_*`.

        Raises
        ------
        UnknownIdError
            If the id was never issued or has ended.
        CapacityError
            If the buffer is full; the trajectory stays open.
        """
        recording = self._opened(trajectory_id)
        if type(quality) is not float or not 0.0 <= quality <= 1.0:
            quality = check_number(quality, "quality", 0.0, 1.0)
        if type(now_s) is not float or now_s != 0.0:
            now_s = check_number(now_s, "now_s", 0.0, MAX_TIME_S)
        if len(self._buffer) >= self._capacity:
            self._refuse()
        del self._open[trajectory_id]
        recording.quality = quality
        recording.at_s = now_s
        self._keep(recording)

    def submit_trajectory(self, trajectory: Trajectory) -> None:
        """Take a copy of a trajectory that was recorded elsewhere; errors as in `check_trajectory`."""
        checked = check_trajectory(trajectory, self.config.dim, self._max_steps)
        if len(self._buffer) >= self._capacity:
            self._refuse()
        self._keep(checked)

    def buffered(self) -> Sequence[Trajectory]:
        """The trajectories that wait for loop B, oldest first."""
        return tuple(self._newest(len(self._buffer)))

    def recorder_state(self) -> tuple[int, int]:
        """(next trajectory id, trajectories recorded), for a snapshot."""
        return self._next_id, self._recorded

    def restore_recorder(self, state: Sequence[int]) -> None:
        """The inverse of `recorder_state`."""
        self._next_id, self._recorded = state

    def restore_buffered(self, trajectory: Trajectory) -> None:
        """Put back a trajectory whose instant step the saved weights already hold."""
        self.submit_trajectory(trajectory)
        self._unlearned = 0

    def _opened(self, trajectory_id: int) -> Recording:
        """The open trajectory of that id, else an error that says what became of it."""
        try:
            return self._open[trajectory_id]
        except (KeyError, TypeError):
            issued = type(trajectory_id) is int and 0 < trajectory_id < self._next_id
            reason = "has ended already" if issued else "was never issued"
            raise UnknownIdError(f"trajectory_id {shown(trajectory_id, 40)} {reason}") from None

    def _keep(self, ended: Recording | Trajectory) -> None:
        self._buffer.append(ended)
        self._recorded += 1
        self._unlearned += 1

    def _newest(self, count: int) -> list[Trajectory]:
        """The last `count` trajectories of the buffer, oldest first."""
        tail = [self._buffer[-position] for position in range(min(count, len(self._buffer)), 0, -1)]
        return [item.trajectory(self.agent) if isinstance(item, Recording) else item for item in tail]

    def _refuse(self) -> None:
        raise CapacityError(
            f"trajectory_capacity is {self._capacity} and as many wait to be learned: call tick() or force_learn()"
        )
