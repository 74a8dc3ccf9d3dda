"""An agent that lives for a session: it begins with what a coordinator knows, and exports what it learned itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from swarm.errors import ShapeError
from swarm.sona.adapter import Adapter
from swarm.sona.background import MICRO_KEEP, CycleReport, Learned, run_cycle
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.export import AgentExport
from swarm.sona.index import ActionHit, Hit, PatternIndex
from swarm.sona.instant import outcome_step
from swarm.sona.lora import LoraPair
from swarm.sona.trajectory import Trajectory, check_trajectory
from swarm.sona.vectors import Vector, check_count, check_direction, check_queries

_MAX_K = 10_000


class EphemeralAgent:
    """Learns from trajectories like an engine, but keeps what it was given apart from what it experienced.

    So an export holds its own outcomes only, and what the coordinator gave it does not come back as new evidence.

    Parameters
    ----------
    agent : its name; one name is one agent, whose exports replace one another
    config : by default the preset "ephemeral"
    patterns : what others know, to be searched, never to be exported
    base : a fused base tier of the shape of `config`; by default it begins as the identity

    >>> agent = EphemeralAgent("scout", SonaConfig(dim=16))
    >>> agent.process_trajectory(np.eye(16)[0], 1.0, action="a", response="do a")
    >>> agent.export_state().outcomes
    1.0
    """

    def __init__(
        self,
        agent: str,
        config: SonaConfig | None = None,
        *,
        patterns: Sequence[Cluster] = (),
        base: Sequence[LoraPair] = (),
        embedder: str = "",
    ) -> None:
        self.agent = agent
        self.config = config or SonaConfig.preset("ephemeral")
        self.embedder = embedder
        self._rng = np.random.default_rng(self.config.seed)
        self.adapter = Adapter.initial(self.config, self._rng)
        if base:
            if [pair.up.shape for pair in base] != [pair.up.shape for pair in self.adapter.base]:
                raise ShapeError(f"base must have the shapes of the configuration, got {[p.up.shape for p in base]}")
            self.adapter.set_base([pair.copy() for pair in base])
        self._given = tuple(patterns)
        self._index = PatternIndex(self.config)
        self._index.replace_all(self._given)
        self._learned = Learned(clusters=(), base=self.adapter.base, ewc=EwcMemory.empty())
        self._buffer: list[Trajectory] = []
        self._gain: float | None = None
        self._sum_quality = 0.0
        self.trajectory_count = 0

    @property
    def avg_quality(self) -> float:
        """Mean quality of its trajectories; 0 before the first."""
        return self._sum_quality / (self.trajectory_count or 1)

    def process_trajectory(self, embedding: object, quality: float, **values: object) -> None:
        """Learn from a task at once, and keep it for the next cycle, which comes by itself when the buffer fills.

        Parameters
        ----------
        embedding : the query, of shape (d,); quality : in [0, 1]
        values : further fields of `Trajectory`: action, response, route, text, latency_ms, cost, steps, at_s

        Raises
        ------
        InputError
            If a value is of another type or out of bounds; nothing was taken.
        """
        trajectory = Trajectory(
            id=f"{self.agent}-{self.trajectory_count}",
            embedding=check_direction(embedding, self.config.dim, "embedding"),
            quality=quality,
            agent=self.agent,
        )
        trajectory = replace(trajectory, **values)  # type: ignore[arg-type]  # check_trajectory checks every value
        trajectory = check_trajectory(trajectory, self.config.dim, self.config.max_trajectory_steps)
        x, action = trajectory.embedding, trajectory.action
        outcome_step(self.adapter, self._index, x, action, trajectory.quality, self.config)
        self._buffer.append(trajectory)
        self.trajectory_count += 1
        self._sum_quality += trajectory.quality
        if len(self._buffer) >= self.config.learn_at_utilisation * self.config.trajectory_capacity:
            self.force_learn()

    def force_learn(self) -> CycleReport:
        """Train the base tier on what is buffered and group it into clusters, however little it is."""
        learned, report = run_cycle(self._learned, self._buffer, self._index, self.config, self._rng, self.agent)
        self._learned, self._buffer = learned, []
        self._index.replace_all((*self._given, *learned.clusters))
        if report.promoted:
            self.adapter.set_base(learned.base)
            self.adapter.decay_micro(MICRO_KEEP)
            self._gain = (self._gain or 0.0) + report.loss_before - report.loss_after
        return report

    def apply_lora(self, x: object) -> Vector:
        """`x` of shape (d,) or (n, d), adapted by both tiers."""
        return self.adapter.apply(check_queries(x, self.config.dim, "x"))

    def rank_actions(self, x: object, k: int = 5) -> list[ActionHit]:
        """The k actions that all patterns vote for, those given and its own, for the adapted query (d,)."""
        query = check_direction(x, self.config.dim, "x")
        return self._index.rank(query, check_count(k, "k", 1, _MAX_K), y=self.adapter.apply(query))

    def find_patterns(self, x: object, k: int = 5) -> list[Hit]:
        """The k patterns nearest to the query `x` (d,) as it is, by similarity and evidence."""
        return self._index.search(check_direction(x, self.config.dim, "x"), check_count(k, "k", 1, _MAX_K))

    def export_state(self) -> AgentExport:
        """What it learned itself, after a last cycle if anything is buffered: call this before it ends."""
        if self._buffer:
            self.force_learn()
        return AgentExport(
            agent=self.agent,
            generation=self.trajectory_count,
            dim=self.config.dim,
            clusters=self._learned.clusters,
            base=tuple(pair.copy() for pair in self.adapter.base),
            micro=self.adapter.micro.copy(),
            gain=self._gain,
            embedder=self.embedder,
        )
