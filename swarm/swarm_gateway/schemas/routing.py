"""The router's answers, and what may be asked of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from swarm.services.route_advice import RouteAdvice
from swarm.services.router import Replay
from swarm.sona.routing.model import RouteEstimate
from swarm.sona.routing.request import MAX_ROUTES_ASKED, RouteRequest
from swarm_gateway.schemas.base import AS_WHOLE, Body, Dollars, Key, Label, View

Strategy = Literal["quality", "speed", "cost", "balanced", "cost-optimized", "cost_optimized"]
Routes = Annotated[list[Key], Field(max_length=MAX_ROUTES_ASKED)]


class RouteOptions(Body):
    """What a route is chosen by; see `RouteRequest`. What is null is as if it were not there."""

    routes: Routes | None = None
    strategy: Strategy | None = None
    max_cost: Dollars | None = None
    max_cost_per_task: Dollars | None = None
    timeout_ms: Annotated[float, Field(ge=0.0, le=1e9)] | None = None
    worth: Annotated[float, Field(ge=1e-12, le=1e9)] | None = None
    fallback: Label | None = None
    session: Label | None = None
    failed: Routes | None = None
    exploration: Literal["greedy", "thompson", "ucb"] | None = None
    seed: Annotated[int, Field(ge=0, le=2**53), AS_WHOLE] | None = None
    tools: Annotated[Routes, Field(default_factory=list)]


class RouteCandidate(View):
    """A route as the choice saw it; `excluded` says which bound it breaks, "" if none."""

    route: str
    expected: RouteEstimate
    sampled: float
    utility: float
    excluded: str


class RouteView(View):
    """A recommended route, and every candidate, best first; see `RouteAdvice`."""

    route: str
    model: str
    expected_quality: float
    quality_error: float
    outcomes: float
    latency_ms: float
    cost: float
    estimated_cost: float
    why: str
    decision_id: str
    is_fallback: bool
    candidates: tuple[RouteCandidate, ...]

    @classmethod
    def of_advice(cls, advice: RouteAdvice, *, explain: bool = False) -> RouteView:
        """With `explain` every candidate, too."""
        return cls.of(advice if explain else replace(advice, candidates=()))


class DecisionView(View):
    """A decision, what it hung on, and the same choice made again now; see `Replay`."""

    decision_id: str
    text: str
    agent: str
    session: str
    at_s: float
    route: str
    why: str
    request: RouteRequest
    again: str
    is_same: bool
    candidates: tuple[RouteCandidate, ...]

    @classmethod
    def of_replay(cls, replay: Replay) -> DecisionView:
        """Both on one level."""
        decision = replay.decision
        return cls(
            decision_id=decision.id,
            text=decision.text,
            agent=decision.agent,
            session=decision.session,
            at_s=decision.at_s,
            route=decision.route,
            why=decision.why,
            request=decision.request,
            again=replay.again.route,
            is_same=replay.is_same,
            candidates=tuple(map(RouteCandidate.of, replay.again.candidates)),
        )
