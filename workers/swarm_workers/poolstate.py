"""What is known of the pools now, from heartbeats, records, the broker and the process table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.store.workers import PoolRecord, WorkerBeat, worker_name
from swarm_workers import processes

Status = Literal["running", "draining", "silent", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """A pool as it is now. Times are seconds since the epoch."""

    pool: str
    host: str
    pid: int
    status: Status
    """running; draining: takes no more tasks; silent: no heartbeat, though its process runs or cannot be seen
    from here; dead: its process is gone."""
    wanted: int
    """Child processes that were asked for."""
    concurrency: int
    """Child processes alive at the last heartbeat; 0 without one."""
    active: int
    reserved: int
    done: int
    queued: int
    """Messages that wait in the swarm's queue, which all its pools share."""
    started_s: float
    beat_s: float
    """Time of the last heartbeat; 0 without one."""
    reconnects: int
    outages: int
    """How often its heartbeat or its sweep began to fail."""
    fault: str
    """Why the sweep of this pool fails at present; empty when it does not."""
    log: str
    """Path of the log file on its host; empty if the worker was not started by `PoolManager`."""
    role: str = ""
    """Whose tasks it does; empty for a pool of the background."""

    @property
    def worker(self) -> str:
        return worker_name(self.pool, self.host)


def pool_states(
    records: Sequence[PoolRecord], beats: Sequence[WorkerBeat], queued: int, here: str, now_s: float
) -> list[PoolState]:
    """One state for every worker that has a record or a heartbeat, by name; `here` is this host."""
    by_record = {record.worker: record for record in records}
    by_beat = {beat.name: beat for beat in beats if beat.is_alive(now_s)}
    names = sorted(by_record.keys() | by_beat.keys())
    return [_state(by_record.get(name), by_beat.get(name), queued, here) for name in names]


def _state(record: PoolRecord | None, beat: WorkerBeat | None, queued: int, here: str) -> PoolState:
    process, runs = _process(record, beat, here)
    # The heartbeat of a process that was replaced says nothing about the one that replaced it.
    fresh = beat if beat is not None and runs and beat.pid == process.pid else None
    status: Status = "dead" if not runs else "silent"
    if fresh is not None:
        status = "running" if fresh.consuming else "draining"
    return PoolState(
        pool=process.pool,
        host=process.host,
        pid=process.pid,
        status=status,
        wanted=record.concurrency if record else process.concurrency,
        concurrency=fresh.concurrency if fresh else 0,
        active=fresh.active if fresh else 0,
        reserved=fresh.reserved if fresh else 0,
        done=fresh.done if fresh else 0,
        queued=queued,
        started_s=process.started_s,
        beat_s=fresh.beat_s if fresh else 0.0,
        reconnects=fresh.reconnects if fresh else 0,
        outages=fresh.outages if fresh else 0,
        fault=fresh.fault if fresh else "",
        log=record.log if record else "",
        role=process.role,
    )


def _process(record: PoolRecord | None, beat: WorkerBeat | None, here: str) -> tuple[PoolRecord | WorkerBeat, bool]:
    """Which process serves the pool, the recorded one or the one that beats, and whether it may be running."""
    known = [known for known in (beat, record) if known is not None]
    # Only the processes of this host can be looked up; of the others the heartbeat has to tell.
    running = [one for one in known if one.host != here or processes.is_running(one.pid, one.started_s)]
    return max(running or known, key=lambda one: one.started_s), bool(running)
