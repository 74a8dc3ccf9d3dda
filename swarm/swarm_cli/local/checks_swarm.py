"""What `swarm doctor` asks the swarm: do its workers work, and is every outcome on its way?"""

from __future__ import annotations

import time

from swarm.services.status import SwarmStatus
from swarm.store.supervisors import SupervisorBeat
from swarm_cli.local.finding import Finding, judged
from swarm_cli.output import count, duration, plain
from swarm_workers.pools import PoolState

MAX_WAIT = 60.0
"""Seconds; with workers at hand an outcome waits for a few."""


def check_workers(pools: list[PoolState]) -> Finding:
    """Worker pools: there, and with a fresh heartbeat."""
    remedy = "start or mend them: swarm up, or swarm workers start; their logs say why they ended"
    running = [pool for pool in pools if pool.status == "running"]
    if not running and not pools:
        return Finding(check="Workers", ok=False, detail="nobody consolidates what agents learn", remedy=remedy)
    parts = [f"{pool.worker} {pool.status}{_failures(pool)}" for pool in pools if pool.status != "running"]
    parts += [f"{pool.worker}: {pool.fault}" for pool in running if pool.fault]
    if running:
        oldest = max(time.time() - pool.beat_s for pool in running)
        workers = count(sum(pool.concurrency for pool in running), "process", "processes")
        parts.insert(0, f"{count(len(running), 'pool')}, {workers}, heartbeat {duration(oldest)} ago")
    well = all(pool.status in ("running", "draining", "asleep") and not pool.fault for pool in pools)
    awake = running or any(pool.status == "asleep" for pool in pools)
    return judged("Workers", bool(awake) and well, "; ".join(parts), remedy)


def check_supervisors(pools: list[PoolState], supervisors: list[SupervisorBeat]) -> Finding:
    """Supervisors: one on every host that has pools; without it, who dies stays dead."""
    alone = sorted({pool.host for pool in pools} - {beat.host for beat in supervisors})
    parts = [f"{beat.host}, process {beat.pid}, {count(len(beat.pools), 'pool')}" for beat in supervisors]
    parts += [f"none on {host}" for host in alone]
    remedy = f"on {', '.join(alone)}: swarm up, or swarm workers supervise"
    return judged("Supervisor", not alone, "; ".join(parts) or "none, and no pools to look after", remedy)


def _failures(pool: PoolState) -> str:
    if pool.care is None or not pool.care.failures:
        return ""
    return f", failed {count(pool.care.failures, 'time')} ({plain(pool.care.fault, 120)})"


def check_outcomes(status: SwarmStatus) -> Finding:
    """Outcomes: none lost, none unusable, none waiting for long."""
    dead = sum(agent.dead for agent in status.agents)
    oldest = max((agent.oldest_pending_s or 0.0 for agent in status.agents), default=0.0)
    accepted = sum(agent.accepted for agent in status.agents)
    detail = f"{accepted:,} accepted, {status.pending:,} waiting, {dead:,} unusable, {status.lost:,} lost"
    if status.lost:
        return Finding(check="Outcomes", ok=False, detail=detail, remedy="keys were removed: restore Redis's file")
    if oldest > MAX_WAIT:
        detail += f", the oldest waits for {duration(oldest)}"
        return Finding(check="Outcomes", ok=False, detail=detail, remedy="see the workers above, or add some")
    return judged("Outcomes", not dead, detail, "swarm status shows whose they are, the workers' logs show why")
