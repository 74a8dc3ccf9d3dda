"""What the patterns around a task say of routes: kernel regression over the nearest clusters.

Legend: y (d,) the query; c_j the centroid of cluster j, with sums n_jr, S_jr over its outcomes of route r.

    K_j = exp((y . c_j - max_i y . c_i) / tau)      n_r = sum_j K_j n_jr      S_r = sum_j K_j S_jr
    q_r = (S_r + kappa q_r(regression)) / (n_r + kappa)

A Nadaraya-Watson estimate that begins at the regression's: patterns correct it where there are many outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from swarm.sona.clusters import RouteTally
from swarm.sona.index import Hit
from swarm.sona.ranking import PRIOR_WEIGHT
from swarm.sona.routing.model import RouteEstimate

NEIGHBOURS = 256
"""So many clusters around a task speak for its routes; the kernel leaves farther ones next to no weight."""
TEMPERATURE = 0.1
"""tau: twice that of the vote for actions, because a route is good for a wider region than an answer is."""
HALFWAY = 200.0
"""kappa: with so many outcomes nearby, their mean and the regression count alike. Between what folds of two logs ask
for: where the subject decides, fewer would be better (63.8 % of the gap at 100, 63.4 at 300, 61.8 without patterns),
where the form of a task decides, more (an area of 85.6, 85.9 and 86.4)."""


def near_evidence(near: Sequence[Hit], temperature: float = TEMPERATURE) -> dict[str, RouteTally]:
    """The sums of the routes in the nearest clusters, in outcomes as near as the nearest cluster."""
    if not near:
        return {}
    similarities = np.array([hit.similarity for hit in near])
    kernel = np.exp((similarities - similarities.max()) / temperature).tolist()
    sums: dict[str, list[float]] = {}
    for weight, hit in zip(kernel, near, strict=True):
        for name, tally in hit.cluster.routes.items():
            row = sums.setdefault(name, [0.0, 0.0, 0.0, 0.0, 0.0])
            row[0] += weight * tally.n
            row[1] += weight * tally.sum_quality
            row[2] += weight * tally.sum_quality2
            row[3] += weight * tally.sum_latency_ms
            row[4] += weight * tally.sum_cost
    return {
        name: RouteTally(n=n, sum_quality=q, sum_quality2=q2, sum_latency_ms=latency, sum_cost=cost)
        for name, (n, q, q2, latency, cost) in sums.items()
    }


def with_near(estimate: RouteEstimate, tally: RouteTally | None) -> RouteEstimate:
    """`estimate`, corrected by the patterns around the task; where it rests on nothing, they take its place."""
    if tally is None or tally.n <= 0.0:
        return estimate
    if estimate.outcomes > 0.0:
        part = tally.n / (tally.n + HALFWAY)
        mean = min(1.0, max(0.0, tally.sum_quality / tally.n))
        return replace(estimate, quality=estimate.quality + part * (mean - estimate.quality))
    total = tally.n + PRIOR_WEIGHT
    return RouteEstimate(
        quality=min(1.0, (tally.sum_quality + PRIOR_WEIGHT * estimate.quality) / total),
        quality_error=estimate.quality_error * (PRIOR_WEIGHT / total) ** 0.5,
        cost=tally.sum_cost / tally.n,
        latency_ms=tally.sum_latency_ms / tally.n,
        outcomes=tally.n,
    )


def combined(estimates: Mapping[str, RouteEstimate], near: Mapping[str, RouteTally]) -> dict[str, RouteEstimate]:
    """`with_near` for every route."""
    return {name: with_near(estimate, near.get(name)) for name, estimate in estimates.items()}
