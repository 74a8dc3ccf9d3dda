"""Consolidation of one agent: from its stream to a committed generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swarm.errors import StaleWriterError, UnknownIdError
from swarm.services.agent_ageing import rules_under
from swarm.services.batch import Batch, read_batch
from swarm.services.history import update_of
from swarm.services.replica import Replica
from swarm.services.route_update import new_routes
from swarm.sona.adapter import Adapter
from swarm.sona.ageing import NO_AGEING, Ageing, AgeingRules
from swarm.sona.background import CycleReport, Learned, run_cycle
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.trajectory import Trajectory
from swarm.store.agents import AgentState, AgentStore, Generation
from swarm.store.commit import Brought
from swarm.store.forgotten import NOTHING_FORGOTTEN, Forgotten
from swarm.store.lease import Lease
from swarm.store.outcomes import OutcomeStore
from swarm.store.reply import stream_position
from swarm.telemetry.spans import TRACEPARENT, MemoryOperation, SpanKind, carried, memory_span
from swarm.wire.memory_records import (
    LearnerRecord,
    decode_learner,
    decode_sample,
    encode_learner,
    encode_sample,
)
from swarm.wire.records import Weights, decode_weights, encode_weights

MAX_OUTCOMES = 2_000
"""Outcomes of one consolidation; what is left makes the agent due again."""
MAX_DEAD = 100
"""So many outcomes that could not be used are named in the log of a consolidation; all of them are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidation:
    """What came of one attempt. `generation` is 0 when nothing was committed, and `status` says why."""

    agent: str
    status: str
    generation: int = 0
    outcomes: int = 0
    dead: int = 0
    promoted: bool = False
    update: str = ""
    """What became of new weights, see `update_of`."""


def consolidate(
    agent: str,
    agents: AgentStore,
    outcomes: OutcomeStore,
    replica: Callable[[SonaConfig], Replica],
    lease_ttl: float,
    rules: AgeingRules = NO_AGEING,
) -> Consolidation:
    """Take the agent's lease, learn from what waits behind its cursor, commit.

    Safe to run twice, late, or to be killed anywhere: before the commit nothing has happened, and the commit
    is one transaction. `rules` are the swarm's; of the agent's own periods the shorter count.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    StaleWriterError
        If another worker took over; nothing was written.
    NewerRecordError
        If the next outcome was written by a newer version; nothing was written.
    """
    registration = agents.registration(agent)
    if registration is None:
        raise UnknownIdError(f"agent {agent!r} is not registered")
    lease = agents.lease(agent, lease_ttl)
    if lease is None:
        return Consolidation(agent=agent, status="busy")
    own = rules_under(registration.policy, rules)
    with lease.held():
        return consolidate_under(lease, agent, registration.config, agents, outcomes, replica(registration.config), own)


def consolidate_under(
    lease: Lease,
    agent: str,
    config: SonaConfig,
    agents: AgentStore,
    outcomes: OutcomeStore,
    replica: Replica,
    rules: AgeingRules = NO_AGEING,
    task: str = "",
) -> Consolidation:
    """As `consolidate`, under a lease that the caller holds, and as `config` says this time.

    `task` is what the agent's task is from here on, see `run_cycle`; "" leaves that to be found.
    """
    state = agents.state(agent)
    entries = outcomes.read_after(state.cursor, MAX_OUTCOMES)
    if not entries:
        return Consolidation(agent=agent, status="idle")
    forgotten = agents.forgotten(agent)
    batch = read_batch(entries, config.dim, forgotten)
    came_from = [one.context.get(TRACEPARENT, "") for one in batch.trajectories]
    consumer = SpanKind.CONSUMER
    with memory_span(MemoryOperation.UPSERT, agents.swarm, agent=agent, kind=consumer, after=came_from) as span:
        ageing = rules.at(batch.at_s)
        done = _learn(agent, config, state, batch, forgotten, agents, replica, lease, ageing, task=task)
        span.set("swarm.stage", "consolidation")
        span.set("swarm.generation", done.generation)
        span.set("swarm.promoted", done.promoted)
        span.set("gen_ai.memory.record.count", done.outcomes)
    return done


def learn_brought(
    agent: str,
    config: SonaConfig,
    trajectories: Sequence[Trajectory],
    brought: Brought,
    agents: AgentStore,
    replica: Replica,
    lease: Lease,
    ageing: Ageing | None = None,
) -> Consolidation:
    """As `consolidate`, of outcomes that are in no stream yet and come with the commit: those of `brought`, in order.

    Raises
    ------
    StaleWriterError
        If the lease was lost, or outcomes wait that are to be consolidated first; nothing was written.
    """
    batch = Batch(trajectories=tuple(trajectories), dead={}, forgotten=(), cursor="")
    state = agents.state(agent)
    if state.pending > 0:
        raise StaleWriterError(f"agent {agent}: {state.pending} outcomes are to be consolidated first")
    return _learn(agent, config, state, batch, NOTHING_FORGOTTEN, agents, replica, lease, ageing, brought)


