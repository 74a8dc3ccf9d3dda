"""What a caller asks of the router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from swarm.errors import InputError, shown
from swarm.sona.vectors import check_number, check_text

MAX_NAME = 200
MAX_ROUTES_ASKED = 128
MAX_COST_USD = 1e9
MAX_TIMEOUT_MS = 1e9


class Strategy(StrEnum):
    """What a route is chosen for."""

    QUALITY = "quality"
    SPEED = "speed"
    COST = "cost"
    BALANCED = "balanced"


class Exploration(StrEnum):
    """How routes of which little is known get their chance.

    GREEDY takes the best expectation; THOMPSON draws every quality from its distribution, and so tries a route as
    often as it may be the best; UCB adds a bonus for little evidence (`variants.select_by_ucb`).
    """

    GREEDY = "greedy"
    THOMPSON = "thompson"
    UCB = "ucb"


_ALIASES: Mapping[str, Strategy] = {"cost-optimized": Strategy.COST, "cost_optimized": Strategy.COST}


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest:
    """Strategy, hard bounds and what happened before. Costs in USD per task, times in ms.

    Parameters
    ----------
    max_cost, min_quality, timeout_ms : a route whose expectation breaks one of them, or is unknown, is not taken
    worth : what a task done well is worth in USD; if given, it decides instead of the strategy
    fallback : taken when no other route is left, whatever the bounds
    budget_left : what the budgets leave for this task; None without a budget
    failed : routes that failed at this task: none of them is taken again
    sticky : the route that this session has; it stays unless it failed or breaks a bound
    exploration, scale, seed : how and how much to explore; equal seeds draw equally. Half of a posterior's width is
        the default: measured on a log of ten models, the whole one still tries too much after 1,700 requests
    """

    strategy: Strategy = Strategy.BALANCED
    max_cost: float | None = None
    min_quality: float | None = None
    timeout_ms: float | None = None
    worth: float | None = None
    fallback: str = ""
    budget_left: float | None = None
    failed: tuple[str, ...] = ()
    sticky: str = ""
    exploration: Exploration = Exploration.GREEDY
    scale: float = 0.5
    seed: int = 0


def parse_strategy(value: object) -> Strategy:
    """A strategy by its name; "cost-optimized" is the published name of "cost".

    >>> parse_strategy("cost-optimized")
    <Strategy.COST: 'cost'>
    """
    if isinstance(value, str):
        if value in _ALIASES:
            return _ALIASES[value]
        if value in list(Strategy):
            return Strategy(value)
    raise InputError(f"strategy must be one of {', '.join(Strategy)}, cost-optimized, got {shown(value, 40)}")


def parse_exploration(value: object) -> Exploration:
    """A kind of exploration by its name."""
    if isinstance(value, str) and value in list(Exploration):
        return Exploration(value)
    raise InputError(f"exploration must be one of {', '.join(Exploration)}, got {shown(value, 40)}")


def check_route(value: object, parameter: str = "route") -> str:
    """`value` if it can name a route: 1-200 printable characters."""
    name = check_text(value, parameter)
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InputError(f"{parameter} must be 1-{MAX_NAME} printable characters, got {shown(value, 60)}")
    return name


def check_request(request: RouteRequest) -> RouteRequest:
    """The request with plain numbers, if they are within their bounds.

    Raises
    ------
    InputError
        If one is not; the message names it.
    """
    numbers: dict[str, Any] = {
        name: check_number(value, name, low, high)
        for name, value, low, high in (
            ("max_cost", request.max_cost, 0.0, MAX_COST_USD),
            ("min_quality", request.min_quality, 0.0, 1.0),
            ("timeout_ms", request.timeout_ms, 0.0, MAX_TIMEOUT_MS),
            ("budget_left", request.budget_left, 0.0, MAX_COST_USD),
            ("worth", request.worth, 1e-12, MAX_COST_USD),
            ("scale", request.scale, 0.0, 100.0),
        )
        if value is not None
    }
    for name in (request.fallback, request.sticky):
        if name:
            check_route(name)
    for name in request.failed:
        check_route(name, "failed")
    return replace(request, **numbers)
