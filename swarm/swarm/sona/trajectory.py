"""Trajectories: one task from its query to its outcome, with the steps between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from swarm.sona.clusters import OWN_ACTION, Cluster, Exemplar, RouteTally, Tally, cluster_id
from swarm.sona.vectors import Vector


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
    task_type: str = "General"
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
            sum_embedding=self.embedding.astype(np.float64),
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
