"""Consolidation of one agent: from its stream to a committed generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from swarm.errors import DamagedRecordError, NewerRecordError, UnknownIdError
from swarm.services.replica import Replica
from swarm.sona.adapter import Adapter
from swarm.sona.background import CycleReport, Learned, run_cycle
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.trajectory import Trajectory
from swarm.store.agents import AgentState, AgentStore, Generation
from swarm.store.lease import Lease
from swarm.store.outcomes import OutcomeStore
from swarm.wire.records import Weights, decode_trajectory

MAX_OUTCOMES = 2_000
"""Outcomes of one consolidation; what is left makes the agent due again."""
_MAX_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidation:
    """What came of one attempt. `generation` is 0 when nothing was committed, and `status` says why."""

    agent: str
    status: str
    generation: int = 0
    outcomes: int = 0
    dead: int = 0
    promoted: bool = False


def consolidate(
    agent: str,
    agents: AgentStore,
    outcomes: OutcomeStore,
    replica: Callable[[SonaConfig], Replica],
    lease_ttl: float,
) -> Consolidation:
    """Take the agent's lease, learn from what waits behind its cursor, commit.

    Safe to run twice, late, or to be killed anywhere: before the commit nothing has happened, and the commit
    is one transaction.

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
    with lease.held():
        return _consolidate(agent, registration.config, agents, outcomes, replica(registration.config), lease)


def _consolidate(
    agent: str,
    config: SonaConfig,
    agents: AgentStore,
    outcomes: OutcomeStore,
    replica: Replica,
    lease: Lease,
) -> Consolidation:
    state = agents.state(agent)
    entries = outcomes.read_after(state.cursor, MAX_OUTCOMES)
    if not entries:
        return Consolidation(agent=agent, status="idle")
    trajectories, dead, cursor = _decode(entries, config.dim)
    learned = _learned(agent, config, agents)
    replica.refresh()
    after, report = run_cycle(learned, trajectories, replica.index, config, _rng(config, state))
    generation = Generation(
        cursor=cursor,
        processed=len(trajectories) + len(dead),
        removed=sorted({c.id for c in learned.clusters} - {c.id for c in after.clusters}),
        put=_changed(learned.clusters, after.clusters),
        dead=dead,
        weights=Weights(base=after.base, ewc=after.ewc) if report.promoted else None,
        figures=_figures(report),
        keep=config.trajectory_capacity,
    )
    number = agents.commit(agent, lease, state.generation, generation)
    return Consolidation(
        agent=agent,
        status="committed",
        generation=number,
        outcomes=len(trajectories),
        dead=len(dead),
        promoted=report.promoted,
    )


def _decode(entries: Sequence[tuple[str, bytes]], dim: int) -> tuple[list[Trajectory], dict[str, str], str]:
    """Trajectories, why other entries cannot be used, and the last entry of both: a newer one stops the reading."""
    trajectories: list[Trajectory] = []
    dead: dict[str, str] = {}
    cursor = ""
    for stream_id, record in entries:
        try:
            trajectory = decode_trajectory(record)
            if len(trajectory.embedding) != dim:
                raise DamagedRecordError(f"embedding: expected {dim} numbers, got {len(trajectory.embedding)}")
        except NewerRecordError:
            if not cursor:
                raise
            break
        except DamagedRecordError as error:
            dead[stream_id] = str(error)[:_MAX_REASON]
        else:
            trajectories.append(trajectory)
        cursor = stream_id
    return trajectories, dead, cursor


def _learned(agent: str, config: SonaConfig, agents: AgentStore) -> Learned:
    weights = agents.weights(agent)
    if weights is None:
        # Every process starts the agent from the same seed, so all of them have the same random A.
        base = tuple(Adapter.initial(config, np.random.default_rng(config.seed)).base)
        return Learned(clusters=tuple(agents.clusters(agent)), base=base, ewc=EwcMemory.empty())
    return Learned(clusters=tuple(agents.clusters(agent)), base=weights.base, ewc=weights.ewc)


def _rng(config: SonaConfig, state: AgentState) -> np.random.Generator:
    # By generation: a consolidation that is repeated after a crash makes the same draws.
    return np.random.default_rng([config.seed, state.generation])


def _changed(before: Sequence[Cluster], after: Sequence[Cluster]) -> list[Cluster]:
    """Clusters that are new or were rebuilt; one that nothing joined is the same object."""
    known = {cluster.id: cluster for cluster in before}
    return [cluster for cluster in after if known.get(cluster.id) is not cluster]


def _figures(report: CycleReport) -> dict[str, int | float | bool]:
    return {name: getattr(report, name) for name in CycleReport.__dataclass_fields__}
