"""What can be said of an agent, in figures: its configuration and its statistics, all from what is stored."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from swarm.services.history import Version
from swarm.services.swarm import Swarm
from swarm.wire.agent_file import PortableAgent


def config_of(portable: PortableAgent) -> dict[str, Any]:
    """Who the agent is, and how it learns."""
    return {
        "agent": portable.agent,
        "swarm": portable.swarm,
        "role": portable.registration.role,
        "embedder": asdict(portable.embedder),
        "config": portable.registration.config.as_dict(),
    }


def stats_of(portable: PortableAgent, swarm: Swarm) -> dict[str, Any]:
    """What the agent has learned, and how it did on held-out outcomes, version by version."""
    state = swarm.agents.state(portable.agent)
    clusters = portable.clusters
    n = sum(cluster.n for cluster in clusters)
    history = swarm.history(portable.agent)
    return {
        "agent": portable.agent,
        "generation": portable.generation,
        "at_s": portable.at_s,
        "outcomes": portable.outcomes,
        "waiting": state.pending,
        "dead": state.dead,
        "promotions": state.promotions,
        "refusals": state.refusals,
        "verdict": state.verdict.value,
        "patterns": len(clusters),
        "patterns_of_successes": sum(cluster.positive for cluster in clusters),
        "mean_quality": sum(cluster.sum_quality for cluster in clusters) / n if n else None,
        "held_out": held_out_of(history),
    }


def held_out_of(history: list[Version]) -> list[dict[str, Any]]:
    """Losses of held-out outcomes before and after each training that the log still holds, in nats, oldest first."""
    return [
        {
            "version": version.version,
            "held_out": version.figures.get("held_out", 0),
            "loss_frozen": version.figures.get("loss_frozen"),
            "loss_before": version.loss_before,
            "loss_after": version.loss_after,
            "update": version.update,
        }
        for version in reversed(history)
        if version.loss_before is not None
    ]
