"""What is remembered of routes: sums over their outcomes, which add up in any order.

Legend: phi (p,) features of a task, q its quality, c its cost, l its latency.

    n,  G = sum phi phi^T,  sum q phi,  sum c phi,  sum l phi,  sum q^2

They are all that ridge regressions of quality, cost and latency on phi need (their normal equations), and the first
feature is 1, so they hold the plain sums too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from swarm.sona.routing.features import FEATURES, FeatureMap
from swarm.sona.routing.traits import task_traits
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Doubles, Vector, unit_rows

MAX_ROUTES = 32
"""Routes of one agent with sums of their own, those with most outcomes; further ones live in the clusters alone."""
TOOLS = "tools"
"""Key of a trajectory's context under which the tools that were offered stand, one a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMoments:
    """The sums of one route. `gram` of shape (p, p), `targets` of shape (3, p): of quality, cost, latency in ms."""

    n: float
    sum_quality2: float
    gram: Doubles
    targets: Doubles

    def __add__(self, other: RouteMoments) -> RouteMoments:
        return RouteMoments(
            n=self.n + other.n,
            sum_quality2=self.sum_quality2 + other.sum_quality2,
            gram=self.gram + other.gram,
            targets=self.targets + other.targets,
        )

    @property
    def mean_quality(self) -> float:
        return float(self.targets[0, 0]) / self.n if self.n else 0.0

    @property
    def mean_cost(self) -> float:
        return float(self.targets[1, 0]) / self.n if self.n else 0.0

    @property
    def mean_latency_ms(self) -> float:
        return float(self.targets[2, 0]) / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStatistics:
    """The moments of every route. Adding two sums them route by route."""

    routes: Mapping[str, RouteMoments] = field(default_factory=dict)

    def __add__(self, other: RouteStatistics) -> RouteStatistics:
        total = dict(self.routes)
        for name, moments in other.routes.items():
            total[name] = total[name] + moments if name in total else moments
        return RouteStatistics(routes=total)

    def most_used(self, count: int = MAX_ROUTES) -> RouteStatistics:
        """At most `count` routes, those with most outcomes; by name among equals."""
        if len(self.routes) <= count:
            return self
        ordered = sorted(self.routes, key=lambda name: (-self.routes[name].n, name))
        return RouteStatistics(routes={name: self.routes[name] for name in sorted(ordered[:count])})


NOTHING = RouteStatistics()


def sum_statistics(parts: Iterable[RouteStatistics]) -> RouteStatistics:
    """The sum of several."""
    return sum(parts, NOTHING)


def outcome_moments(phi: Doubles, quality: Doubles, cost: Doubles, latency_ms: Doubles) -> RouteMoments:
    """The sums over n outcomes of one route.

    Parameters
    ----------
    phi : of shape (n, p)
    quality, cost, latency_ms : of shape (n,), in 0..1, USD and ms
    """
    return RouteMoments(
        n=float(len(phi)),
        sum_quality2=float(quality @ quality),
        gram=phi.T @ phi,
        targets=np.stack([quality, cost, latency_ms]) @ phi,
    )


def route_statistics(trajectories: Sequence[Trajectory], features: FeatureMap) -> RouteStatistics:
    """The sums over the outcomes that name a route; those without one say nothing of routes."""
    by_route: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        if trajectory.route:
            by_route.setdefault(trajectory.route, []).append(trajectory)
    return RouteStatistics(routes={name: _moments(rows, features) for name, rows in by_route.items()})


def offered_tools(context: Mapping[str, str]) -> list[str]:
    """Names of the tools in a trajectory's context."""
    return context.get(TOOLS, "").splitlines()


def _moments(rows: Sequence[Trajectory], features: FeatureMap) -> RouteMoments:
    embeddings: Vector = unit_rows(np.array([row.embedding for row in rows], dtype=np.float32))
    traits = np.array([task_traits(row.text, offered_tools(row.context)) for row in rows])
    phi = features.of_rows(embeddings, traits)
    assert phi.shape == (len(rows), FEATURES)
    return outcome_moments(
        phi,
        np.array([row.quality for row in rows]),
        np.array([row.cost for row in rows]),
        np.array([row.latency_ms for row in rows]),
    )
