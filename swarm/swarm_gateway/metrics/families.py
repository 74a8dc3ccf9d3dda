"""What is stored, as metrics of Prometheus. Every figure is that of `swarm status`; counters never fall.

No label holds the name of an agent or an id: pools, roles and routes are few, and named by whoever runs the swarm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from swarm.services.status import SwarmStatus
from swarm.sona.standing import Verdict
from swarm.store.durations import BOUNDS_S, Durations
from swarm.store.tasks import RoleCounts
from swarm_gateway.metrics.reading import Reading

MAX_ROLES = 100
"""With more roles than this tasks are not told apart by role any more, but all are of the role `all`."""
OTHER = "other"
"""Stands for routes and reasons beyond those that are counted apart."""
_TASK_STATES = ("waiting", "retrying", "running", "dead")

_Labels = TypeVar("_Labels", bound=tuple[str, ...])


def families_of(reading: Reading) -> Iterator[Metric]:
    """All that is stored."""
    roles = by_role(reading.status.tasks)
    replayed = reading.replayed if len(reading.status.tasks) <= MAX_ROLES else {"all": sum(reading.replayed.values())}
    yield from _work(reading, roles, replayed)
    yield from _workers(reading.status)
    yield from _memory(reading)
    for stage, durations in reading.durations.items():
        yield _histogram(f"swarm_{stage}_duration_seconds", f"How long each {stage} took.", durations)


def by_role(tasks: Sequence[RoleCounts]) -> list[RoleCounts]:
    """The tasks by role; of very many roles the sum."""
    if len(tasks) <= MAX_ROLES:
        return list(tasks)
    counts = Counter[str]()
    for one in tasks:
        values = one.as_dict()
        counts.update({name: values[name] for name in values if name not in ("role", "oldest_waiting_s", "lost")})
    oldest = max((one.oldest_waiting_s for one in tasks if one.oldest_waiting_s is not None), default=None)
    return [RoleCounts(role="all", oldest_waiting_s=oldest, **counts)]


def _work(reading: Reading, roles: Sequence[RoleCounts], replayed: Mapping[str, int]) -> Iterator[Metric]:
    status, tallies = reading.status, reading.tallies
    # One that was replayed died before; one that was dropped did, too.
    died = {one.role: one.dead + one.dropped + replayed.get(one.role, 0) for one in roles}
    ops = {
        ("outcome", "accepted"): tallies.accepted,
        ("outcome", "processed"): tallies.processed,
        ("outcome", "dead"): tallies.dead,
        ("outcome", "rewound"): tallies.rewound,
        ("outcome", "refused"): tallies.refused,
        ("consolidation", "committed"): reading.durations["consolidation"].count,
        ("merge", "published"): status.merges,
        ("task", "submitted"): sum(one.submitted for one in roles),
        ("task", "succeeded"): sum(one.succeeded for one in roles),
        ("task", "cancelled"): sum(one.cancelled for one in roles),
        ("task", "dead"): sum(died.values()),
    }
    yield _counter("swarm_ops", "What was done since the swarm began, by kind and state.", ("kind", "state"), ops)
    letters = {("consolidate",): tallies.dead, **{(f"run:{role}",): number for role, number in died.items()}}
    yield _counter("swarm_dead_letters", "What could not be done, by task.", ("task",), letters)
    ages = {
        ("outcome",): _oldest([agent.oldest_pending_s for agent in status.agents]),
        ("task",): _oldest([one.oldest_waiting_s for one in roles]),
    }
    yield _gauge("swarm_op_age_seconds", "How long the oldest has waited; 0 if none waits.", ("kind",), ages)
    depths = {
        ("background",): status.queue_depth,
        ("outcomes",): status.pending,
        **{(f"run:{one.role}",): one.waiting for one in roles},
    }
    yield _gauge("swarm_queue_depth", "Nudges, outcomes and tasks of a role that wait.", ("queue",), depths)
    states = {(one.role, state): getattr(one, state) for one in roles for state in _TASK_STATES}
    yield _gauge("swarm_tasks", "Tasks that are not done, and dead ones, by role and state.", ("role", "state"), states)
    lost = {
        ("outcome",): sum(agent.lost for agent in status.agents),
        ("task",): sum(one.lost for one in roles),
    }
    yield _gauge("swarm_lost", "What was accepted and is nowhere; it must be 0.", ("kind",), lost)


def _workers(status: SwarmStatus) -> Iterator[Metric]:
    workers = Counter((beat.pool, _state(fault=beat.fault, consuming=beat.consuming)) for beat in status.workers)
    yield _gauge("swarm_workers", "Workers that give a heartbeat, by pool and state.", ("pool", "state"), workers)
    processes = Counter[tuple[str, ...]]()
    for beat in status.workers:
        processes[beat.pool, "busy"] += beat.active
        processes[beat.pool, "idle"] += max(0, beat.concurrency - beat.active)
    yield _gauge("swarm_worker_processes", "Their processes, by pool and state.", ("pool", "state"), processes)
    yield _gauge("swarm_supervisors", "Supervisors that give a heartbeat.", (), {(): len(status.supervisors)})
    failing = sum(pool.failures > 0 for beat in status.supervisors for pool in beat.pools)
    yield _gauge("swarm_pools_failing", "Pools whose worker died or was replaced lately.", (), {(): failing})


def _memory(reading: Reading) -> Iterator[Metric]:
    status, tallies = reading.status, reading.tallies
    patterns = {("bank",): status.patterns, ("pinned",): reading.pinned}
    yield _gauge("swarm_patterns", "Patterns of the shared bank, and pins.", ("scope",), patterns)
    verdicts = Counter({(verdict.value,): 0 for verdict in Verdict})
    verdicts.update((agent.verdict,) for agent in status.agents)
    yield _gauge("swarm_agents", "Agents, by how far their feedback is believed.", ("verdict",), verdicts)
    opened = sum(agent.open for agent in status.agents)
    yield _gauge("swarm_open_trajectories", "Tasks that were begun and have not ended.", (), {(): opened})
    let_go = {(): tallies.expired_open}
    yield _counter("swarm_open_expired", "Tasks that were let go because nobody had ended them.", (), let_go)
    unmerged = {(): status.unmerged_agents}
    yield _gauge("swarm_unmerged_agents", "Agents with a generation that the bank does not contain.", (), unmerged)
    expired = {(): reading.expired}
    yield _counter("swarm_patterns_expired", "Patterns that left the bank because of their age.", (), expired)
    gates = {("accepted",): tallies.promotions, ("refused",): tallies.refusals}
    yield _counter("swarm_adapter_promotions", "New weights at the gate, by result.", ("result",), gates)
    decided = {(route or OTHER, reason or OTHER): number for (route, reason), number in reading.decided.items()}
    yield _counter(
        "swarm_router_decisions", "Decisions that were kept, by route and why.", ("model", "reason"), decided
    )


def _state(*, fault: str, consuming: bool) -> str:
    return "faulty" if fault else "running" if consuming else "draining"


def _oldest(ages: Sequence[float | None]) -> float:
    return max((age for age in ages if age is not None), default=0.0)


def _gauge(name: str, text: str, labels: Sequence[str], rows: Mapping[_Labels, float]) -> Metric:
    made = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows.items():
        made.add_metric(values, number)
    return made


def _counter(name: str, text: str, labels: Sequence[str], rows: Mapping[_Labels, float]) -> Metric:
    made = CounterMetricFamily(name, text, labels=labels)
    for values, number in rows.items():
        made.add_metric(values, number)
    return made


def _histogram(name: str, text: str, durations: Durations) -> Metric:
    bounds = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
    buckets = list(zip(bounds, map(float, durations.cumulative), strict=True))
    made = HistogramMetricFamily(name, text)
    made.add_metric([], buckets, durations.sum_s)
    return made
