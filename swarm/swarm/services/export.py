"""What an agent of a swarm hands over before it ends, read from what is stored of it."""

from __future__ import annotations

from swarm.services.batch import Batch, read_batch
from swarm.services.consolidate import cycle_rng, learned_from
from swarm.services.turn import at_one_generation, registered
from swarm.services.warm_start import recorded_gain
from swarm.sona.background import Learned
from swarm.sona.export import AgentExport
from swarm.sona.grouping import regroup
from swarm.sona.lora import LoraPair
from swarm.store.agents import AgentState, AgentStore
from swarm.store.outcomes import OutcomeStore
from swarm.store.versions import LogEntry, VersionStore

_AT_ONCE = 2_000


def export_agent(
    agent: str,
    micro: LoraPair,
    embedder: str,
    agents: AgentStore,
    outcomes: OutcomeStore,
    versions: VersionStore,
) -> AgentExport:
    """All that the agent has reported: its clusters, those of outcomes that still wait, and both tiers.

    Its `generation` grows with each outcome and each version, so a later export always replaces an earlier one.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    StaleWriterError
        If it is consolidated again and again while we read.
    """
    config = registered(agent, agents).config

    def read(state: AgentState) -> tuple[AgentState, Learned, Batch, list[LogEntry]]:
        learned = learned_from(agents.clusters(agent), agents.values(agent), config)
        batch = read_batch(_waiting(outcomes, state), config.dim, agents.forgotten(agent))
        return state, learned, batch, versions.log(agent)

    state, learned, batch, log = at_one_generation(agent, agents, read)
    waiting = [trajectory.as_cluster(config.quality_threshold) for trajectory in batch.trajectories]
    return AgentExport(
        agent=agent,
        generation=state.generation + state.processed + batch.entries,
        dim=config.dim,
        clusters=regroup(learned.clusters, waiting, config, cycle_rng(config, state.age)).clusters,
        base=tuple(learned.base),
        micro=micro,
        gain=recorded_gain(log),
        embedder=embedder,
    )


def _waiting(outcomes: OutcomeStore, state: AgentState) -> list[tuple[str, bytes]]:
    entries: list[tuple[str, bytes]] = []
    cursor = state.cursor
    while page := outcomes.read_after(cursor, _AT_ONCE):
        entries += page
        cursor = page[-1][0]
    return entries
