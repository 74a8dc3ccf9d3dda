"""A warm start: the first base tier of a new agent is fused from those that others have trained.

It is committed as the agent's first version, of kind "warm start", with whose weights went in and how much each counts.
Nothing else is taken over: the clusters are in the shared bank anyway, and the importance of single weights (EWC) says
nothing about fused factors. What the agent then learns must win on its own held-out outcomes, as always.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from swarm.services.turn import registered
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.fusion import Fusion, fuse_adapters, fusion_weights
from swarm.store.agents import AgentStore
from swarm.store.commit import Commit, Committer
from swarm.store.versions import LogEntry, VersionStore
from swarm.wire.codec import encode
from swarm.wire.records import Weights, encode_weights

WARM_START = "warm start"
"""The kind of such a generation in the log."""
MAX_SOURCES = 32
"""So many agents at most are read, those with most outcomes: each one's weights are some hundred kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What came of it. `sources` are the agents that went in, with their shares, which sum to 1.

    `generation` is 0, and there are no sources, where nothing was done: nobody has trained weights, or the agent is
    not new. `lost` is what the truncation to its rank left out, see `Fusion`.
    """

    agent: str
    generation: int = 0
    sources: Mapping[str, float]
    lost: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def warm_start(
    agent: str,
    others: Collection[str],
    agents: AgentStore,
    versions: VersionStore,
    committer: Committer,
    lease_ttl: float,
) -> WarmStart:
    """Give `agent` the average of what the base tiers of the `others` do, if it has no generation yet.

    Each counts by its outcomes, times what its gate measured on held-out ones when its weights were last promoted.

    Raises
    ------
    UnknownIdError
        If `agent` is not registered.
    StaleWriterError
        If another worker took over; nothing was written.
    """
    config = registered(agent, agents).config
    nothing = WarmStart(agent=agent, sources={})
    if config.base_scale == 0.0:
        # Its base tier is switched off.
        return nothing
    lease = agents.lease(agent, lease_ttl)
    if lease is None:
        # Somebody consolidates it: it is not new any more.
        return nothing
    with lease.held():
        if agents.state(agent).generation > 0:
            return nothing
        parts = _contributions([name for name in others if name != agent], agents, versions)
        if not parts:
            return nothing
        fusion = fuse_adapters(
            [(count, weights.base) for count, weights in parts.values()],
            config.base_lora_rank,
            np.random.default_rng(config.seed),
            layers=config.base_lora_layers,
            scale=config.base_scale,
        )
        total = math.fsum(count for count, _ in parts.values())
        shares = {name: count / total for name, (count, _) in parts.items()}
        number = committer.write(agent, lease, 0, _first_version(fusion, shares, config))
    return WarmStart(agent=agent, generation=number, sources=shares, lost=fusion.lost)


def _contributions(
    names: Collection[str], agents: AgentStore, versions: VersionStore
) -> dict[str, tuple[float, Weights]]:
    """How much each agent with weights of its own counts, and those weights."""
    states = {name: state for name, state in agents.states(names).items() if state.weights_generation > 0}
    chosen = sorted(states, key=lambda name: (-states[name].consolidated, name))[:MAX_SOURCES]
    logs = {name: versions.log(name) for name in chosen}
    own = [name for name in chosen if not _is_inherited(logs[name], states[name].weights_generation)]
    outcomes = [float(states[name].consolidated) for name in own]
    counts = fusion_weights(outcomes, [recorded_gain(logs[name]) for name in own])
    found = {name: (count, agents.weights(name)) for name, count in zip(own, counts, strict=True) if count > 0.0}
    return {name: (count, weights) for name, (count, weights) in found.items() if weights is not None}


def _is_inherited(log: Sequence[LogEntry], weights_generation: int) -> bool:
    """Whether the weights are still those of a warm start: then they are others', and would count twice."""
    return any(entry.generation == weights_generation and entry.kind == WARM_START for entry in log)


def recorded_gain(log: Sequence[LogEntry]) -> float | None:
    """What the gate measured over all promotions that the log still holds, in nats; None if it holds none."""
    gains = [e.figures["loss_before"] - e.figures["loss_after"] for e in log if e.figures.get("promoted")]
    return math.fsum(gains) if gains else None


def _first_version(fusion: Fusion, shares: Mapping[str, float], config: SonaConfig) -> Commit:
    weights = Weights(base=fusion.pairs, ewc=EwcMemory.empty())
    return Commit(
        cursor="0-0",
        values={"weights": encode_weights(weights)},
        figures=encode("figures", {"sources": dict(shares), "lost": fusion.lost}),
        keep=config.trajectory_capacity,
        # It is no consolidation: the first one still makes the draws of a first one.
        newly_skipped=1,
        origin={"kind": WARM_START, "parent": "0"},
    )
