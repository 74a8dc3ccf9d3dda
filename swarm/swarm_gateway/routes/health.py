"""`/health`: whether the process lives, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from swarm import __version__
from swarm.errors import StoreUnavailableError
from swarm.store.connection import redis_errors
from swarm_gateway.identity import Here
from swarm_gateway.mcp.presence import REMEDY, has_mcp

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """How the gateway stands. `redis` is "ok", or why Redis does not answer; `mcp` is "ok", or how to get it."""

    status: str
    version: str
    swarm: str
    redis: str
    mcp: str
    patterns: int
    engines: int
    spooled: int
    redis_failures: int


class Alive(BaseModel):
    """The process lives."""

    status: str


@router.get("/health/live")
async def live() -> Alive:
    """200 as long as the process answers, whatever its threads wait for."""
    return Alive(status="ok")


@router.get("/health", name="health", responses={503: {"model": Health}})
@router.get("/health/ready", responses={503: {"model": Health}})
def ready(here: Here, response: Response) -> Health:
    """200 if Redis answers, else 503; hooks are answered, and outcomes taken into the spool, all the same."""
    try:
        with redis_errors("reach Redis"):
            here.swarm.client.ping()
        redis = "ok"
    except StoreUnavailableError as error:
        redis = str(error)
        response.status_code = 503
    return Health(
        status="ok" if redis == "ok" else "degraded",
        version=__version__,
        swarm=here.settings.name,
        redis=redis,
        mcp="ok" if has_mcp() else REMEDY,
        patterns=len(here.swarm.replica.index),
        engines=len(here.engines),
        spooled=here.engines.spooled,
        redis_failures=here.engines.redis_failures,
    )
