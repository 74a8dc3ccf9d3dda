"""`/v1/dashboard`: what the page shows, read from what is stored when it is asked for."""

from __future__ import annotations

import socket
import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from swarm.errors import UnknownIdError, shown
from swarm.services.hits import found_by_similarity, pattern_hit
from swarm.sona.ageing import Pins
from swarm.sona.index import Hit
from swarm.sona.routing.choice import choose
from swarm.store.retention import RetentionStore
from swarm.store.supervisors import SupervisorRegistry
from swarm.store.workers import WorkerRegistry
from swarm.wire.route_records import Decision
from swarm_gateway.gateway import Gateway
from swarm_gateway.identity import Asker, Here
from swarm_workers.poolstate import pool_states

router = APIRouter(prefix="/v1/dashboard", tags=["dashboard"])
_FIRST_READ_S = 30.0
"""How long the first picture of a bank may take; later ones are there."""


@router.get("/live")
def live(asker: Asker, here: Here) -> dict[str, Any]:
    """What changes from second to second: the status, the pools, and this gateway. Times: seconds since the epoch."""
    status = asker.status()
    return {
        "now_s": time.time(),
        "status": status.as_dict(),
        "pools": _pools(here, status.queue_depth),
        "map_version": here.map.version,
        "gateway": {
            "engines": len(here.engines),
            "spooled": here.engines.spooled,
            "redis_failures": here.engines.redis_failures,
        },
    }


def _pools(here: Gateway, queued: int) -> list[dict[str, Any]]:
    client, keys, now_s = here.swarm.client, here.swarm.keys, time.time()
    registry = WorkerRegistry(client, keys)
    supervisors = SupervisorRegistry(client, keys).alive(now_s)
    states = pool_states(registry.pools(), registry.alive(now_s), queued, socket.gethostname(), now_s, supervisors)
    # Where a log lies on a host is for who can read it there.
    return [{name: value for name, value in asdict(state).items() if name != "log"} for state in states]


@router.get("/map", response_class=Response)
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


@router.get("/patterns/{pattern_id:path}")
def pattern(pattern_id: Annotated[str, Path(max_length=200)], asker: Asker, here: Here) -> dict[str, Any]:
    """A pattern with its provenance, what its agents' feedback counts for, and the pin that keeps it."""
    roles = asker.roles()
    found = here.swarm.bank.pattern(pattern_id)
    if found is None:
        raise UnknownIdError(f"pattern {shown(pattern_id)} is not in the bank (any more)")
    hit = pattern_hit(found_by_similarity(Hit(cluster=found, similarity=1.0, score=0.0)), roles)
    pins = RetentionStore(here.swarm.client, here.swarm.keys).pins()
    pin = Pins(record.pin for record in pins.values()).nearest(found)
    states = here.swarm.agents.states([source.agent for source in hit.sources if source.agent in roles])
    verdicts = {name: {"verdict": one.verdict.value, "silenced": bool(one.silenced)} for name, one in states.items()}
    routes = {name: asdict(tally) for name, tally in found.routes.items()}
    return {
        **hit.to_dict(),
        "positive": found.positive,
        "pin": None if pin is None else {"id": pin.id, "by": pins[pin.id].by, "at_s": pins[pin.id].at_s},
        "verdicts": verdicts,
        "routes": routes,
    }


@router.get("/routes")
def routes(asker: Asker, here: Here, count: Annotated[int, Query(ge=1, le=200)] = 50) -> dict[str, Any]:
    """The routes as declared and as measured, the budgets, and the latest decisions with what explains each."""
    asker.require_operator("see the decisions of the router")
    router = here.swarm.router
    published, declared = router.store.published_since(None), router.store.declared()
    measured = {} if published is None else published.published.statistics.routes
    return {
        "routes": {
            name: {
                "declared": asdict(declared[name]) if name in declared else None,
                "measured": None
                if (known := measured.get(name)) is None
                else {
                    "outcomes": known.n,
                    "quality": known.mean_quality,
                    "cost": known.mean_cost,
                    "latency_ms": known.mean_latency_ms,
                },
            }
            for name in sorted({*declared, *measured})
        },
        "budgets": {
            scope: {**asdict(one.budget), "spent": one.spent, "left": one.left}
            for scope, one in router.budgets.spending().items()
        },
        "decisions": [_explained(decision) for decision in router.store.latest(count)],
    }


def _explained(decision: Decision) -> dict[str, Any]:
    """A decision, made once more from what it hung on: that gives every candidate as the choice saw it."""
    choice = choose(decision.estimates, decision.request)
    return {
        "decision_id": decision.id,
        "text": decision.text,
        "agent": decision.agent,
        "session": decision.session,
        "at_s": decision.at_s,
        "request": asdict(decision.request),
        "route": decision.route,
        "why": decision.why,
        "is_fallback": choice.is_fallback,
        "candidates": [asdict(candidate) for candidate in choice.candidates],
    }
