"""Records of the router: statistics, declarations, decisions, sessions and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from swarm.errors import InputError
from swarm.sona.routing.declared import DeclaredRoute, check_declared
from swarm.sona.routing.features import FEATURES
from swarm.sona.routing.model import RouteEstimate
from swarm.sona.routing.request import (
    MAX_COST_USD,
    RouteRequest,
    check_request,
    check_route,
    parse_exploration,
    parse_strategy,
)
from swarm.sona.routing.statistics import RouteMoments, RouteStatistics
from swarm.sona.vectors import check_count, check_number, check_text
from swarm.wire.codec import encode, pack_floats, unpack_floats
from swarm.wire.records import guarded

MAX_DECISION_TEXT = 500
"""Characters of a task's text that its decision keeps, for people."""
_LARGEST_SUM = 1e300
_UPPER = np.triu_indices(FEATURES)
_FORM = "waves-1"
"""Which features the sums are over: sums over others cannot be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRoutes:
    """The statistics of the swarm, and the cursor of each agent up to which they reach."""

    statistics: RouteStatistics
    cursors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent in a period (USD, s), and for one task; None is no bound for a task."""

    amount: float
    period_s: float
    per_task: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The route that a session has, those that failed in it, and what its decisions were expected to cost in USD."""

    route: str = ""
    failed: tuple[str, ...] = ()
    spent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Everything that a decision hung on, and what came out: choosing again from it gives the same answer."""

    id: str
    text: str
    agent: str
    session: str
    at_s: float
    request: RouteRequest
    estimates: Mapping[str, RouteEstimate]
    route: str
    why: str


def encode_statistics(statistics: RouteStatistics) -> bytes:
    """The moments of every route: the gram matrix without its mirrored half, as float32."""
    return encode("routes", _statistics_payload(statistics))


def decode_statistics(data: bytes) -> RouteStatistics:
    """The inverse of `encode_statistics`."""
    return guarded("routes", data, _statistics)


def encode_published(published: PublishedRoutes) -> bytes:
    """The statistics of the swarm."""
    payload = _statistics_payload(published.statistics) | {"cursors": dict(published.cursors)}
    return encode("published-routes", payload)


def decode_published(data: bytes) -> PublishedRoutes:
    """The inverse of `encode_published`."""

    def build(payload: Mapping[str, Any]) -> PublishedRoutes:
        cursors = {check_text(name, "cursors"): check_text(at, "cursors") for name, at in payload["cursors"].items()}
        return PublishedRoutes(statistics=_statistics(payload), cursors=cursors)

    return guarded("published-routes", data, build)


def encode_declared(declared: DeclaredRoute) -> bytes:
    """A declared route."""
    return encode("declared-route", asdict(check_declared(declared)))


def decode_declared(data: bytes) -> DeclaredRoute:
    """The inverse of `encode_declared`."""
    return guarded("declared-route", data, lambda payload: check_declared(DeclaredRoute(**payload)))


def encode_budget(budget: Budget) -> bytes:
    """A budget; the script that reserves reads it too."""
    return encode("budget", asdict(_checked_budget(budget)))


def decode_budget(data: bytes) -> Budget:
    """The inverse of `encode_budget`."""
    return guarded("budget", data, lambda payload: _checked_budget(Budget(**payload)))


def encode_session(session: Session) -> bytes:
    """A session's route, failures and costs."""
    return encode(
        "route-session", {"route": session.route, "failed": list(session.failed), "spent": float(session.spent)}
    )


def decode_session(data: bytes) -> Session:
    """The inverse of `encode_session`."""

    def build(payload: Mapping[str, Any]) -> Session:
        route = payload["route"]
        if route != "":
            check_route(route)
        # Before costs were kept with it, a session had none.
        spent = check_number(payload.get("spent", 0.0), "spent", 0.0, _LARGEST_SUM)
        return Session(
            route=route, failed=tuple(check_route(name, "failed") for name in payload["failed"]), spent=spent
        )

    return guarded("route-session", data, build)


