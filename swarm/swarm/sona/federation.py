"""The federated coordinator: what many agents exported, together, and what a new agent begins with.

Its state is the set of the newest exports, one per agent; everything else is derived from it. So aggregating is
idempotent by (agent, generation), a newer export replaces the older one's part, and the order does not matter.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from swarm.errors import CapacityError, EmbedderMismatchError, InputError, ShapeError
from swarm.sona.adapter import bend
from swarm.sona.bank import merge_near
from swarm.sona.clusters import Cluster, family_of
from swarm.sona.config import SonaConfig
from swarm.sona.ephemeral import EphemeralAgent
from swarm.sona.export import AgentExport, check_export
from swarm.sona.fusion import Fusion, fuse_adapters, fusion_weights
from swarm.sona.index import ActionHit, Hit, PatternIndex
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Vector, check_count, check_direction, check_number, check_queries

MAX_AGENTS = 10_000
_MAX_K = 100_000


class AggregationStatus(StrEnum):
    """What became of an export."""

    ACCEPTED = "accepted"
    """The first one of its agent."""
    REPLACED = "replaced"
    """It took the place of an older one of its agent."""
    REPEATED = "repeated"
    """This generation of the agent is here already; nothing changed."""
    STALE = "stale"
    """A newer generation of the agent is here; nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregationResult:
    """What came of one export. Accepted and rejected are outcomes: successes below the threshold are left out."""

    agent: str
    generation: int
    status: AggregationStatus
    trajectories_accepted: float
    trajectories_rejected: float
    total_agents: int
    total_trajectories: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One agent's part: its newest generation, its outcomes that count, their mean quality."""

    generation: int
    trajectories: float
    mean_quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorStats:
    """Counts as they are now; `str` gives JSON. `lost` as in `Fusion`."""

    coordinator: str
    agents: int
    trajectories: float
    patterns: int
    mean_quality: float
    quality_threshold: float
    lost: float

    def __str__(self) -> str:
        return json.dumps(asdict(self))


