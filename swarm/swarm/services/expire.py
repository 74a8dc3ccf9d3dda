"""What has expired goes from agents that have no outcomes to consolidate, too."""

from __future__ import annotations

from contextlib import suppress

from swarm.errors import StaleWriterError
from swarm.sona.ageing import AgeingRules
from swarm.store.agents import AgentStore, Generation


def drop_expired(agent: str, agents: AgentStore, rules: AgeingRules, lease_ttl: float, now_s: float) -> int:
    """Commit a generation of an agent without its clusters that have expired; how many went.

    0 if there are none, the agent is gone, or others have it: then its next cycle does the same.
    """
    registration, ageing = agents.registration(agent), rules.at(now_s)
    if registration is None or ageing is None:
        return 0
    lease = agents.lease(agent, lease_ttl)
    if lease is None:
        return 0
    with lease.held(), suppress(StaleWriterError):
        state, clusters = agents.state(agent), agents.clusters(agent)
        gone = sorted({cluster.id for cluster in clusters} - {cluster.id for cluster in ageing.alive(clusters)})
        if gone:
            generation = Generation(
                cursor=state.cursor,
                processed=0,
                removed=gone,
                put=(),
                dead={},
                values={},
                figures={"clusters": len(clusters) - len(gone), "expired": len(gone)},
                keep=registration.config.trajectory_capacity,
                is_empty=True,
            )
            agents.commit(agent, lease, state.generation, generation)
            return len(gone)
    return 0