def _learn(
    agent: str,
    config: SonaConfig,
    state: AgentState,
    batch: Batch,
    forgotten: Forgotten,
    agents: AgentStore,
    replica: Replica,
    lease: Lease,
    ageing: Ageing | None,
    brought: Brought | None = None,
    task: str = "",
) -> Consolidation:
    stored = agents.values(agent)
    learned = learned_from(agents.clusters(agent), stored, config)
    replica.refresh()
    rng = cycle_rng(config, state.age)
    after, report = run_cycle(learned, batch.trajectories, replica.index, config, rng, agent, ageing, task)
    figures = figures_of(report)
    generation = Generation(
        cursor=batch.cursor or state.cursor,
        processed=batch.entries,
        removed=sorted({c.id for c in learned.clusters} - {c.id for c in after.clusters}),
        put=changed_clusters(learned.clusters, after.clusters),
        dead=batch.dead,
        values=new_values(learned, after, batch.trajectories)
        | new_routes(stored["routes"], batch.trajectories, config.dim),
        figures=figures,
        keep=config.trajectory_capacity,
        rewound=len(batch.forgotten),
        settled=[stream_id for stream_id in batch.forgotten if stream_id in forgotten.marks],
        is_empty=not batch.trajectories,
        update=update_of(figures),
        origin=carried() | _log_of(learned, batch),
        brought=brought,
    )
    number = agents.commit(agent, lease, state.generation, generation)
    return Consolidation(
        agent=agent,
        status="committed",
        generation=number,
        outcomes=len(batch.trajectories),
        dead=len(batch.dead),
        promoted=report.promoted,
        update=update_of(figures),
    )


def _log_of(before: Learned, batch: Batch) -> dict[str, str]:
    """What the log says beside the figures; events are told from it."""
    found = {"believed": str(before.standing.verdict)}
    if batch.dead:
        found["dead"] = " ".join(sorted(batch.dead, key=stream_position)[:MAX_DEAD])
    return found


def learned_from(clusters: Sequence[Cluster], values: Mapping[str, bytes | None], config: SonaConfig) -> Learned:
    """What an agent knows, from what is stored of it: its clusters, and the records that `new_values` made."""
    weights, learner, sample = (values.get(name) for name in ("weights", "learner", "sample"))
    if weights is None:
        # Every process starts the agent from the same seed, so all of them have the same random A.
        base, ewc = tuple(Adapter.initial(config, np.random.default_rng(config.seed)).base), EwcMemory.empty()
    else:
        stored = decode_weights(weights)
        base, ewc = stored.base, stored.ewc
    learned = Learned(clusters=tuple(clusters), base=base, ewc=ewc)
    if sample is not None:
        learned = replace(learned, reservoir=decode_sample(sample))
    if learner is not None:
        record = decode_learner(learner)
        learned = replace(learned, task=record.task, standing=record.standing, credit=record.credit)
    return learned


def new_values(before: Learned, after: Learned, trajectories: Sequence[Trajectory]) -> dict[str, bytes]:
    """The records that a generation stores beside its clusters; one that is not here stays as it was."""
    values: dict[str, bytes] = {}
    if after.base is not before.base or after.ewc is not before.ewc:
        values["weights"] = encode_weights(Weights(base=after.base, ewc=after.ewc))
    if trajectories and after.task is not None:
        values["learner"] = encode_learner(LearnerRecord(task=after.task, standing=after.standing, credit=after.credit))
    if after.reservoir.ids != before.reservoir.ids:
        values["sample"] = encode_sample(after.reservoir)
    return values


def cycle_rng(config: SonaConfig, age: int) -> np.random.Generator:
    """The draws of a consolidation on top of content that comes from `age` consolidations.

    One that is repeated, after a crash or after a rollback, makes the same draws.
    """
    return np.random.default_rng([config.seed, age])


def changed_clusters(before: Sequence[Cluster], after: Sequence[Cluster]) -> list[Cluster]:
    """Clusters that are new or were rebuilt; one that nothing joined is the same object."""
    known = {cluster.id: cluster for cluster in before}
    return [cluster for cluster in after if known.get(cluster.id) is not cluster]


def figures_of(report: CycleReport) -> dict[str, int | float | bool | str]:
    """The figures of a cycle, for the log."""
    return {name: getattr(report, name) for name in CycleReport.__dataclass_fields__}