class FederatedCoordinator:
    """Aggregates exports; answers patterns, a fused adapter, and new agents that begin with both.

    Parameters
    ----------
    name : of the coordinator
    config : by default the preset "coordinator"
    embedder : whose vectors it holds; "" takes that of the first export that names one
    """

    def __init__(self, name: str = "coordinator", config: SonaConfig | None = None, *, embedder: str = "") -> None:
        self.name = name
        self.config = config or SonaConfig.preset("coordinator")
        self.embedder = embedder
        self.quality_threshold = self.config.quality_threshold
        self._exports: dict[str, AgentExport] = {}
        self._index: PatternIndex | None = None
        self._fusion: Fusion | None = None

    def set_quality_threshold(self, threshold: float) -> None:
        """Leave out patterns of successes with a lower mean quality, in [0, 1], of all exports, earlier ones too."""
        self.quality_threshold = check_number(threshold, "threshold", 0.0, 1.0)
        self._changed()

    def aggregate(self, export: AgentExport) -> AggregationResult:
        """Take an agent's export.

        Raises
        ------
        InputError
            If a value of it is out of bounds, or it claims outcomes of others.
        EmbedderMismatchError, ShapeError
            If its vectors are of another embedder or dimension.
        CapacityError
            If there are 10,000 agents already. In every case nothing was taken.
        """
        check_export(export)
        if export.dim != self.config.dim:
            raise ShapeError(f"export of {export.agent}: dim must be {self.config.dim}, got {export.dim}")
        if export.embedder and self.embedder and export.embedder != self.embedder:
            raise EmbedderMismatchError(
                f"export of {export.agent} is of embedder {export.embedder!r:.80}, not {self.embedder!r:.80}"
            )
        known = self._exports.get(export.agent)
        if known is None and len(self._exports) >= MAX_AGENTS:
            raise CapacityError(f"coordinator {self.name}: {MAX_AGENTS} agents are here already")
        status = _status(known, export)
        if status in (AggregationStatus.ACCEPTED, AggregationStatus.REPLACED):
            self._exports[export.agent] = export
            self.embedder = self.embedder or export.embedder
            self._changed()
        accepted = sum(cluster.n for cluster in self._accepted(export))
        return AggregationResult(
            agent=export.agent,
            generation=export.generation,
            status=status,
            trajectories_accepted=accepted,
            trajectories_rejected=export.outcomes - accepted,
            total_agents=len(self._exports),
            total_trajectories=sum(part.trajectories for part in self.contributions().values()),
        )

    def contributions(self) -> dict[str, Contribution]:
        """Each agent's part, by name."""
        return {name: _contribution(self._exports[name], self._accepted(self._exports[name])) for name in self.agents()}

    def agents(self) -> list[str]:
        """Names of the agents, sorted."""
        return sorted(self._exports)

    def get_all_patterns(self) -> tuple[Cluster, ...]:
        """Patterns of all agents: what they found out near one another, about one action, is one of them."""
        return self._patterns().clusters()

    def get_initial_patterns(self, k: int) -> tuple[Cluster, ...]:
        """The k patterns with most evidence, of successes and failures: what a small agent begins with."""
        check_count(k, "k", 0, _MAX_K)
        return tuple(sorted(self.get_all_patterns(), key=lambda pattern: (-pattern.n, pattern.id))[:k])

    def find_patterns(self, x: object, k: int = 5) -> list[Hit]:
        """The k patterns nearest to the query `x` (d,) as it is, by similarity and evidence."""
        return self._patterns().search(check_direction(x, self.config.dim, "x"), check_count(k, "k", 1, _MAX_K))

    def rank_actions(self, x: object, k: int = 5) -> list[ActionHit]:
        """The k actions that the patterns vote for, for the query `x` (d,) as the fused adapter bends it."""
        query = check_direction(x, self.config.dim, "x")
        return self._patterns().rank(query, check_count(k, "k", 1, _MAX_K), y=bend(query, self._trained()))

    def apply_lora(self, x: object) -> Vector:
        """`x` of shape (d,) or (n, d), adapted by the fused adapter."""
        return bend(check_queries(x, self.config.dim, "x"), self._trained())

    def fuse(self, config: SonaConfig) -> Fusion | None:
        """The average of what the agents' adapters do, in the shape of the base tier of `config`.

        Both tiers of an agent count, by its accepted outcomes and what its gate measured. None if nobody has trained.
        """
        trained = [self._exports[name] for name in self.agents()]
        trained = [export for export in trained if not all(pair.is_untrained for pair in export.pairs)]
        outcomes = [sum(cluster.n for cluster in self._accepted(export)) for export in trained]
        weights = fusion_weights(outcomes, [export.gain for export in trained])
        if not sum(weights) > 0.0 or config.base_scale == 0.0:
            return None
        return fuse_adapters(
            [(weight, export.pairs) for weight, export in zip(weights, trained, strict=True)],
            config.base_lora_rank,
            np.random.default_rng(config.seed),
            layers=config.base_lora_layers,
            scale=config.base_scale,
        )

    def create_agent(self, agent: str, config: SonaConfig | None = None, *, k: int | None = None) -> EphemeralAgent:
        """A new agent that begins with the fused adapter and the k best known patterns, by default all of them.

        Raises
        ------
        InputError
            If an agent of that name has exported already: a name is one agent, which counts its outcomes from zero.
        """
        if agent in self._exports:
            raise InputError(f"agent {agent!r:.80} has exported already: a new agent needs a name of its own")
        wanted = config or SonaConfig.preset("ephemeral", dim=self.config.dim, seed=self.config.seed)
        if wanted.dim != self.config.dim:
            raise ShapeError(f"config.dim must be {self.config.dim}, got {wanted.dim}")
        fusion = self.fuse(wanted)
        return EphemeralAgent(
            agent,
            wanted,
            patterns=self.get_all_patterns() if k is None else self.get_initial_patterns(k),
            base=() if fusion is None else fusion.pairs,
            embedder=self.embedder,
        )

    def get_stats(self) -> CoordinatorStats:
        """Counts as they are now."""
        parts = self.contributions().values()
        trajectories = sum(part.trajectories for part in parts)
        fusion = self._fused()
        return CoordinatorStats(
            coordinator=self.name,
            agents=len(self._exports),
            trajectories=trajectories,
            patterns=len(self._patterns()),
            mean_quality=sum(part.trajectories * part.mean_quality for part in parts) / (trajectories or 1.0),
            quality_threshold=self.quality_threshold,
            lost=0.0 if fusion is None else fusion.lost,
        )

    # Inner parts

    def _changed(self) -> None:
        self._index, self._fusion = None, None

    def _accepted(self, export: AgentExport) -> list[Cluster]:
        """Failures all: what to avoid does not hang on a threshold of successes."""
        return [c for c in export.clusters if not c.positive or c.mean_quality >= self.quality_threshold]

    def _patterns(self) -> PatternIndex:
        if self._index is None:
            families: dict[tuple[str, bool], list[Cluster]] = defaultdict(list)
            for name in self.agents():
                for cluster in self._accepted(self._exports[name]):
                    families[family_of(cluster)].append(cluster)
            self._index = PatternIndex(self.config)
            self._index.replace_all(
                pattern
                for _, family in sorted(families.items())
                for pattern in merge_near(family, self.config.join_similarity)
            )
        return self._index

    def _fused(self) -> Fusion | None:
        if self._fusion is None:
            self._fusion = self.fuse(self.config)
        return self._fusion

    def _trained(self) -> tuple[LoraPair, ...]:
        fusion = self._fused()
        return () if fusion is None else tuple(pair for pair in fusion.pairs if not pair.is_untrained)


def _status(known: AgentExport | None, export: AgentExport) -> AggregationStatus:
    if known is None:
        return AggregationStatus.ACCEPTED
    if export.generation == known.generation:
        return AggregationStatus.REPEATED
    return AggregationStatus.REPLACED if export.generation > known.generation else AggregationStatus.STALE


def _contribution(export: AgentExport, accepted: list[Cluster]) -> Contribution:
    n = sum(cluster.n for cluster in accepted)
    quality = sum(cluster.sum_quality for cluster in accepted) / (n or 1.0)
    return Contribution(generation=export.generation, trajectories=n, mean_quality=quality)
