"""One background cycle of an agent: train the base tier, let the gate decide, regroup the clusters.

A pure function of what it is given: the engine runs it in process, a worker runs it for an agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.grouping import regroup
from swarm.sona.index import Candidates, PatternIndex
from swarm.sona.lora import LoraPair
from swarm.sona.training import Outcomes, fisher, mean_loss, nearest_candidates, train
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import unit_rows

HELD_OUT_EVERY = 5
"""Every fifth outcome is kept from training and judges it."""
MICRO_KEEP = 0.5
"""What is left of the micro tier once the base tier was trained on the same outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an agent knows after a generation: its clusters, its base tier, its EWC memory."""

    clusters: tuple[Cluster, ...]
    base: tuple[LoraPair, ...]
    ewc: EwcMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """Figures of one cycle. Losses are mean negative log-likelihoods of held-out outcomes, in nats.

    `promoted` tells whether the new base weights passed the gate; `trained_on` is 0 when no outcome tried an
    action that the candidates know, and then there was nothing to train.
    """

    outcomes: int = 0
    trained_on: int = 0
    held_out: int = 0
    loss_before: float = 0.0
    loss_after: float = 0.0
    promoted: bool = False
    clusters: int = 0
    pruned: int = 0


def run_cycle(
    learned: Learned,
    trajectories: Sequence[Trajectory],
    shared: PatternIndex,
    config: SonaConfig,
    rng: np.random.Generator,
) -> tuple[Learned, CycleReport]:
    """The next generation of `learned`, from outcomes that are in no cluster yet.

    Parameters
    ----------
    trajectories : in the order in which they ended
    shared : the clusters that queries are matched against (the swarm's bank, or the agent's own)
    """
    # Draws of their own: how clusters are grouped must not hang on what the training drew before.
    training_rng, grouping_rng = map(np.random.default_rng, rng.integers(2**63, size=2))
    queries = np.array([t.embedding for t in trajectories], dtype=np.float32).reshape(-1, config.dim)
    candidates = nearest_candidates(shared.candidates(), queries)
    outcomes = _usable(trajectories, candidates, config)
    if len(outcomes):
        base, ewc, figures = _train_gated(learned, outcomes, candidates, config, training_rng)
    else:
        base, ewc, figures = learned.base, learned.ewc, (0, 0, 0.0, 0.0, False)
    new = [trajectory.as_cluster(config.quality_threshold) for trajectory in trajectories]
    grouping = regroup(learned.clusters, new, config, grouping_rng)
    trained_on, held_out, before, after, promoted = figures
    report = CycleReport(
        outcomes=len(trajectories),
        trained_on=trained_on,
        held_out=held_out,
        loss_before=before,
        loss_after=after,
        promoted=promoted,
        clusters=len(grouping.clusters),
        pruned=grouping.pruned,
    )
    return Learned(clusters=grouping.clusters, base=base, ewc=ewc), report


def _usable(trajectories: Sequence[Trajectory], candidates: Candidates, config: SonaConfig) -> Outcomes:
    """Outcomes that tried an action which the candidates know."""
    known = frozenset(candidates.actions.tolist())
    rows = [t for t in trajectories if candidates.codes.get(t.action) in known]
    queries = np.array([t.embedding for t in rows], dtype=np.float32).reshape(len(rows), config.dim)
    return Outcomes(
        unit_rows(queries),
        np.array([candidates.codes[t.action] for t in rows], dtype=np.intp),
        np.array([t.quality for t in rows], dtype=np.float32),
    )


def _train_gated(
    learned: Learned, outcomes: Outcomes, candidates: Candidates, config: SonaConfig, rng: np.random.Generator
) -> tuple[tuple[LoraPair, ...], EwcMemory, tuple[int, int, float, float, bool]]:
    positions = np.arange(len(outcomes))
    judged = positions % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    if not judged.any():
        # Too few to spare one: the gate then looks at the outcomes themselves.
        held_out = training = outcomes
    else:
        held_out, training = outcomes.take(positions[judged]), outcomes.take(positions[~judged])
    before = mean_loss(learned.base, held_out, candidates, config.temperature)
    trained = train(learned.base, training, candidates, learned.ewc, config, rng)
    after = mean_loss(trained, held_out, candidates, config.temperature)
    promoted = bool(after < before)
    figures = (len(training), len(held_out), before, after, promoted)
    if not promoted:
        return learned.base, learned.ewc, figures
    ewc = learned.ewc.copy()
    importance = fisher(trained, training, candidates, config, rng)
    ewc.consolidate(importance, [array for pair in trained for array in (pair.up, pair.down)], config.ewc_gamma)
    return tuple(trained), ewc, figures
