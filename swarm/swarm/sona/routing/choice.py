"""Choosing a route: a pure function of what is expected of each one and of what was asked.

Legend: q, c, l expected quality, cost, latency; c', l' their means over the routes that are left.

    utility = q - a c / c' - b l / l'        a, b by strategy;        with a worth: utility = q - c / worth

Bounds come first: what breaks one is out, however good. Equal inputs give equal answers, bit for bit, so a stored
decision can be replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from swarm.errors import NoRouteError
from swarm.sona.routing.model import RouteEstimate
from swarm.sona.routing.request import Exploration, RouteRequest, Strategy
from swarm.sona.variants import VariantScore, select_by_ucb

_PRICES: Mapping[Strategy, tuple[float, float]] = {
    Strategy.QUALITY: (0.0, 0.0),
    Strategy.BALANCED: (0.03, 0.01),
    Strategy.COST: (0.3, 0.0),
    Strategy.SPEED: (0.0, 0.3),
}
"""a and b: so much quality is a route worth less that costs, or takes, as much as the mean one."""


class Reason(StrEnum):
    """Why a route was taken, in one word, to be counted; `Choice.why` says it in full."""

    STRATEGY = "strategy"
    """The best by the strategy, or by what the task is worth."""
    ONLY = "only"
    """No other was left."""
    EXPLORED = "explored"
    """Drawn, or of the highest upper bound."""
    SESSION = "session"
    """The route that the session has."""
    UPGRADE = "upgrade"
    """The best of those that have not failed at the task."""
    FALLBACK = "fallback"
    """None was left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One route as the choice saw it. `excluded` says which bound it breaks, "" if none.

    `sampled` is the quality that the choice used: the expected one unless it explored.
    """

    route: str
    expected: RouteEstimate
    sampled: float
    utility: float
    excluded: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The route taken, why, and every candidate, best first, those that were excluded last."""

    route: str
    why: str
    reason: Reason
    is_fallback: bool
    candidates: tuple[Candidate, ...]

    @property
    def chosen(self) -> Candidate:
        return next(candidate for candidate in self.candidates if candidate.route == self.route)


def choose(estimates: Mapping[str, RouteEstimate], request: RouteRequest) -> Choice:
    """The route for a task.

    Parameters
    ----------
    estimates : the routes to choose from, with what is expected of each
    request : already checked

    Raises
    ------
    NoRouteError
        If every route breaks a bound and no fallback is among `estimates`; the message says which bound excluded
        which route.
    """
    # By name: sums of floats, and draws, must not hang on the order in which the routes were given.
    estimates = dict(sorted(estimates.items()))
    excluded = {name: _broken(name, expected, request) for name, expected in estimates.items()}
    left = [name for name in estimates if not excluded[name]]
    sampled = _sampled(estimates, request)
    utilities = _utilities(estimates, sampled, left, request)
    candidates = tuple(
        Candidate(
            route=name,
            expected=estimates[name],
            sampled=sampled[name],
            utility=utilities[name],
            excluded=excluded[name],
        )
        for name in sorted(estimates, key=lambda n: (bool(excluded[n]), *_order(n, utilities, estimates)))
    )
    if not left:
        return _fall_back(candidates, request)
    route, reason, why = _best(left, utilities, estimates, request)
    return Choice(route=route, why=why, reason=reason, is_fallback=False, candidates=candidates)


def _broken(name: str, expected: RouteEstimate, request: RouteRequest) -> str:
    """The first bound that a route breaks, or ""."""
    if name in request.failed:
        return "it failed at this task before"
    if request.min_quality is not None and expected.quality < request.min_quality:
        return f"expected quality {expected.quality:.3f} is below min_quality {request.min_quality:g}"
    for bound, limit in (("max_cost", request.max_cost), ("the budget left", request.budget_left)):
        if limit is None:
            continue
        if expected.cost is None:
            return f"its cost is unknown, and {bound} is {limit:g} USD"
        if expected.cost > limit:
            return f"expected cost {expected.cost:.3g} USD is above {bound} {limit:.3g} USD"
    if request.timeout_ms is not None:
        if expected.latency_ms is None:
            return f"its latency is unknown, and timeout_ms is {request.timeout_ms:g}"
        if expected.latency_ms > request.timeout_ms:
            return f"expected latency {expected.latency_ms:.0f} ms is above timeout_ms {request.timeout_ms:g}"
    return ""


