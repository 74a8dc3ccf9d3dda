"""`SonaEngine`: the whole learning core of one agent, usable alone.

Loop A learns from each ended trajectory at once (micro tier); loop B, in the background, trains the base tier
and regroups the clusters; `tick` decides when loop B is due. The engine reads no clock: callers pass `now_s`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from swarm.errors import UnknownIdError, shown
from swarm.sona.adapter import Adapter, bend
from swarm.sona.background import MICRO_KEEP, CycleReport, Learned, run_cycle
from swarm.sona.bank import ReasoningBank
from swarm.sona.boundary import TaskShift
from swarm.sona.clusters import MAX_TIME_S
from swarm.sona.config import SonaConfig
from swarm.sona.credit import CreditSums
from swarm.sona.ewc import EwcMemory
from swarm.sona.grouping import regroup
from swarm.sona.index import ActionHit, Hit
from swarm.sona.instant import gradient_step, outcome_step
from swarm.sona.recorder import TrajectoryRecorder
from swarm.sona.reservoir import Reservoir
from swarm.sona.signals import Baseline, LearningSignal, step_gradient
from swarm.sona.standing import Standing, Verdict
from swarm.sona.trajectory import Trajectory
from swarm.sona.variants import VariantScore
from swarm.sona.vectors import (
    Vector,
    check_count,
    check_direction,
    check_number,
    check_queries,
    check_vector,
)

_ARRAY = np.ndarray
_FLOAT32 = np.dtype(np.float32)
_MAX_K = 10_000
_RECENT = 1024
"""So many ended trajectories can still be named by a learning signal, and no more than may wait to be learned: on a
small machine they would weigh more than all that was learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """Counts of one engine; `str` gives JSON."""

    trajectories_recorded: int
    trajectories_buffered: int
    trajectories_open: int
    trajectory_utilisation: float
    patterns: int
    instant_updates: int
    background_cycles: int
    promotions: int
    ewc_tasks: int
    baseline: float
    enabled: bool

    def __str__(self) -> str:
        return json.dumps(asdict(self))


