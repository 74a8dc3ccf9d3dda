"""Which model, tool or variant to use: what each one achieved on tasks near this one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from swarm.sona.clusters import RouteTally
from swarm.sona.index import Hit
from swarm.sona.ranking import PRIOR_QUALITY, PRIOR_WEIGHT

NEIGHBOURS = 32
"""So many clusters around a task speak for its routes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAdvice:
    """A recommended route. Quality in 0..1 with its standard error, latency in ms, cost in USD per task.

    `outcomes` is the evidence behind it, in outcomes as near as the nearest cluster.
    """

    route: str
    expected_quality: float
    quality_error: float
    outcomes: float
    latency_ms: float
    cost: float
    why: str


def recommend_route(near: Sequence[Hit], temperature: float, routes: Sequence[str] | None = None) -> RouteAdvice | None:
    """The route with the highest expected quality on the nearest clusters; the cheaper one among equals.

    Every cluster's statistics count by the kernel of its distance. A route without evidence has the prior's
    quality, so it is tried once the known ones do worse than that.

    Parameters
    ----------
    near : the nearest clusters of successes and failures
    routes : the routes to choose from; None means those that were used nearby

    Returns
    -------
    None if there is nothing to choose from.
    """
    evidence = _evidence(near, temperature)
    names = list(dict.fromkeys(routes)) if routes is not None else sorted(evidence)
    advice = [_advice(name, evidence.get(name, RouteTally())) for name in names]
    return min(advice, key=lambda a: (-round(a.expected_quality, 6), a.cost), default=None)


def _evidence(near: Sequence[Hit], temperature: float) -> dict[str, RouteTally]:
    total: dict[str, RouteTally] = defaultdict(RouteTally)
    if near:
        nearest = max(hit.similarity for hit in near)
    for hit in near:
        weight = math.exp((hit.similarity - nearest) / temperature)
        for name, tally in hit.cluster.routes.items():
            total[name] += RouteTally(
                n=weight * tally.n,
                sum_quality=weight * tally.sum_quality,
                sum_quality2=weight * tally.sum_quality2,
                sum_latency_ms=weight * tally.sum_latency_ms,
                sum_cost=weight * tally.sum_cost,
            )
    return dict(total)


def _advice(name: str, tally: RouteTally) -> RouteAdvice:
    weight = tally.n + PRIOR_WEIGHT
    quality = (tally.sum_quality + PRIOR_WEIGHT * PRIOR_QUALITY) / weight
    square = (tally.sum_quality2 + PRIOR_WEIGHT * (PRIOR_QUALITY**2 + 0.25)) / weight
    n = max(tally.n, 1e-12)
    known = f"mean quality {tally.sum_quality / n:.2f} over {tally.n:.1f} outcomes nearby"
    return RouteAdvice(
        route=name,
        expected_quality=quality,
        quality_error=math.sqrt(max(0.0, square - quality * quality) / weight),
        outcomes=tally.n,
        latency_ms=tally.sum_latency_ms / n,
        cost=tally.sum_cost / n,
        why=known if tally.n > 0.0 else "never tried on such tasks: worth a try",
    )
