"""The state of a swarm at one moment, and what changed between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from swarm.services.find import MergeReceipt
from swarm.services.status import AgentStatus
from swarm.services.swarm import Swarm
from swarm.store.workers import WorkerBeat
from swarm_gateway.schemas.events import (
    AgentChanged,
    AgentGone,
    BankMerged,
    LiveEvent,
    Merged,
    Searchable,
    Snapshot,
    SwarmCounts,
    TasksChanged,
    WorkerChanged,
    WorkerGone,
)
from swarm_gateway.schemas.receipts import MergeView
from swarm_gateway.schemas.status import StatusView
from swarm_gateway.schemas.tasks import CountsView


def read_snapshot(swarm: Swarm) -> Snapshot:
    """How the swarm stands, from what is stored."""
    status = StatusView.of(swarm.status())
    return Snapshot(
        status=status,
        merged=tuple(
            Merged(agent=name, generation=one.generation, stream_id=one.cursor)
            for name, one in sorted(swarm.bank.merged().items())
        ),
        merge=_newest(swarm, status.bank_version),
    )


def changes(before: Snapshot, now: Snapshot) -> Iterator[LiveEvent]:
    """What became different, the parts before the whole. That time passes is no change."""
    old, new = before.status, now.status
    agents, seen = {one.name: one for one in new.agents}, {one.name: _ageless(one) for one in old.agents}
    yield from (AgentChanged(agent=one) for one in new.agents if seen.get(one.name) != _ageless(one))
    yield from (AgentGone(name=name) for name in seen if name not in agents)
    workers, beats = {one.name: one for one in new.workers}, {one.name: _silent(one) for one in old.workers}
    yield from (WorkerChanged(worker=one) for one in new.workers if beats.get(one.name) != _silent(one))
    yield from (WorkerGone(name=name) for name in beats if name not in workers)
    tasks: Mapping[str, CountsView] = {one.role: _undated(one) for one in old.tasks}
    yield from (TasksChanged(tasks=one) for one in new.tasks if tasks.get(one.role) != _undated(one))
    if now.merge is not None and now.merge != before.merge:
        yield BankMerged(merge=now.merge)
    merged = {one.agent: one for one in before.merged}
    yield from (Searchable(merged=one) for one in now.merged if merged.get(one.agent) != one)
    if _counts(old) != _counts(new):
        yield _counts(new)


def _newest(swarm: Swarm, version: str) -> MergeView | None:
    change = swarm.bank.change(version)
    if change is None:
        return None
    receipt = MergeReceipt(version=version, put=change.put, removed=change.removed, is_full=change.is_full)
    return MergeView.of(receipt)


def _counts(status: StatusView) -> SwarmCounts:
    values = status.model_dump(include=set(SwarmCounts.model_fields) - {"type", "agents"})
    return SwarmCounts(agents=len(status.agents), **values)


def _ageless(agent: AgentStatus) -> AgentStatus:
    return replace(agent, oldest_pending_s=None)


def _silent(worker: WorkerBeat) -> WorkerBeat:
    return replace(worker, beat_s=0.0)


def _undated(tasks: CountsView) -> CountsView:
    return tasks.model_copy(update={"oldest_waiting_s": None})
