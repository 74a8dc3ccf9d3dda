"""How the swarm stands, its pools, and what changes in it."""

from __future__ import annotations

from swarm.services.status import AgentStatus
from swarm.store.supervisors import PoolReport, SupervisorBeat
from swarm.store.workers import WorkerBeat
from swarm_gateway.schemas.base import View
from swarm_gateway.schemas.tasks import CountsView


class StatusView(View):
    """One swarm, from stored state; see `SwarmStatus`. `lost` must be 0."""

    name: str
    embedder: str | None
    agents: tuple[AgentStatus, ...]
    patterns: int
    bank_version: str
    merges: int
    unmerged_agents: int
    workers: tuple[WorkerBeat, ...]
    queue_depth: int
    tasks: tuple[CountsView, ...]
    supervisors: tuple[SupervisorBeat, ...]
    pending: int
    lost: int


class PoolView(View):
    """A worker of a pool; see `PoolState`. `care` is what the supervisor of its host says of it, null without one."""

    pool: str
    host: str
    pid: int
    status: str
    wanted: int
    concurrency: int
    active: int
    reserved: int
    done: int
    queued: int
    started_s: float
    beat_s: float
    reconnects: int
    outages: int
    fault: str
    role: str
    slot: int
    min_size: int
    max_size: int
    idle_s: float
    care: PoolReport | None


class Pools(View):
    """Every worker of every pool and host, by name, and who looks after them."""

    pools: tuple[PoolView, ...]
    supervisors: tuple[SupervisorBeat, ...]
