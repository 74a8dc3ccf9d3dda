"""What is known of the pools now, from heartbeats, records, the broker and the process table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.store.supervisors import PoolReport, SupervisorBeat
from swarm.store.workers import PoolRecord, WorkerBeat, worker_name
from swarm_workers import processes

Status = Literal["running", "draining", "silent", "dead", "asleep"]
_FIRST: tuple[Status, ...] = ("running", "silent", "draining", "asleep", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """A pool as it is now; while one worker takes over from another there are two of the same pool.

    Times are seconds since the epoch.
    """

    pool: str
    host: str
    pid: int
    status: Status
    """running; draining: takes no more tasks; silent: no heartbeat, though its process runs or cannot be seen
    from here; dead: its process is gone; asleep: it has no process, because there is nothing to do."""
    wanted: int
    """Child processes that it is to have now."""
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
    slot: int = 0
    min_size: int = 0
    max_size: int = 0
    """Bounds between which a supervisor chooses `wanted`; 0 if they are not known."""
    idle_s: float = 0.0
    care: PoolReport | None = None
    """What the supervisor of its host says of it; None if there is none that is alive."""

    @property
    def worker(self) -> str:
        return worker_name(self.pool, self.host, self.slot)


def pool_states(
    records: Sequence[PoolRecord],
    beats: Sequence[WorkerBeat],
    queued: int,
    here: str,
    now_s: float,
    supervisors: Sequence[SupervisorBeat] = (),
) -> list[PoolState]:
    """One state for every worker that has a record or a heartbeat, by name; `here` is this host."""
    by_record = {record.worker: record for record in records}
    by_beat = {beat.name: beat for beat in beats if beat.is_alive(now_s)}
    care = {
        worker_name(report.pool, beat.host): report
        for beat in supervisors
        if beat.is_alive(now_s)
        for report in beat.pools
    }
    names = sorted(by_record.keys() | by_beat.keys())
    return [_state(name, by_record.get(name), by_beat.get(name), queued, here, care) for name in names]


def current(states: Sequence[PoolState]) -> PoolState | None:
    """Of the workers of one pool on one host the one that serves it; the others are on their way out."""
    return min(states, key=lambda state: (_FIRST.index(state.status), -state.started_s), default=None)


def _state(
    name: str,
    record: PoolRecord | None,
    beat: WorkerBeat | None,
    queued: int,
    here: str,
    care: Mapping[str, PoolReport],
) -> PoolState:
    process, runs = _process(record, beat, here)
    # The heartbeat of a process that was replaced says nothing about the one that replaced it.
    fresh = beat if beat is not None and runs and beat.pid == process.pid else None
    status: Status = "asleep" if process.pid == 0 else "silent" if runs else "dead"
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
        slot=_slot(name),
        min_size=record.min_size if record else 0,
        max_size=record.max_size if record else 0,
        idle_s=record.idle_s if record else 0.0,
        care=care.get(worker_name(process.pool, process.host)),
    )


def _process(record: PoolRecord | None, beat: WorkerBeat | None, here: str) -> tuple[PoolRecord | WorkerBeat, bool]:
    """Which process serves the pool, the recorded one or the one that beats, and whether it may be running."""
    known = [known for known in (beat, record) if known is not None]
    # Only the processes of this host can be looked up; of the others the heartbeat has to tell.
    running = [one for one in known if one.pid and (one.host != here or processes.is_running(one.pid, one.started_s))]
    return max(running or known, key=lambda one: one.started_s), bool(running)


def _slot(worker: str) -> int:
    slot = worker.partition("@")[0].partition("~")[2]
    return int(slot) if slot.isdigit() else 0
