"""What an agent hands over before it ends: its patterns, both tiers of its adapter, and what they are worth."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from swarm.errors import BoundsError, InputError, ShapeError, shown
from swarm.sona.clusters import Cluster, check_cluster
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import check_count, check_number, check_text

MAX_OUTCOMES = 2**53
MAX_CLUSTERS = 20_000
MAX_LAYERS = 8
MAX_GAIN = 1e6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
"""What an agent may be called in a swarm too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentExport:
    """The state of one agent, to be aggregated elsewhere.

    `generation` grows with what the agent has seen, so that a later export of it has a higher one and replaces the
    earlier; `clusters` hold this agent's outcomes alone. `gain` is by how much its gate found its base tier better on
    held-out outcomes, in nats, None if it never judged one. `embedder` names whose vectors these are, "" if unknown.
    """

    agent: str
    generation: int
    dim: int
    clusters: tuple[Cluster, ...]
    base: tuple[LoraPair, ...]
    micro: LoraPair
    gain: float | None = None
    embedder: str = ""

    @property
    def outcomes(self) -> float:
        """Outcomes that its clusters hold."""
        return sum(cluster.n for cluster in self.clusters)

    @property
    def mean_quality(self) -> float:
        """Mean quality of these outcomes; 0 without any."""
        return sum(cluster.sum_quality for cluster in self.clusters) / (self.outcomes or 1.0)

    @property
    def pairs(self) -> tuple[LoraPair, ...]:
        """Both tiers: all read the same query, and their sum is what the agent has learned."""
        return (*self.base, self.micro)


def check_export(export: AgentExport) -> AgentExport:
    """The export, if every value of it is of its type and bounds: it came from a file or another host.

    Raises
    ------
    InputError
        If one is not, or its clusters claim outcomes of other agents, which would then count twice.
    """
    if not isinstance(export, AgentExport):
        raise InputError(f"export must be an AgentExport, got {type(export).__name__}")
    if not isinstance(export.agent, str) or not _NAME.fullmatch(export.agent):
        raise InputError(f"agent must be 1-63 letters, digits, '_', '.' or '-', got {shown(export.agent)}")
    check_count(export.generation, "generation", 0, MAX_OUTCOMES)
    dim = check_count(export.dim, "dim", 1, 65_536)
    check_text(export.embedder, "embedder")
    if export.gain is not None:
        check_number(export.gain, "gain", -MAX_GAIN, MAX_GAIN)
    if len(export.clusters) > MAX_CLUSTERS:
        raise BoundsError(f"clusters must be at most {MAX_CLUSTERS}, got {len(export.clusters)}")
    if not 1 <= len(export.base) <= MAX_LAYERS:
        raise BoundsError(f"base must have 1..{MAX_LAYERS} pairs, got {len(export.base)}")
    for pair in export.pairs:
        if pair.down.shape[1] != dim:
            raise ShapeError(f"factors must have shape (r, {dim}), got {pair.down.shape}")
        if not (np.isfinite(pair.down).all() and np.isfinite(pair.up).all()):
            raise BoundsError(f"the weights of {export.agent} must be finite")
        check_number(pair.scale, "scale", -1e6, 1e6)
    for cluster in export.clusters:
        _check_own(check_cluster(cluster), export.agent, dim)
    if len({cluster.id for cluster in export.clusters}) < len(export.clusters):
        raise InputError(f"clusters of {export.agent} must have ids of their own")
    return export


def _check_own(cluster: Cluster, agent: str, dim: int) -> None:
    if cluster.sum_embedding.shape != (dim,):
        raise ShapeError(f"sum_embedding must have shape ({dim},), got {cluster.sum_embedding.shape}")
    if set(cluster.agents) != {agent}:
        others = ", ".join(sorted(f"{name!s:.40}" for name in cluster.agents))
        raise InputError(f"clusters must be of {agent} alone, one is of {others or 'nobody'}")
