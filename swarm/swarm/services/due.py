"""Whose outcomes are due for consolidation. Apart, so that who only asks loads nothing of the consolidation."""

from __future__ import annotations

from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import Client, clock_s


def due_agents(settings: Settings, client: Client, agents: AgentStore) -> dict[str, float]:
    """Agents with `consolidate_batch` outcomes waiting, or one that waits for `consolidate_delay`; by name, with the
    seconds for which the oldest has waited.
    """
    now_s = clock_s(client)
    states = agents.states(agents.names())
    waits = {name: now_s - accepted_ms / 1000.0 for name, accepted_ms in agents.oldest_pending_ms(states).items()}
    return {
        name: wait_s
        for name, wait_s in waits.items()
        if states[name].pending >= settings.consolidate_batch or wait_s >= settings.consolidate_delay
    }
