"""Whose outcomes are due for consolidation. Apart, so that who only asks loads nothing of the consolidation."""

from __future__ import annotations

from collections.abc import Mapping

from swarm.settings import Settings
from swarm.store.agents import AgentLook


def due_agents(settings: Settings, looks: Mapping[str, AgentLook], now_s: float) -> dict[str, float]:
    """Agents with `consolidate_batch` outcomes waiting, or one that waits for `consolidate_delay`; by name, with the
    seconds for which the oldest has waited.
    """
    waits = {name: now_s - look.oldest_ms / 1000.0 for name, look in looks.items() if look.oldest_ms is not None}
    return {
        name: wait_s
        for name, wait_s in waits.items()
        if looks[name].state.pending >= settings.consolidate_batch or wait_s >= settings.consolidate_delay
    }
