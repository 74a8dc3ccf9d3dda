"""What has expired goes from agents that have no outcomes to consolidate, too: clusters, and tasks nobody ends."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from swarm.errors import StaleWriterError
from swarm.services.agent_ageing import rules_under
from swarm.sona.ageing import AgeingRules
from swarm.store.agents import AgentLook, AgentStore, Generation

EXPIRY_S = 3_600.0
"""The open tasks of an agent are looked through so often at most."""
_AT_ONCE = 100
"""Nudges of one sweep: when a worker starts, all agents are due."""


class OpenTasks:
    """Whose open tasks are to be looked through: those who have any, once in `EXPIRY_S`, as far as this process knows.

    A swarm in which nothing is open costs nothing, because a look says how many are.
    """

    def __init__(self, open_ttl: float) -> None:
        self.every_s = min(EXPIRY_S, open_ttl)
        self._seen: dict[str, float] = {}

    def due(self, looks: Mapping[str, AgentLook], now_s: float) -> list[str]:
        """The agents whose turn it is at `now_s`, by any clock that only grows; they are seen by that."""
        self._seen = {name: at_s for name, at_s in self._seen.items() if now_s < at_s + self.every_s}
        due = [name for name, look in looks.items() if look.open and name not in self._seen][:_AT_ONCE]
        self._seen |= dict.fromkeys(due, now_s)
        return due


def drop_expired(agent: str, agents: AgentStore, rules: AgeingRules, lease_ttl: float, now_s: float) -> int:
    """Commit a generation of an agent without its clusters that have expired; how many went.

    0 if there are none, the agent is gone, or others have it: then its next cycle does the same.
    """
    registration = agents.registration(agent)
    if registration is None:
        return 0
    ageing = rules_under(registration.policy, rules).at(now_s)
    if ageing is None:
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