def _sampled(estimates: Mapping[str, RouteEstimate], request: RouteRequest) -> dict[str, float]:
    if request.exploration is not Exploration.THOMPSON:
        return {name: expected.quality for name, expected in estimates.items()}
    draws = np.random.default_rng(request.seed).standard_normal(len(estimates)).tolist()
    return {
        name: estimates[name].quality + request.scale * draw * estimates[name].quality_error
        for name, draw in zip(estimates, draws, strict=True)
    }


def _utilities(
    estimates: Mapping[str, RouteEstimate], sampled: Mapping[str, float], left: Sequence[str], request: RouteRequest
) -> dict[str, float]:
    price, hurry = _PRICES[request.strategy]
    costs = [known for name in left if (known := estimates[name].cost) is not None]
    latencies = [known for name in left if (known := estimates[name].latency_ms) is not None]
    mean_cost = sum(costs) / len(costs) if costs else 0.0
    mean_latency = sum(latencies) / len(latencies) if latencies else 0.0
    per_usd = price / mean_cost if mean_cost > 0.0 else 0.0
    per_ms = hurry / mean_latency if mean_latency > 0.0 else 0.0
    if request.worth is not None:
        per_usd, per_ms = 1.0 / request.worth, 0.0
    return {
        # What is unknown is taken for the mean: neither a reason to try a route nor one to shun it.
        name: quality
        - per_usd * (mean_cost if (cost := estimates[name].cost) is None else cost)
        - per_ms * (mean_latency if (latency := estimates[name].latency_ms) is None else latency)
        for name, quality in sampled.items()
    }


def _order(
    name: str, utilities: Mapping[str, float], estimates: Mapping[str, RouteEstimate]
) -> tuple[float, float, str]:
    """Best first; among equals the cheaper one, then by name."""
    cost = estimates[name].cost
    return -round(utilities[name], 9), 0.0 if cost is None else cost, name


def _best(
    left: Sequence[str], utilities: Mapping[str, float], estimates: Mapping[str, RouteEstimate], request: RouteRequest
) -> tuple[str, Reason, str]:
    if request.sticky in left:
        return request.sticky, Reason.SESSION, "this session's route stays: it has not failed and breaks no bound"
    ranked = sorted(left, key=lambda name: _order(name, utilities, estimates))
    if request.failed:
        # An upgrade is for quality, whatever the strategy was before.
        best = min(left, key=lambda name: (-estimates[name].quality, *_order(name, utilities, estimates)))
        others = ", ".join(request.failed)
        return best, Reason.UPGRADE, f"the best of {len(left)} that have not failed at this task ({others} did)"
    if request.exploration is Exploration.UCB:
        scores = [
            VariantScore(name=name, mean=min(1.0, max(0.0, utilities[name])), n=estimates[name].outcomes)
            for name in ranked
        ]
        taken = select_by_ucb(ranked, scores, request.scale)
        return taken, Reason.EXPLORED, "the highest upper confidence bound"
    drawn = Reason.EXPLORED if request.exploration is Exploration.THOMPSON else Reason.STRATEGY
    return ranked[0], Reason.ONLY if len(ranked) == 1 else drawn, _why(ranked, utilities, estimates, request)


def _why(
    ranked: Sequence[str],
    utilities: Mapping[str, float],
    estimates: Mapping[str, RouteEstimate],
    request: RouteRequest,
) -> str:
    best = estimates[ranked[0]]
    goal = f"worth {request.worth:g} USD" if request.worth is not None else f"strategy {request.strategy}"
    drawn = ", drawn to explore" if request.exploration is Exploration.THOMPSON else ""
    known = (
        f"expected quality {best.quality:.2f} ± {best.quality_error:.2f} from {best.outcomes:.0f} outcomes"
        if best.outcomes > 0.0
        else "never tried on such tasks: worth a try"
    )
    if len(ranked) == 1:
        return f"the only route left: {known}"
    second = ranked[1]
    lead = utilities[ranked[0]] - utilities[second]
    return f"{goal}{drawn}: {known}; {lead:.3f} ahead of {second}"


def _fall_back(candidates: tuple[Candidate, ...], request: RouteRequest) -> Choice:
    reasons = "; ".join(f"{candidate.route}: {candidate.excluded}" for candidate in candidates)
    fallback = next((c for c in candidates if c.route == request.fallback), None)
    if fallback is None or fallback.route in request.failed:
        raise NoRouteError(f"no route is left: {reasons or 'none was given and none is known'}")
    return Choice(
        route=fallback.route,
        why=f"the fallback, because no route is left: {reasons}",
        reason=Reason.FALLBACK,
        is_fallback=True,
        candidates=candidates,
    )
