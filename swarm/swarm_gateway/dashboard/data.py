"""`/v1/dashboard`: what the page shows beside the rest of /v1. It is the page's own, and so in no contract."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from swarm.sona.routing.declared import DeclaredRoute
from swarm.sona.routing.statistics import RouteMoments
from swarm.store.connection import clock_s
from swarm.wire.keys import DECISIONS_LENGTH
from swarm_gateway.identity import Asker, Here
from swarm_gateway.routes.status import pools
from swarm_gateway.schemas.base import View
from swarm_gateway.schemas.routing import DecisionView
from swarm_gateway.schemas.status import Pools, StatusView

router = APIRouter(prefix="/v1/dashboard", tags=["dashboard"], include_in_schema=False)
_FIRST_READ_S = 2.0
"""How long a call waits for the first picture; a large bank takes longer to read, and later pictures are there."""


class ThisGateway(View):
    """Agents in its memory, their outcomes that wait for Redis, and how often they found it away."""

    engines: int
    spooled: int
    redis_failures: int


class Live(View):
    """What changes from second to second. `now_s` is Redis's clock; `map_version` is "" before the bank was read."""

    now_s: float
    status: StatusView
    pools: Pools
    map_version: str
    gateway: ThisGateway


class Measured(View):
    """What a route achieved: means over its outcomes; cost in USD."""

    outcomes: float
    quality: float
    cost: float
    latency_ms: float

    @classmethod
    def of_moments(cls, known: RouteMoments) -> Measured:
        return cls(outcomes=known.n, quality=known.mean_quality, cost=known.mean_cost, latency_ms=known.mean_latency_ms)


class RouteState(View):
    """A route as it was declared, and as it was measured; null where it was not."""

    declared: DeclaredRoute | None
    measured: Measured | None


class BudgetState(View):
    """A budget (USD, s), and what of it is spent and left."""

    amount: float
    period_s: float
    per_task: float | None
    spent: float
    left: float


class RouterState(View):
    """The routes, the budgets by scope, and the latest decisions with what explains each."""

    routes: dict[str, RouteState]
    budgets: dict[str, BudgetState]
    decisions: tuple[DecisionView, ...]


@router.get("/live")
def live(asker: Asker, here: Here) -> Live:
    """The status, the pools and this gateway."""
    engines = here.engines
    return Live(
        now_s=clock_s(here.swarm.client),
        status=StatusView.of(asker.status()),
        pools=pools(asker, here),
        map_version=here.map.version,
        gateway=ThisGateway(engines=len(engines), spooled=engines.spooled, redis_failures=engines.redis_failures),
    )


@router.get("/map")
def swarm_map(request: Request, asker: Asker, here: Here) -> Response:
    """Every pattern as a point, in binary; see `SwarmMap.picture`. 304 to who has this version."""
    asker.roles()
    picture = here.map.picture(_FIRST_READ_S)
    if picture is None:
        return Response(status_code=503, headers={"Retry-After": "1"})
    headers = {"ETag": f'"{picture.version}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(picture.data, media_type="application/octet-stream", headers=headers)


@router.get("/router")
def router_state(asker: Asker, here: Here, count: Annotated[int, Query(ge=1, le=DECISIONS_LENGTH)] = 25) -> RouterState:
    """What the router knows, and what it decided: for operators."""
    decisions = asker.decisions(count)
    store = here.swarm.router.store
    published, declared = store.published_since(None), store.declared()
    measured = {} if published is None else published.published.statistics.routes
    return RouterState(
        routes={
            name: RouteState(
                declared=declared.get(name),
                measured=Measured.of_moments(measured[name]) if name in measured else None,
            )
            for name in sorted({*declared, *measured})
        },
        budgets={
            scope: BudgetState(**asdict(one.budget), spent=one.spent, left=one.left)
            for scope, one in here.swarm.router.budgets.spending().items()
        },
        decisions=tuple(map(DecisionView.of_replay, decisions)),
    )
