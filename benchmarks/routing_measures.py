"""What a router is measured by: cost-quality curves and what is read off them, and the gap between two models.

AIQ (RouterBench, Hu et al. 2024): mean height of the non-decreasing cost-quality curve, from the cost of the cheapest
single model to that of the dearest. APGR (RouteLLM, Ong et al. 2024): mean part of the gap in quality between a weak
and a strong model that is recovered, over all shares of requests that go to the strong one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from swarm.sona.vectors import Doubles, Integers

WORTHS = 96
"""Points of a curve: so many answers to the question what a task done well is worth."""
CURVE_POINTS = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What n requests scored and cost with each of m models, of shapes (n, m), in USD."""

    scores: Doubles
    costs_usd: Doubles

    def of(self, chosen: Integers) -> tuple[float, float]:
        """(mean quality, mean cost) where request i goes to model chosen[i]."""
        rows = np.arange(len(chosen))
        return float(self.scores[rows, chosen].mean()), float(self.costs_usd[rows, chosen].mean())


def worths_usd(mean_costs: Doubles) -> Doubles:
    """Rising worths of a task, close together where they move requests, and one for which no cost counts.

    A model that is d USD dearer is taken from a worth of d / gain on. Gains of any use are between 1 and 1/300; below
    the first nobody pays more, so every curve begins at the cheapest model.
    """
    gaps = np.diff(np.unique(mean_costs))
    low, high = (float(gaps.min()), float(np.ptp(mean_costs))) if gaps.size else (1.0, 1.0)
    return np.append(np.geomspace(0.5 * low, 300.0 * high, WORTHS - 1), 1e6 * high)


def curve(route: Callable[[float], Integers], logged: Logged, mean_costs: Doubles) -> list[tuple[float, float]]:
    """(cost, quality) for every worth; `route` answers a model for each request."""
    points = []
    for worth in worths_usd(mean_costs):
        quality, cost = logged.of(route(float(worth)))
        points.append((cost, quality))
    return points


def heights(points: list[tuple[float, float]], costs_usd: Doubles) -> Doubles:
    """The non-decreasing curve at `costs_usd`; below its cheapest point it is as high as there."""
    ordered = sorted(points)
    at = np.array([cost for cost, _ in ordered])
    best = np.maximum.accumulate([quality for _, quality in ordered])
    return np.asarray(best[np.maximum(np.searchsorted(at, costs_usd, side="right") - 1, 0)], dtype=np.float64)


def cost_grid(logged: Logged) -> Doubles:
    """Costs between the cheapest and the dearest single model."""
    means = logged.costs_usd.mean(axis=0)
    return np.linspace(float(means.min()), float(means.max()), CURVE_POINTS)


def cost_at(points: list[tuple[float, float]], quality: float, otherwise: float) -> float:
    """The least cost of a point of at least that quality; `otherwise` if there is none."""
    return min((cost for cost, height in points if height >= quality), default=otherwise)


def apgr(gains: Doubles, weak: Doubles, strong: Doubles) -> float:
    """Mean part of the gap that is recovered as more and more requests go to the strong model.

    Parameters
    ----------
    gains : of shape (n,), predicted gain of the strong model; equal ones count as in random order
    weak, strong : of shape (n,), scores of the two models
    """
    gap = float((strong - weak).mean())
    if gap == 0.0:
        return 0.0
    _, group = np.unique(-gains, return_inverse=True)
    group = group.reshape(-1)
    mean_gain = np.bincount(group, weights=strong - weak) / np.bincount(group)
    recovered = np.concatenate([[0.0], np.cumsum(mean_gain[np.sort(group)])]) / len(gains)
    return float(recovered.mean() / gap)
