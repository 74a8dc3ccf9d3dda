"""What an engine of another configuration would have learned from an agent's outcomes: they are played to it again.

Cross-validation: each fold is judged by an engine that learned from all the others. Folds, and what the engine's own
gate holds out of what it learns from, hang on the outcomes' ids alone, so that configurations are compared on the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.engine import SonaEngine
from swarm.sona.ranking import outcome_loss
from swarm.sona.reservoir import HELD_OUT_EVERY, Reservoir
from swarm.sona.trajectory import WORKED, Trajectory
from swarm.sona.vectors import Integers, Vector

CYCLE = 250
"""Outcomes of one background cycle of a replay."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """How an engine takes n outcomes that it has not seen, of shape (n,) each.

    `reciprocal_ranks` are those of the actions that were tried, NaN where they did not work; `losses` the negative
    log-likelihoods of the qualities, by the quality that the engine expects, in nats.
    """

    reciprocal_ranks: Vector
    losses: Vector

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank of what worked."""
        return float(np.nanmean(self.reciprocal_ranks)) if len(self.reciprocal_ranks) else 0.0

    @property
    def loss(self) -> float:
        return float(self.losses.mean()) if len(self.losses) else 0.0


def folds_of(outcomes: Reservoir, folds: int) -> Integers:
    """The fold of each outcome, of shape (n,), in 0..folds-1."""
    return np.asarray(outcomes.priorities // HELD_OUT_EVERY % folds, dtype=np.intp)


def cross_validated(
    config: SonaConfig, outcomes: Reservoir, others: Mapping[str, Sequence[Cluster]], agent: str, folds: int
) -> Iterator[tuple[Integers, Scores]]:
    """The rows of each fold, and how an engine that learned from all other folds takes them."""
    of_row = folds_of(outcomes, folds)
    for fold in range(folds):
        rows = np.flatnonzero(of_row == fold)
        engine = replayed(config, outcomes.take(np.flatnonzero(of_row != fold)), others, agent)
        yield rows, judged(engine, outcomes.take(rows))


def replayed(
    config: SonaConfig, outcomes: Reservoir, others: Mapping[str, Sequence[Cluster]], agent: str
) -> SonaEngine:
    """An engine of `agent` that knows what `others` found out, and has learned from the outcomes in their order."""
    engine = SonaEngine(config, agent=agent)
    engine.bank.replace(others)
    size = min(CYCLE, config.trajectory_capacity)
    queries = outcomes.queries
    for start in range(0, len(outcomes), size):
        for row in range(start, min(start + size, len(outcomes))):
            # Under its own name none of them would judge: those that do are no part of what is played.
            engine.submit_trajectory(
                Trajectory(
                    id=f"{outcomes.ids[row]}/again",
                    embedding=queries[row],
                    quality=float(outcomes.qualities[row]),
                    action=outcomes.actions[row],
                    agent=agent,
                )
            )
        engine.run_background_cycle()
    return engine


def judged(engine: SonaEngine, outcomes: Reservoir) -> Scores:
    """How the engine takes the outcomes; one whose action it does not know has the reciprocal rank 0."""
    index, x = engine.bank.index, outcomes.queries
    y = engine.apply_lora(x)
    scores = index.score_batch(x, y=y)
    columns = {name: column for column, name in enumerate(index.names)}
    tried = np.array([columns.get(action, -1) for action in outcomes.actions], dtype=np.intp)
    ranks = np.zeros(len(outcomes), dtype=np.float32)
    for row, column in enumerate(tried.tolist()):
        if column >= 0 and np.isfinite(scores[row, column]):
            ranks[row] = 1.0 / (1 + int((scores[row] > scores[row, column]).sum()))
    ranks[outcomes.qualities < WORKED] = np.nan
    expected = index.expected(x, y, outcomes.actions).astype(np.float32)
    return Scores(reciprocal_ranks=ranks, losses=outcome_loss(expected, outcomes.qualities))


Gain = Callable[[Scores], Vector]


def gain_in(objective: str) -> Gain:
    """What is to grow, outcome by outcome: "mrr" the reciprocal rank, "loss" the log-likelihood."""
    return (lambda scores: scores.reciprocal_ranks) if objective == "mrr" else (lambda scores: -scores.losses)


def paired(one: Vector, other: Vector) -> tuple[float, float]:
    """Mean of `one` - `other` over the rows that both have, and its standard error; zero and infinity below two.

    >>> import numpy as np
    >>> paired(np.array([1.0, 0.5, np.nan]), np.array([0.5, 0.5, 0.0]))
    (0.25, 0.25)
    """
    difference = (one - other).astype(np.float64)
    difference = difference[~np.isnan(difference)]
    if len(difference) < 2:
        return 0.0, float("inf")
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))
