"""Predicting what a route would do with a task: quality, cost and latency, each with what it rests on.

Legend: phi (p,) features, Lambda (p,) prior precisions, w0 (p,) prior mean; G, b, n, yy the sums of one route.

    A = G + diag(Lambda),    w = A^-1 (b + Lambda w0),    q(x) = phi . w,    var q(x) = s^2 phi . A^-1 phi
    s^2 = (yy - 2 w . b + w . G w + pseudo-outcomes) / n

Bayesian ridge regression (Bishop 2006, equations 3.53 and 3.59). The prior mean of the slopes is what all routes
have in common, so a route with few outcomes is as good at what they are all good at, and its own outcomes say how
it differs. The first feature is 1: its prior is the route's declared quality, or the general one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swarm.sona.ranking import PRIOR_QUALITY, PRIOR_WEIGHT
from swarm.sona.routing.features import FEATURES, SUBJECT_FEATURES
from swarm.sona.routing.statistics import RouteMoments, RouteStatistics, outcome_moments
from swarm.sona.vectors import Doubles

DECLARED_WEIGHT = 4.0
"""A declared quality counts as so many outcomes."""
_PRIOR_VARIANCE = 0.25
"""Of the quality of a route that nothing is known of: that of a fair coin."""
_LEAST_VARIANCE = 0.01
_LEAST_SHARE = 0.1
"""A predicted cost or latency is at least this share of the route's mean: a line may cross zero, a price does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precisions:
    """How strongly weights are held to their prior: those of the traits' features, and of the embedding's."""

    traits: float = 10.0
    subject: float = 45.0

    def as_array(self, bias: float) -> Doubles:
        """Lambda of shape (p,), with `bias` for the first feature."""
        values = np.full(FEATURES, self.traits)
        values[-SUBJECT_FEATURES:] = self.subject
        values[0] = bias
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePrior:
    """What somebody said of a route before it was tried; None where nothing was said. Cost in USD per task."""

    quality: float | None = None
    cost: float | None = None
    latency_ms: float | None = None


UNKNOWN = RoutePrior()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEstimate:
    """What is expected of one route for one task.

    `quality_error` is the standard error of the expected quality, `outcomes` the number of outcomes of that route.
    Cost and latency are None while nobody has declared or reported any.
    """

    quality: float
    quality_error: float
    cost: float | None
    latency_ms: float | None
    outcomes: float


class _Fit:
    """The regressions of one route."""

    def __init__(self, moments: RouteMoments, precision: Doubles, prior: Doubles) -> None:
        self.inverse: Doubles = np.asarray(np.linalg.inv(moments.gram + np.diag(precision)), dtype=np.float64)
        self._pull = precision * prior
        self._take(moments)

    def learn(self, phi: Doubles, moments: RouteMoments) -> None:
        """One more outcome with features `phi` (p,); `moments` holds it already."""
        # Sherman and Morrison 1950: the inverse of a sum with phi phi^T, without solving anew.
        direction = self.inverse @ phi
        self.inverse -= np.outer(direction, direction / (1.0 + float(phi @ direction)))
        self._take(moments)

    def estimate(self, phi: Doubles) -> RouteEstimate:
        """What is expected for a task with features `phi` (p,)."""
        quality, cost, latency_ms = (self._weights @ phi).tolist()
        return RouteEstimate(
            quality=min(1.0, max(0.0, quality)),
            quality_error=math.sqrt(self._variance * max(0.0, float(phi @ self.inverse @ phi))),
            cost=max(self._least[0], cost),
            latency_ms=max(self._least[1], latency_ms),
            outcomes=self._n,
        )

    def _take(self, moments: RouteMoments) -> None:
        # Costs and latencies have no common scale, so only their own mean is their prior.
        means = np.array([moments.mean_cost, moments.mean_latency_ms])
        targets = moments.targets.copy()
        targets[0] += self._pull
        targets[1:] -= means[:, None] * moments.gram[0]
        self._weights: Doubles = targets @ self.inverse
        self._weights[1:, 0] += means
        self._least = [_LEAST_SHARE * moments.mean_cost, _LEAST_SHARE * moments.mean_latency_ms]
        self._n = moments.n
        w = self._weights[0]
        residual = moments.sum_quality2 - 2.0 * float(w @ moments.targets[0]) + float(w @ moments.gram @ w)
        self._variance = max(_LEAST_VARIANCE, (residual + PRIOR_WEIGHT * _PRIOR_VARIANCE) / (moments.n + PRIOR_WEIGHT))


class RouteModel:
    """Predictions from the statistics; each route is solved when it is first asked for.

    Parameters
    ----------
    priors : by route; what is not in there has the general prior
    """

    def __init__(
        self,
        statistics: RouteStatistics,
        priors: Mapping[str, RoutePrior] | None = None,
        precisions: Precisions | None = None,
    ) -> None:
        self.statistics = statistics
        self._priors = dict(priors or {})
        self._precisions = precisions or Precisions()
        self._fits: dict[str, _Fit] = {}
        self._common: Doubles | None = None

    def learn(self, route: str, phi: Doubles, quality: float, cost: float, latency_ms: float) -> None:
        """Take in one more outcome at once. What the routes have in common stays as it was until the next model."""
        one = outcome_moments(phi[None, :], np.array([quality]), np.array([cost]), np.array([latency_ms]))
        self.statistics = self.statistics + RouteStatistics(routes={route: one})
        if route in self._fits:
            self._fits[route].learn(phi, self.statistics.routes[route])

    def estimate(self, route: str, phi: Doubles) -> RouteEstimate:
        """What is expected of `route` for a task with features `phi` (p,)."""
        prior = self._priors.get(route, UNKNOWN)
        moments = self.statistics.routes.get(route)
        if moments is None or moments.n <= 0.0:
            return _untried(prior)
        if route not in self._fits:
            self._fits[route] = self._solve(moments, prior)
        return self._fits[route].estimate(phi)

    def _solve(self, moments: RouteMoments, prior: RoutePrior) -> _Fit:
        weight, quality = _belief(prior)
        mean = self._slopes().copy()
        mean[0] = quality
        return _Fit(moments, self._precisions.as_array(weight), mean)

    def _slopes(self) -> Doubles:
        """w0 of shape (p,): the slopes of one regression over the outcomes of all routes, each from its own mean."""
        if self._common is None:
            gram = np.zeros((FEATURES, FEATURES))
            target = np.zeros(FEATURES)
            for moments in self.statistics.routes.values():
                gram += moments.gram
                target += moments.targets[0] - moments.mean_quality * moments.gram[0]
            # Twice as strongly held as a route's own: it is only where they begin.
            held = np.diag(2.0 * self._precisions.as_array(PRIOR_WEIGHT))
            self._common = np.asarray(np.linalg.solve(gram + held, target), dtype=np.float64)
        return self._common


def _belief(prior: RoutePrior) -> tuple[float, float]:
    """(weight in outcomes, quality)."""
    return (PRIOR_WEIGHT, PRIOR_QUALITY) if prior.quality is None else (DECLARED_WEIGHT, prior.quality)


def _untried(prior: RoutePrior) -> RouteEstimate:
    weight, quality = _belief(prior)
    return RouteEstimate(
        quality=quality,
        quality_error=math.sqrt(_PRIOR_VARIANCE / (weight + 1.0)),
        cost=prior.cost,
        latency_ms=prior.latency_ms,
        outcomes=0.0,
    )
