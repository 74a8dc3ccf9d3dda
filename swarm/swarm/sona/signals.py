"""Learning signals: what an outcome or a user's word tells the instant loop.

A reward teaches by how far it is from what was expected: the advantage against a baseline that is kept ACROSS
trajectories (a baseline within one trajectory would make every trajectory of one step teach nothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm.errors import InputError, shown
from swarm.sona.trajectory import MAX_LATENCY_MS, Step, Trajectory
from swarm.sona.vectors import Vector, check_number, check_numbers

MAX_IMPORTANCE = 1e3


@dataclass(slots=True)
class Baseline:
    """Exponential moving average of rewards, in [0, 1].

    >>> baseline = Baseline()
    >>> baseline.advantage(1.0)
    0.5
    >>> baseline.observe(1.0)
    >>> baseline.advantage(1.0) < 0.5
    True
    """

    value: float = 0.5
    momentum: float = 0.95

    def advantage(self, reward: float) -> float:
        return reward - self.value

    def observe(self, reward: float) -> None:
        self.value = self.momentum * self.value + (1.0 - self.momentum) * reward


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSignal:
    """Something to learn from.

    Either `gradient` (dL/dy, of shape (d,)) with its `importance`, or a `reward` in [0, 1] for the trajectory
    `trajectory_id` (None: the one that ended last), the id that `begin_trajectory` gave or a trajectory's own.
    """

    reward: float
    latency_ms: float = 0.0
    importance: float = 1.0
    gradient: Vector | None = None
    trajectory_id: str | int | None = None

    def __post_init__(self) -> None:
        check_number(self.reward, "reward", 0.0, 1.0)
        check_number(self.latency_ms, "latency_ms", 0.0, MAX_LATENCY_MS)
        check_number(self.importance, "importance", 0.0, MAX_IMPORTANCE)

    @classmethod
    def from_feedback(
        cls, success: bool, latency_ms: float, quality: float, trajectory_id: str | int | None = None
    ) -> LearningSignal:
        """A user's word. A failure's reward is at most 1 - quality: a confident failure is a clear one."""
        if not isinstance(success, bool | np.bool_):
            raise InputError(f"success must be True or False, got {shown(success, 40)}")
        checked = check_number(quality, "quality", 0.0, 1.0)
        reward = checked if success else min(checked, 1.0 - checked)
        return cls(reward=reward, latency_ms=latency_ms, trajectory_id=trajectory_id)

    @classmethod
    def positive(
        cls, latency_ms: float, quality: float = 1.0, trajectory_id: str | int | None = None
    ) -> LearningSignal:
        return cls.from_feedback(True, latency_ms, quality, trajectory_id)

    @classmethod
    def negative(
        cls, latency_ms: float, quality: float = 0.0, trajectory_id: str | int | None = None
    ) -> LearningSignal:
        return cls.from_feedback(False, latency_ms, quality, trajectory_id)

    @classmethod
    def with_gradient(cls, gradient: Vector, importance: float = 1.0) -> LearningSignal:
        """A gradient that the caller worked out; the engine checks it against its dimension."""
        return cls(reward=0.5, gradient=check_numbers(gradient, "gradient"), importance=importance)

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory, baseline: Baseline) -> LearningSignal:
        """REINFORCE (Williams 1992, equation 5) over the steps that carry activations: see `step_gradient`.

        Without such steps the signal is the trajectory's quality.
        """
        gradient = step_gradient(trajectory.steps, baseline, len(trajectory.embedding))
        return cls(
            reward=trajectory.quality,
            latency_ms=trajectory.latency_ms,
            gradient=gradient if gradient.any() else None,
            trajectory_id=trajectory.id,
        )


def step_gradient(steps: Sequence[Step], baseline: Baseline, dim: int, reward: float | None = None) -> Vector:
    """dL/dy of shape (d,) for L = -sum_i (r_i - b) y . h_i / |h_i|, h_i the activations of step i.

    A step that went better than the baseline draws the query towards what was done, a worse one pushes it away.
    `reward`, if given, stands for the reward of every step: a later word on the whole trajectory.
    """
    gradient = np.zeros(dim, dtype=np.float32)
    for step in steps:
        if step.activations is None:
            continue
        length = float(np.linalg.norm(step.activations))
        if length > 0.0:
            advantage = baseline.advantage(step.reward if reward is None else reward)
            gradient -= np.float32(advantage / length) * step.activations
    return gradient
