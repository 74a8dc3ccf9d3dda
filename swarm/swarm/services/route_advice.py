"""What the router answers, and what a caller may ask of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

from swarm.errors import InputError
from swarm.sona.routing.choice import Candidate, Choice
from swarm.sona.routing.request import (
    MAX_COST_USD,
    MAX_ROUTES_ASKED,
    Exploration,
    RouteRequest,
    Strategy,
    check_request,
    check_route,
    parse_exploration,
    parse_strategy,
)
from swarm.sona.vectors import check_count, check_names, check_number


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAdvice:
    """A recommended route. Quality in 0..1 with its standard error, latency in ms, cost in USD per task.

    `outcomes` is the evidence behind it. `route` is "" when every route breaks a bound and there is no fallback; `why`
    then says which bound excluded which. `candidates` are all routes as the choice saw them, best first. What is not
    known of cost and latency is 0.
    """

    route: str
    expected_quality: float
    quality_error: float
    outcomes: float
    latency_ms: float
    cost: float
    why: str
    decision_id: str = ""
    is_fallback: bool = False
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)

    @property
    def model(self) -> str:
        """The route, by its published name."""
        return self.route

    @property
    def estimated_cost(self) -> float:
        """The cost, by its published name."""
        return self.cost

    def as_dict(self, *, explain: bool = False) -> dict[str, Any]:
        """Plain values, for JSON; with `explain` every candidate too."""
        values = asdict(self)
        candidates = values.pop("candidates")
        values |= {"model": self.model, "estimated_cost": self.estimated_cost}
        return values | ({"candidates": list(candidates)} if explain else {})


def advice_of(choice: Choice, decision_id: str) -> RouteAdvice:
    """A choice as an answer."""
    expected = choice.chosen.expected
    return RouteAdvice(
        route=choice.route,
        expected_quality=expected.quality,
        quality_error=expected.quality_error,
        outcomes=expected.outcomes,
        latency_ms=expected.latency_ms or 0.0,
        cost=expected.cost or 0.0,
        why=choice.why,
        decision_id=decision_id,
        is_fallback=choice.is_fallback,
        candidates=choice.candidates,
    )


def no_route(why: str) -> RouteAdvice:
    """The answer that there is none."""
    return RouteAdvice(
        route="", expected_quality=0.0, quality_error=0.0, outcomes=0.0, latency_ms=0.0, cost=0.0, why=why
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteQuestion:
    """What a caller asks: the routes to choose from (None: all that are known), the request, and the session.

    `max_cost_per_task` bounds what all decisions of the session are expected to cost: a session is a task then, with
    every upgrade after a failure.
    """

    routes: tuple[str, ...] | None
    request: RouteRequest
    session: str
    max_cost_per_task: float | None = None


class RouteChoices(TypedDict, total=False):
    """The options of `route_question` but `min_quality`, for those who have one of their own."""

    routes: Collection[str] | None
    strategy: str | Strategy
    max_cost: float | None
    max_cost_per_task: float | None
    timeout_ms: float | None
    worth: float | None
    fallback: str
    session: str
    failed: Sequence[str]
    exploration: str | Exploration
    seed: int


class RouteOptions(RouteChoices, total=False):
    """The options of `route_question`, for those who pass them on."""

    min_quality: float | None


def route_question(
    *,
    routes: Collection[str] | None = None,
    strategy: str | Strategy = Strategy.BALANCED,
    max_cost: float | None = None,
    max_cost_per_task: float | None = None,
    min_quality: float | None = None,
    timeout_ms: float | None = None,
    worth: float | None = None,
    fallback: str = "",
    session: str = "",
    failed: Sequence[str] = (),
    exploration: str | Exploration = Exploration.GREEDY,
    seed: int = 0,
) -> RouteQuestion:
    """The question, every value of it checked; see `RouteRequest` for what they mean.

    Raises
    ------
    InputError
        If one is of another type or out of its bounds.
    """
    names: tuple[str, ...] | None = None
    if routes is not None:
        names = tuple(dict.fromkeys(route_names(routes, "routes")))
        if len(names) > MAX_ROUTES_ASKED:
            raise InputError(f"routes may be {MAX_ROUTES_ASKED} at most, got {len(names)}")
    request = RouteRequest(
        strategy=parse_strategy(strategy),
        max_cost=max_cost,
        min_quality=min_quality,
        timeout_ms=timeout_ms,
        worth=worth,
        fallback=_optional(fallback, "fallback"),
        failed=tuple(dict.fromkeys(route_names(failed, "failed"))),
        exploration=parse_exploration(exploration),
        seed=check_count(seed, "seed", 0, 2**63 - 1),
    )
    name = _optional(session, "session")
    if max_cost_per_task is not None:
        max_cost_per_task = check_number(max_cost_per_task, "max_cost_per_task", 0.0, MAX_COST_USD)
        if not name:
            raise InputError("max_cost_per_task needs a session: what its decisions cost together is the task's cost")
    return RouteQuestion(
        routes=names, request=check_request(request), session=name, max_cost_per_task=max_cost_per_task
    )


def route_names(names: Collection[str], parameter: str) -> list[str]:
    """The names of routes or tools as a list, each checked."""
    return [check_route(name, parameter) for name in check_names(names, parameter)]


def _optional(name: str, parameter: str) -> str:
    return "" if isinstance(name, str) and name == "" else check_route(name, parameter)
