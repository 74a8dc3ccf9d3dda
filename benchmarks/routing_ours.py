"""The router itself under measurement: its statistics, its patterns and its choice, as the service uses them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.routing_log import RoutingLog
from swarm.services.merge import merge_agents
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.grouping import regroup
from swarm.sona.index import PatternIndex
from swarm.sona.routing.choice import choose
from swarm.sona.routing.features import FeatureMap
from swarm.sona.routing.model import RouteEstimate, RouteModel
from swarm.sona.routing.near import NEIGHBOURS, combined, near_evidence
from swarm.sona.routing.request import Exploration, RouteRequest, Strategy
from swarm.sona.routing.statistics import NOTHING, TOOLS, route_statistics
from swarm.sona.routing.traits import task_traits
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Doubles, Integers

BATCH = 2_000
"""Outcomes of one consolidation, as in the service."""
ONLINE_BATCH = 100
"""An agent is due for consolidation with so many."""


class Learned:
    """A swarm with one agent for each model, which reports the outcomes of that model."""

    def __init__(self, log: RoutingLog, seed: int) -> None:
        self._log = log
        self._rng = np.random.default_rng(seed)
        self.features = FeatureMap(log.embedding.shape[1])
        self._config = SonaConfig(dim=log.embedding.shape[1])
        self._clusters: dict[str, tuple[Cluster, ...]] = {}
        self.statistics = NOTHING
        self.model = RouteModel(NOTHING)
        self._index = PatternIndex(self._config)
        traits = [task_traits(p, t) for p, t in zip(log.prompts, log.tools, strict=True)]
        self.phi: Doubles = self.features.of_rows(log.embedding, np.array(traits))

    def consolidate(self, outcomes: Sequence[tuple[int, int]]) -> None:
        """Learn from (request, model) pairs: statistics, clusters, patterns."""
        by_model: dict[str, list[Trajectory]] = {}
        for row, model in outcomes:
            trajectory = self._trajectory(row, model)
            by_model.setdefault(trajectory.route, []).append(trajectory)
        for name, trajectories in by_model.items():
            for start in range(0, len(trajectories), BATCH):
                batch = trajectories[start : start + BATCH]
                self.statistics = self.statistics + route_statistics(batch, self.features)
                new = [trajectory.as_cluster(self._config.quality_threshold) for trajectory in batch]
                self._clusters[name] = regroup(self._clusters.get(name, ()), new, self._config, self._rng).clusters
        self.model = RouteModel(self.statistics)
        self._index.replace_all(merge_agents(self._clusters.values()))

    def learn(self, row: int, model: int) -> None:
        """One outcome at once, as the hook of the process that reports it does."""
        one = self._trajectory(row, model)
        self.model.learn(one.route, self.phi[row], one.quality, one.cost, one.latency_ms)

    def estimates(self, row: int) -> dict[str, RouteEstimate]:
        """What is expected of every model for request `row`."""
        near = near_evidence(self._index.nearest(self._log.embedding[row], NEIGHBOURS))
        expected = {name: self.model.estimate(name, self.phi[row]) for name in self._log.models}
        return combined(expected, near)

    def _trajectory(self, row: int, model: int) -> Trajectory:
        log = self._log
        latency = 0.0 if log.latencies_s is None else 1e3 * float(log.latencies_s[row, model])
        return Trajectory(
            id=f"{log.ids[row]}-{model}",
            embedding=log.embedding[row],
            quality=float(log.scores[row, model]),
            route=log.models[model],
            latency_ms=latency,
            cost=float(log.costs_usd[row, model]),
            text=log.prompts[row],
            agent=f"agent-{model}",
            context={TOOLS: "\n".join(log.tools[row])},
        )


def train(log: RoutingLog, rows: Integers, seed: int) -> Learned:
    """The router after the full log of `rows`."""
    learned = Learned(log, seed)
    learned.consolidate([(int(row), model) for row in rows for model in range(len(log.models))])
    return learned


def chosen(log: RoutingLog, expected: Sequence[dict[str, RouteEstimate]], request: RouteRequest) -> Integers:
    """The model for each request."""
    numbers = {name: number for number, name in enumerate(log.models)}
    return np.array([numbers[choose(estimates, request).route] for estimates in expected], dtype=np.intp)


def online(log: RoutingLog, stream: Integers, seed: int) -> Integers:
    """The models chosen for a stream of requests, each by what the ones before have shown."""
    learned = Learned(log, seed)
    numbers = {name: number for number, name in enumerate(log.models)}
    waiting: list[tuple[int, int]] = []
    taken = np.zeros(len(stream), dtype=np.intp)
    for position, row in enumerate(stream.tolist()):
        request = RouteRequest(
            strategy=Strategy.QUALITY,
            exploration=Exploration.THOMPSON,
            seed=seed * 1_000_003 + position,
        )
        taken[position] = model = numbers[choose(learned.estimates(row), request).route]
        learned.learn(row, model)
        waiting.append((row, model))
        if len(waiting) == ONLINE_BATCH:
            learned.consolidate(waiting)
            waiting.clear()
    return taken
