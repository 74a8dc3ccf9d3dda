"""Trajectories: one task from its query to its outcome, with the steps between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from swarm.errors import CapacityError, InputError
from swarm.sona.clusters import MAX_TIME_S, OWN_ACTION, Cluster, Exemplar, RouteTally, Tally, cluster_id
from swarm.sona.vectors import Doubles, Vector, check_direction, check_number, check_numbers, check_text, check_vector

MAX_LATENCY_MS = 1e12
MAX_COST = 1e12
WORKED = 0.5
"""Where ranks are measured, an outcome of this quality says which action is right."""
GENERAL = "General"
"""Type of a task of which nobody has said or inferred another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `activations` has shape (d,) and stands for what was done; `attention` any length.

    `node` names the pattern, tool or model that the step used; `latency_ms` is its duration.
    """

    reward: float
    activations: Vector | None = None
    attention: Vector | None = None
    node: str = ""
    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """An ended trajectory.

    `embedding` is the query in base space, shape (d,). `action` is the id of what was tried ("" if the agent
    used no pattern and named no result), `response` its text. `quality` is in [0, 1], latency in ms, cost in
    USD, `at_s` in seconds since the epoch.
    """

    id: str
    embedding: Vector
    quality: float
    steps: tuple[Step, ...] = ()
    action: str = ""
    response: str = ""
    route: str = ""
    latency_ms: float = 0.0
    cost: float = 0.0
    text: str = ""
    task_type: str = GENERAL
    agent: str = "self"
    at_s: float = 0.0
    context: Mapping[str, str] = field(default_factory=dict)

    def as_cluster(self, quality_threshold: float) -> Cluster:
        """The cluster that this outcome alone would be: every number a sum over one."""
        positive = self.quality >= quality_threshold
        exemplar = Exemplar(
            text=self.text, quality=self.quality, agent=self.agent, trajectory_id=self.id, at_s=self.at_s
        )
        routes = {}
        if self.route:
            routes[self.route] = RouteTally(
                n=1.0,
                sum_quality=self.quality,
                sum_quality2=self.quality**2,
                sum_latency_ms=self.latency_ms,
                sum_cost=self.cost,
            )
        own_id = cluster_id(self.action, positive, self.id)
        return Cluster(
            id=own_id,
            action=self.action or OWN_ACTION + own_id,
            positive=positive,
            response=self.response,
            sum_embedding=self._direction(),
            n=1.0,
            sum_quality=self.quality,
            sum_quality2=self.quality**2,
            agents={self.agent: Tally(n=1.0, sum_quality=self.quality)},
            routes=routes,
            task_types={self.task_type: 1.0},
            exemplars=(exemplar,),
            first_s=self.at_s,
            last_s=self.at_s,
        )

    def _direction(self) -> Doubles:
        # Of unit length, so that a query counts once in a centroid, however long its vector is.
        exact = self.embedding.astype(np.float64)
        return np.asarray(exact / (math.sqrt(float(exact.dot(exact))) or 1.0), dtype=np.float64)


def check_trajectory(trajectory: object, dim: int, max_steps: int) -> Trajectory:
    """A private copy of a trajectory that was recorded elsewhere, every value of it checked.

    Raises
    ------
    InputError
        If it is no `Trajectory`, or a value of it is of another type or out of bounds.
    CapacityError
        If it has more than `max_steps` steps.
    """
    values = checked_values(trajectory, dim, max_steps)
    assert isinstance(trajectory, Trajectory)
    return replace(trajectory, **values)


def checked_values(trajectory: object, dim: int, max_steps: int) -> dict[str, Any]:
    """The values of a trajectory that can change or be of several types, copied and of one type, all others checked.

    Errors as in `check_trajectory`.
    """
    if not isinstance(trajectory, Trajectory):
        raise InputError(f"trajectory must be a Trajectory, got {type(trajectory).__name__}")
    if not isinstance(trajectory.steps, Sequence):
        raise InputError(f"steps must be a sequence of Step objects, got {type(trajectory.steps).__name__}")
    if len(trajectory.steps) > max_steps:
        raise CapacityError(f"max_trajectory_steps is {max_steps}: the trajectory has {len(trajectory.steps)}")
    check_direction(trajectory.embedding, dim, "embedding")
    for name in ("id", "action", "response", "route", "text", "task_type", "agent"):
        check_text(getattr(trajectory, name), name)
    if not isinstance(trajectory.context, Mapping):
        raise InputError(f"context must be a mapping of texts, got {type(trajectory.context).__name__}")
    return {
        "embedding": check_vector(trajectory.embedding, dim, "embedding"),
        "quality": check_number(trajectory.quality, "quality", 0.0, 1.0),
        "steps": tuple([_checked_step(step, dim) for step in trajectory.steps]),
        "latency_ms": check_number(trajectory.latency_ms, "latency_ms", 0.0, MAX_LATENCY_MS),
        "cost": check_number(trajectory.cost, "cost", 0.0, MAX_COST),
        "at_s": check_number(trajectory.at_s, "at_s", 0.0, MAX_TIME_S),
        "context": {
            check_text(key, "context"): check_text(line, "context") for key, line in trajectory.context.items()
        },
    }


def _checked_step(step: object, dim: int) -> Step:
    if not isinstance(step, Step):
        raise InputError(f"steps must hold Step objects, got {type(step).__name__}")
    reward = check_number(step.reward, "reward", 0.0, 1.0)
    latency_ms = check_number(step.latency_ms, "latency_ms", 0.0, MAX_LATENCY_MS)
    check_text(step.node, "node")
    if step.activations is step.attention is None and reward is step.reward and latency_ms is step.latency_ms:
        # Nothing in it can be changed by anybody: it is its own copy.
        return step
    return Step(
        reward=reward,
        activations=None if step.activations is None else check_vector(step.activations, dim, "activations"),
        attention=None if step.attention is None else check_numbers(step.attention, "attention"),
        node=step.node,
        latency_ms=latency_ms,
    )