class SonaEngine(TrajectoryRecorder):
    """Trajectories in, adapted queries and patterns out.

    >>> import numpy as np
    >>> engine = SonaEngine(16)
    >>> x = np.eye(16, dtype=np.float32)[0]
    >>> bool((engine.apply_lora(x) == x).all())
    True
    >>> trajectory_id = engine.begin_trajectory(x)
    >>> engine.add_step(trajectory_id, np.eye(16)[1], None, 0.9)
    >>> engine.end_trajectory(trajectory_id, 0.9)
    >>> bool(engine.apply_lora(x)[1] > 0)
    True
    """

    def __init__(self, config: SonaConfig | int = 256, *, agent: str = "self") -> None:
        # Outcomes of `agent`, all that are recorded here, train the adapter; those of others that are submitted,
        # such as seeds, only found patterns.
        super().__init__(config if isinstance(config, SonaConfig) else SonaConfig(dim=config), agent)
        self._rng = np.random.default_rng(self.config.seed)
        self.adapter = Adapter.initial(self.config, self._rng)
        self.bank = ReasoningBank(self.config)
        self.ewc = EwcMemory.empty()
        self.reservoir = Reservoir.empty(self.config.dim)
        self.task = TaskShift.beginning(self.config.dim)
        self.standing = Standing()
        self.credit = CreditSums()
        self.baseline = Baseline()
        self._recent: deque[Trajectory] = deque(maxlen=min(_RECENT, self.config.trajectory_capacity))
        self._enabled = True
        self.last_cycle_s: float | None = None
        self.instant_updates = 0
        self.background_cycles = 0
        self.promotions = 0

    # Adaptation

    def apply_micro_lora(self, x: object) -> Vector:
        """`x` of shape (d,) or (n, d), adapted by the micro tier; same shape, same lengths, a new array."""
        return bend(self._checked(x), self.adapter.trained_micro if self._enabled else ())

    def apply_base_lora(self, layer: int, x: object) -> Vector:
        """`x` adapted by one layer of the base tier."""
        pairs = self.adapter.trained_layer(layer)
        return bend(self._checked(x), pairs if self._enabled else ())

    def apply_lora(self, x: object) -> Vector:
        """`x` adapted by both tiers."""
        return bend(self._checked(x), self.adapter.trained if self._enabled else ())

    def micro_lora_delta(self, x: object) -> Vector:
        """What `apply_micro_lora` adds to `x`."""
        return self.apply_micro_lora(x) - np.asarray(x, dtype=np.float32)

    def base_lora_delta(self, layer: int, x: object) -> Vector:
        """What `apply_base_lora` adds to `x`."""
        return self.apply_base_lora(layer, x) - np.asarray(x, dtype=np.float32)

    def lora_delta(self, x: object) -> Vector:
        """What `apply_lora` adds to `x`."""
        return self.apply_lora(x) - np.asarray(x, dtype=np.float32)

    # Patterns

    def find_patterns(self, x: object, k: int = 5) -> list[Hit]:
        """The k patterns nearest to the query `x` (d,) as it is, by similarity and evidence.

        To search with what was learned, pass `apply_lora(x)`.
        """
        return self.bank.find(check_direction(x, self.config.dim, "x"), check_count(k, "k", 1, _MAX_K))

    query_patterns = find_patterns

    def recall(self, x: object, k: int = 5) -> list[Hit]:
        """The k patterns whose tasks were most like `x` (d,) in what matters; see `sona.recall`."""
        return self.bank.recall(check_direction(x, self.config.dim, "x"), check_count(k, "k", 1, _MAX_K))

    def rank_actions(self, x: object, k: int = 5) -> list[ActionHit]:
        """The k actions that past outcomes near the adapted query speak for, best first."""
        checked = check_count(k, "k", 1, _MAX_K)
        query = check_direction(x, self.config.dim, "x")
        return self.bank.rank(query, checked, y=self.apply_lora(query))

    def predict_variant_scores(self, x: object, k: int = 10) -> list[VariantScore]:
        """Mean quality and evidence of every route among the k patterns nearest to `x`."""
        checked = check_count(k, "k", 1, _MAX_K)
        n: dict[str, float] = {}
        quality: dict[str, float] = {}
        for hit in self.bank.index.nearest(check_direction(x, self.config.dim, "x"), checked):
            for name, route in hit.cluster.routes.items():
                n[name] = n.get(name, 0.0) + route.n
                quality[name] = quality.get(name, 0.0) + route.sum_quality
        return [VariantScore(name=name, mean=quality[name] / n[name], n=n[name]) for name in sorted(n)]

    def consolidate_patterns(self) -> int:
        """Merge near-duplicate patterns; how many went."""
        return self.bank.merge_similar(self.config.join_similarity)

    # Learning

    def learn_from_feedback(self, signal: LearningSignal) -> None:
        """Learn from a signal: its gradient, or its reward for a trajectory that ended.

        Raises
        ------
        UnknownIdError
            If the signal names no trajectory that is remembered.
        """
        if not self._enabled:
            return
        self.run_instant_cycle()
        trajectory = None
        if signal.trajectory_id is not None or signal.gradient is None:
            trajectory = self._recalled(signal.trajectory_id)
        if signal.gradient is None:
            assert trajectory is not None
            # The word is on the whole trajectory: its steps do not keep the rewards that they had.
            self._instant(trajectory, signal.reward, signal.reward)
            return
        gradient = check_vector(signal.gradient, self.config.dim, "gradient") * np.float32(signal.importance)
        x = self._recalled(None).embedding if trajectory is None else trajectory.embedding
        self.instant_updates += gradient_step(self.adapter, x, gradient, self.config)

    def run_instant_cycle(self) -> int:
        """Loop A: one micro step for each trajectory that ended since; how many were learned."""
        waiting, self._unlearned = self._unlearned, 0
        if not waiting or not self._enabled:
            return 0
        for trajectory in self._newest(waiting):
            self._instant(trajectory, trajectory.quality)
            self.baseline.observe(trajectory.quality)
        return waiting

    flush = run_instant_cycle

    def run_background_cycle(self, now_s: float | None = None) -> CycleReport:
        """Loop B: everything in the buffer goes into the base tier and the clusters, however little it is.

        `now_s`, if given, is when `tick` counts the interval from. Nothing happens while the engine is off.
        """
        if now_s is not None:
            now_s = check_number(now_s, "now_s", 0.0, MAX_TIME_S)
        if not self._enabled:
            return CycleReport(clusters=len(self.bank))
        self.run_instant_cycle()
        trajectories = self.buffered()
        own = [t for t in trajectories if t.agent == self.agent]
        known = self.bank.parts
        parts = dict(known)
        for name in sorted({t.agent for t in trajectories} - {self.agent}):
            new = [t.as_cluster(self.config.quality_threshold) for t in trajectories if t.agent == name]
            parts[name] = regroup(self.bank.part(name), new, self.config, self._rng).clusters
        if len(own) < len(trajectories):
            self.bank.replace(parts, self.bank.silent)
        learned = Learned(
            clusters=self.bank.part(self.agent),
            base=self.adapter.base,
            ewc=self.ewc,
            reservoir=self.reservoir,
            task=self.task,
            standing=self.standing,
            credit=self.credit,
        )
        try:
            learned, report = run_cycle(learned, own, self.bank.index, self.config, self._rng, self.agent)
        except BaseException:
            self.bank.replace(known, self.bank.silent)
            raise
        # The buffer is emptied only now: a cycle that fails loses no outcome.
        self._forget(trajectories)
        silent = {self.agent} if learned.standing.verdict is Verdict.QUARANTINED else ()
        self.bank.replace({**parts, self.agent: learned.clusters}, silent)
        self.ewc, self.reservoir, self.standing = learned.ewc, learned.reservoir, learned.standing
        self.task, self.credit = learned.task or self.task, learned.credit
        if report.promoted:
            self.adapter.set_base(learned.base)
            self.adapter.decay_micro(MICRO_KEEP)
            self.promotions += 1
        self.background_cycles += 1
        self.last_cycle_s = self.last_cycle_s if now_s is None else now_s
        return report

    force_learn = run_background_cycle

    def tick(self, now_s: float) -> CycleReport | None:
        """Run loop B if it is due: the interval is over, or the buffer is filled to `learn_at_utilisation`."""
        check_number(now_s, "now_s", 0.0, MAX_TIME_S)
        if self.last_cycle_s is None:
            self.last_cycle_s = now_s
        waited = now_s - self.last_cycle_s >= self.config.background_interval
        full = len(self._buffer) >= self.config.learn_at_utilisation * self.config.trajectory_capacity
        if self._enabled and len(self._buffer) and (waited or full):
            return self.run_background_cycle(now_s)
        return None

    # State

    @property
    def is_enabled(self) -> bool:
        return self._enabled

    def set_enabled(self, enabled: bool) -> None:
        """Off: nothing is adapted and nothing learned, so rankings are the frozen ones; recording goes on."""
        self.run_instant_cycle()
        self._enabled = bool(enabled)
        self._unlearned = 0

    def get_stats(self) -> EngineStats:
        """Counts as they are now."""
        buffered = len(self._buffer)
        return EngineStats(
            trajectories_recorded=self._recorded,
            trajectories_buffered=buffered,
            trajectories_open=len(self._open),
            trajectory_utilisation=buffered / self.config.trajectory_capacity,
            patterns=len(self.bank),
            instant_updates=self.instant_updates,
            background_cycles=self.background_cycles,
            promotions=self.promotions,
            ewc_tasks=self.ewc.tasks,
            baseline=self.baseline.value,
            enabled=self._enabled,
        )

    def discard(self) -> int:
        """Drop the buffered trajectories unlearned by loop B; how many there were."""
        self.run_instant_cycle()
        trajectories = self.buffered()
        self._forget(trajectories)
        return len(trajectories)

    def rng_state(self) -> dict[str, Any]:
        """State of the random generator, plain values."""
        return dict(self._rng.bit_generator.state)

    def restore_rng(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = dict(state)

    # Inner parts

    def _checked(self, x: object) -> Vector:
        if self._unlearned:
            self.run_instant_cycle()
        # The hot path: nothing is copied, because `bend` never changes its input, and refuses what is not finite.
        if type(x) is _ARRAY and x.dtype is _FLOAT32 and x.shape == self._shape:
            return x
        return check_queries(x, self.config.dim, "x")

    def _forget(self, trajectories: Sequence[Trajectory]) -> None:
        """Empty the buffer of its `trajectories`; the newest can still be named by a signal."""
        self._buffer.clear()
        # A signal needs what was asked, tried and done, and none of its texts.
        newest = trajectories[-(self._recent.maxlen or 0) :]
        self._recent.extend(replace(one, text="", response="", context={}) for one in newest)

    def _recalled(self, trajectory_id: str | int | None) -> Trajectory:
        wanted = trajectory_id if isinstance(trajectory_id, str) else shown(trajectory_id)
        most = self._recent.maxlen or 0
        for trajectory in (*reversed(self._newest(most)), *reversed(self._recent)):
            if trajectory_id is None or trajectory.id == wanted:
                return trajectory
        raise UnknownIdError(f"trajectory_id {shown(trajectory_id, 40)}: not among the last {most} that ended")

    def _instant(self, trajectory: Trajectory, quality: float, step_reward: float | None = None) -> None:
        x = trajectory.embedding
        moved = outcome_step(self.adapter, self.bank.index, x, trajectory.action, quality, self.config)
        if trajectory.steps:
            gradient = step_gradient(trajectory.steps, self.baseline, self.config.dim, step_reward)
            moved |= gradient_step(self.adapter, x, gradient, self.config)
        self.instant_updates += moved
