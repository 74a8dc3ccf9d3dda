"""`/v1/status` and `/v1/pools`: how the swarm stands, from stored state."""

from __future__ import annotations

import socket

from fastapi import APIRouter

from swarm.store.connection import clock_s
from swarm.store.workers import WorkerRegistry
from swarm_gateway.identity import Asker, Here
from swarm_gateway.schemas.status import Pools, PoolView, StatusView
from swarm_workers.poolstate import pool_states

router = APIRouter(prefix="/v1", tags=["status"])


@router.get("/status")
def status(asker: Asker) -> StatusView:
    """Agents, patterns, workers, tasks and supervisors, as `swarm status --json` shows them."""
    return StatusView.of(asker.status())


@router.get("/pools")
def pools(asker: Asker, here: Here) -> Pools:
    """The workers of every pool on every host, and what their supervisors say of them."""
    found = asker.status()
    swarm = here.swarm
    records = WorkerRegistry(swarm.client, swarm.keys).pools()
    states = pool_states(
        records, found.workers, found.queue_depth, socket.gethostname(), clock_s(swarm.client), found.supervisors
    )
    return Pools(pools=tuple(map(PoolView.of, states)), supervisors=found.supervisors)