def encode_decision(decision: Decision) -> bytes:
    """A decision with all that it hung on; numbers as float64, so that a replay is exact."""
    payload = {
        "id": decision.id,
        "text": decision.text[:MAX_DECISION_TEXT],
        "agent": decision.agent,
        "session": decision.session,
        "at_s": decision.at_s,
        "request": asdict(decision.request) | {"failed": list(decision.request.failed)},
        "estimates": {name: asdict(estimate) for name, estimate in decision.estimates.items()},
        "route": decision.route,
        "why": decision.why,
    }
    return encode("route-decision", payload)


def decode_decision(data: bytes) -> Decision:
    """The inverse of `encode_decision`."""
    return guarded("route-decision", data, _decision)


def _statistics_payload(statistics: RouteStatistics) -> dict[str, Any]:
    return {
        "form": _FORM,
        "routes": {
            name: {
                "n": moments.n,
                "sum_quality2": moments.sum_quality2,
                "gram": pack_floats(moments.gram[_UPPER].astype(np.float32)),
                "targets": np.ascontiguousarray(moments.targets, dtype="<f8").tobytes(),
            }
            for name, moments in statistics.routes.items()
        },
    }


def _statistics(payload: Mapping[str, Any]) -> RouteStatistics:
    if payload["form"] != _FORM:
        raise InputError(f"sums over features {payload['form']!r:.40}, this program has {_FORM!r}")
    return RouteStatistics(routes={check_route(name): _moments(one) for name, one in payload["routes"].items()})


def _moments(payload: Mapping[str, Any]) -> RouteMoments:
    gram = np.zeros((FEATURES, FEATURES))
    gram[_UPPER] = unpack_floats(payload["gram"], (len(_UPPER[0]),), "gram")
    gram += np.triu(gram, 1).T
    targets = np.frombuffer(payload["targets"], dtype="<f8").reshape(3, FEATURES).astype(np.float64)
    if not np.isfinite(targets).all():
        raise InputError("targets must be finite")
    return RouteMoments(
        n=check_number(payload["n"], "n", 0.0, _LARGEST_SUM),
        sum_quality2=check_number(payload["sum_quality2"], "sum_quality2", 0.0, _LARGEST_SUM),
        gram=gram,
        targets=targets,
    )


def _checked_budget(budget: Budget) -> Budget:
    check_number(budget.amount, "amount", 0.0, MAX_COST_USD)
    check_number(budget.period_s, "period_s", 1.0, 1e9)
    if budget.per_task is not None:
        check_number(budget.per_task, "per_task", 0.0, MAX_COST_USD)
    return budget


def _decision(payload: Mapping[str, Any]) -> Decision:
    request = dict(payload["request"])
    return Decision(
        id=check_text(payload["id"], "id"),
        text=check_text(payload["text"], "text"),
        agent=check_text(payload["agent"], "agent"),
        session=check_text(payload["session"], "session"),
        at_s=check_number(payload["at_s"], "at_s", 0.0, 1e15),
        request=check_request(
            RouteRequest(
                **request
                | {
                    "strategy": parse_strategy(request["strategy"]),
                    "exploration": parse_exploration(request["exploration"]),
                    "failed": tuple(request["failed"]),
                    "seed": check_count(request["seed"], "seed", 0, 2**63 - 1),
                }
            )
        ),
        estimates={check_route(name): _estimate(one) for name, one in payload["estimates"].items()},
        route=check_text(payload["route"], "route"),
        why=check_text(payload["why"], "why"),
    )


def _estimate(payload: Mapping[str, Any]) -> RouteEstimate:
    estimate = RouteEstimate(**payload)
    check_number(estimate.quality, "quality", 0.0, 1.0)
    check_number(estimate.quality_error, "quality_error", 0.0, _LARGEST_SUM)
    check_number(estimate.outcomes, "outcomes", 0.0, _LARGEST_SUM)
    for name, value in (("cost", estimate.cost), ("latency_ms", estimate.latency_ms)):
        if value is not None:
            check_number(value, name, 0.0, _LARGEST_SUM)
    return estimate
