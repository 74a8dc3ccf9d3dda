"""Learners for tasks in sequence that differ in how they hold on to the past and in their schedule, in nothing else.

Each has the adapter alone: the prototypes stay those of the seeds, the label with the nearest prototype to the adapted
query is tried first. Who follows the core's schedule is trained by the core's own trainer; the others by `train_by`,
which takes the core's steps in batches, passes and rates of its own. With the core's schedule it gives the core's
weights, bit by bit; a test says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.bandit import CYCLE, TRIES
from benchmarks.forgetting_tasks import TaskSequence
from swarm.sona import SonaConfig, Trajectory
from swarm.sona.background import Learned, run_cycle
from swarm.sona.boundary import TaskShift
from swarm.sona.ewc import EwcMemory
from swarm.sona.index import Candidates, PatternIndex
from swarm.sona.lora import LoraPair
from swarm.sona.reservoir import Reservoir
from swarm.sona.training import Outcomes, adapted, fisher, flatten, fresh_moments, train, train_batch
from swarm.sona.vectors import Doubles, Integers, Vector

PROTOTYPES = 32
"""So many prototypes the core rehearses beside each batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a cycle trains on its outcomes."""

    batch: int
    passes: int | None
    """Over all outcomes of the cycle; None: `base_epochs` of the configuration."""
    is_falling: bool
    """Whether the rate falls to nothing within the cycle; else it is constant."""


ORDINARY = Schedule(batch=32, passes=6, is_falling=False)
"""As the published calibration trained."""
CORE = Schedule(batch=128, passes=None, is_falling=True)
"""As the core trains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a baseline is trained, and how it holds on to the past."""

    schedule: Schedule = ORDINARY

    l2: float = 0.0
    """Strength of the plain L2 anchor at the weights of the last boundary."""
    ewc: float = 0.0
    """lambda of EWC at the boundaries."""
    replayed: int = 0
    """Earlier outcomes that are trained on again in every cycle, an even sample."""
    prototypes: int = 0
    """Prototypes that are rehearsed beside each batch."""


@dataclass(slots=True)
class Baseline:
    """Cycles of a learner that follows a rule; each sees the outcomes since the last cycle."""

    rule: Rule
    config: SonaConfig
    candidates: Candidates
    rng: np.random.Generator
    base: list[LoraPair]
    ewc: EwcMemory = field(default_factory=EwcMemory.empty)
    sample: Reservoir = field(default_factory=Reservoir.empty)
    current: list[Reservoir] = field(default_factory=list)
    """Outcomes of the current task, cycle by cycle."""
    task: TaskShift | None = None

    def learn(self, trajectories: list[Trajectory]) -> None:
        """One cycle: a boundary is looked for as the core does, then the adapter is trained."""
        fresh = Reservoir.of(trajectories, self.config.dim)
        self.task, is_new = (self.task or TaskShift.beginning(self.config.dim)).seen(fresh.queries)
        if is_new:
            self._anchor()
            self.current = self.current[-1:]
        self.current.append(fresh)
        joined = self.sample.joined(fresh) if self.rule.replayed else fresh
        self.base = self._trained(_outcomes(joined, self.candidates))
        self.sample = joined.bounded(self.rule.replayed)

    def _trained(self, outcomes: Outcomes) -> list[LoraPair]:
        rule = self.rule
        config = self.config.updated(ewc_lambda=rule.l2 or rule.ewc)
        given = (self.base, outcomes, self.candidates, self.ewc, config, self.rng)
        if rule.schedule == CORE:
            # Not a likeness of it: what the schedule alone holds is read off beside ours.
            return train(*given, prototypes=rule.prototypes)
        return train_by(rule.schedule, *given, rule.prototypes)

    def _anchor(self) -> None:
        parameters = flatten(self.base)
        if self.rule.l2:
            # EWC with equal importance of all weights, and no task but the last.
            ones = [np.ones_like(p) for p in parameters]
            self.ewc = EwcMemory(ones, [p.copy() for p in parameters], tasks=1)
        elif self.rule.ewc:
            before = self.current[0]
            for part in self.current[1:]:
                before = before.joined(part)
            importance = fisher(self.base, _outcomes(before, self.candidates), self.candidates, self.config, self.rng)
            self.ewc.consolidate(importance, parameters, self.config.ewc_gamma, self.config.ewc_max_tasks)


@dataclass(slots=True)
class Core:
    """Cycles of the core itself, of which the adapter is kept and the clusters are not."""

    learned: Learned
    config: SonaConfig
    known: PatternIndex
    rng: np.random.Generator

    @property
    def base(self) -> Sequence[LoraPair]:
        return self.learned.base

    @property
    def task(self) -> TaskShift | None:
        return self.learned.task

    def learn(self, trajectories: list[Trajectory]) -> None:
        """`run_cycle` with the clusters of the seeds as all that is known."""
        after, _ = run_cycle(replace(self.learned, clusters=()), trajectories, self.known, self.config, self.rng)
        self.learned = after


def train_by(
    schedule: Schedule,
    pairs: Sequence[LoraPair],
    outcomes: Outcomes,
    candidates: Candidates,
    ewc: EwcMemory,
    config: SonaConfig,
    rng: np.random.Generator,
    prototypes: int,
) -> list[LoraPair]:
    """As `swarm.sona.training.train`, by `schedule`."""
    trained = [pair.copy() for pair in pairs]
    moments = fresh_moments(trained)
    passes = schedule.passes or config.base_epochs
    steps = passes * math.ceil(len(outcomes) / schedule.batch)
    step = 0
    for _ in range(passes):
        order = rng.permutation(len(outcomes))
        for start in range(0, len(order), schedule.batch):
            step += 1
            batch = outcomes.take(order[start : start + schedule.batch])
            rate = config.base_lora_lr * (1.0 - (step - 1) / steps if schedule.is_falling else 1.0)
            train_batch(trained, moments, batch, candidates, ewc, config, rng, step, rate, prototypes)
    return trained


def success_table(learner: Baseline | Core, tasks: TaskSequence, candidates: Candidates) -> Doubles:
    """Success on the test rows of task u after task t, of shape (T, T); the learner learns on the way."""
    table = []
    for rows in tasks.requests:
        for start in range(0, len(rows), CYCLE):
            learner.learn(_tried(learner.base, tasks, rows[start : start + CYCLE], candidates))
        table.append(success_of(learner.base, tasks, candidates))
    return np.array(table)


def success_of(base: Sequence[LoraPair], tasks: TaskSequence, candidates: Candidates) -> Doubles:
    """Success on the test rows of each task, of shape (T,)."""
    labels, stream = _labels(candidates), tasks.stream
    first = [labels[_ranked(base, stream.embedding[test], candidates.prototypes, 1)[:, 0]] for test in tasks.tests]
    return np.array([(found == stream.labels[test]).mean() for found, test in zip(first, tasks.tests, strict=True)])


def _tried(base: Sequence[LoraPair], tasks: TaskSequence, rows: Integers, candidates: Candidates) -> list[Trajectory]:
    """What became of the requests `rows`: every try is one outcome."""
    stream = tasks.stream
    found = []
    ranked = _labels(candidates)[_ranked(base, stream.embedding[rows], candidates.prototypes, TRIES)]
    for row, order in zip(rows.tolist(), ranked.tolist(), strict=True):
        for attempt, label in enumerate(order):
            quality = stream.right_or_wrong(row, label)
            found.append(
                Trajectory(
                    id=f"{stream.seed}-{row}-{attempt}",
                    embedding=stream.embedding[row],
                    quality=quality,
                    action=str(label),
                )
            )
            if quality:
                break
    return found


def _ranked(base: Sequence[LoraPair], queries: Vector, prototypes: Vector, k: int) -> Integers:
    y, _ = adapted(base, queries)
    return np.argsort(-y.dot(prototypes.T), axis=1, kind="stable")[:, :k]


def _labels(candidates: Candidates) -> Integers:
    """The label of each prototype, of shape (m,)."""
    return np.array([int(name) for name in candidates.rows], dtype=np.intp)


def _outcomes(sample: Reservoir, candidates: Candidates) -> Outcomes:
    tried = np.array([candidates.rows[action] for action in sample.actions], dtype=np.intp)
    return Outcomes(sample.queries, tried, sample.qualities)
