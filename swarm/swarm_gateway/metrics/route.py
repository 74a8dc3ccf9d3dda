"""`/metrics`, for Prometheus. Whoever may use the gateway may read it: it holds sums, and no names of agents."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from swarm.errors import StoreUnavailableError
from swarm_gateway.identity import Asker, Here

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(asker: Asker, here: Here) -> Response:
    """Everything that is counted, in Prometheus' text format; without what is stored while Redis is away."""
    if asker.access is not None:
        # Whether the token still holds only Redis knows; while it is away, there is nothing of the swarm to see.
        with suppress(StoreUnavailableError):
            asker.roles()
    return Response(generate_latest(here.instruments.registry), media_type=CONTENT_TYPE_LATEST)
