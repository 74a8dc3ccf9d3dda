"""One background cycle of an agent: can its feedback be believed, has a new task begun, train the base tier, let the
gate decide, regroup the clusters.

A pure function of what it is given: the engine runs it in process, a worker runs it for an agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from swarm.sona.ageing import NO_PINS, Ageing
from swarm.sona.boundary import TaskShift
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.credit import CreditSums, step_outcomes
from swarm.sona.ewc import EwcMemory
from swarm.sona.grouping import regroup
from swarm.sona.index import Candidates, PatternIndex
from swarm.sona.lora import LoraPair
from swarm.sona.patterns import Patterns
from swarm.sona.ranking import EVIDENCE_EXPONENT, action_probabilities
from swarm.sona.reservoir import Reservoir
from swarm.sona.standing import Standing, Verdict
from swarm.sona.training import Outcomes, adapted, fisher, flatten, mean_loss, nearest_candidates, train
from swarm.sona.trajectory import Trajectory

MICRO_KEEP = 0.5
"""What is left of the micro tier once the base tier was trained on the same outcomes."""
MIN_JUDGES = 5
"""With fewer outcomes held out new weights are not even tried: nobody could judge them."""
_FROM_OTHERS = 3_000
"""Clusters of others that are rehearsed beside the agent's own outcomes, at most."""
_AUDITED = 200
"""Outcomes of one cycle that an agent's standing is drawn from, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an agent knows after a generation.

    Its clusters, its base tier with the memory of earlier tasks, a sample of its outcomes, the task that it is in,
    how far its feedback can be believed, and what its steps used to add to an outcome.
    """

    clusters: tuple[Cluster, ...]
    base: tuple[LoraPair, ...]
    ewc: EwcMemory
    reservoir: Reservoir = field(default_factory=Reservoir.empty)
    task: TaskShift | None = None
    standing: Standing = field(default_factory=Standing)
    credit: CreditSums = field(default_factory=CreditSums)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """Figures of one cycle. Losses are mean negative log-likelihoods of held-out outcomes, in nats.

    `loss_frozen` is that of the same outcomes without any base weights: what an agent that never learned would have.
    `mean_quality` is that of the cycle's outcomes, as reported, None without any.

    `verdict` says how far the agent's feedback is believed; `why` what became of new base weights: promoted, or the
    reason for which they were refused or not even tried (then `trained_on` is 0).
    """

    outcomes: int = 0
    credited_steps: int = 0
    trained_on: int = 0
    held_out: int = 0
    loss_before: float = 0.0
    loss_after: float = 0.0
    loss_frozen: float = 0.0
    mean_quality: float | None = None
    promoted: bool = False
    why: str = "no outcomes"
    clusters: int = 0
    pruned: int = 0
    expired: int = 0
    new_task: bool = False
    tasks: int = 0
    verdict: str = Verdict.PROBATION
    audited: float = 0.0
    z_prior: float = 0.0
    z_own: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """The base tier after the gate, and how that came."""

    base: tuple[LoraPair, ...]
    why: str
    trained_on: int = 0
    held_out: int = 0
    before: float = 0.0
    after: float = 0.0
    frozen: float = 0.0
    promoted: bool = False


def run_cycle(
    learned: Learned,
    trajectories: Sequence[Trajectory],
    shared: Patterns,
    config: SonaConfig,
    rng: np.random.Generator,
    agent: str = "self",
    ageing: Ageing | None = None,
    task: str = "",
) -> tuple[Learned, CycleReport]:
    """The next generation of `learned`, from outcomes that are in no cluster yet.

    Parameters
    ----------
    trajectories : in the order in which they ended
    shared : the clusters that queries are matched against (the swarm's bank, or the agent's own)
    agent : whose outcomes they are; what others know is what `shared` holds of everybody else
    ageing : how old everything is when this happens; None if nothing ages
    task : what the agent's task is from here on, if that is known; another one than so far ends that one
    """
    has_ended = False
    if task:
        # What has a name need not be found from what is asked.
        shift, has_ended = (learned.task or TaskShift.beginning(config.dim)).announced(task)
        learned = replace(learned, task=shift)
    if ageing is not None:
        return _aged_cycle(learned, trajectories, shared, config, rng, agent, ageing, has_ended)
    return _cycle(learned, trajectories, shared, config, rng, agent, None, has_ended)


def _aged_cycle(
    learned: Learned,
    trajectories: Sequence[Trajectory],
    shared: Patterns,
    config: SonaConfig,
    rng: np.random.Generator,
    agent: str,
    ageing: Ageing,
    has_ended: bool,
) -> tuple[Learned, CycleReport]:
    """A cycle at the time of `ageing`. A cluster that nothing joined stays the same object."""
    alive = ageing.alive(learned.clusters)
    now = [ageing.current(cluster) for cluster in alive]
    stored = {id(aged): cluster for aged, cluster in zip(now, alive, strict=True)}
    then = replace(learned, clusters=tuple(now))
    after, report = _cycle(then, trajectories, shared, config, rng, agent, ageing, has_ended)
    clusters = tuple(stored.get(id(cluster)) or ageing.kept(cluster) for cluster in after.clusters)
    expired = report.expired + len(learned.clusters) - len(alive)
    return replace(after, clusters=clusters), replace(report, expired=expired)


def _cycle(
    learned: Learned,
    trajectories: Sequence[Trajectory],
    shared: Patterns,
    config: SonaConfig,
    rng: np.random.Generator,
    agent: str,
    ageing: Ageing | None,
    has_ended: bool,
) -> tuple[Learned, CycleReport]:
    # Draws of their own: how clusters are grouped must not hang on what the training drew before.
    training_rng, grouping_rng = map(np.random.default_rng, rng.integers(2**63, size=2))
    fresh = Reservoir.of(trajectories, config.dim)
    baselines = learned.credit.baselines()
    steps = [part for trajectory in trajectories for part in step_outcomes(trajectory, baselines, shared.actions)]
    # A request that is tried again is no further evidence of what the task is.
    asked = np.unique(fresh.queries, axis=0)
    task, is_shifted = (learned.task or TaskShift.beginning(config.dim)).seen(asked)
    new_task = has_ended or is_shifted
    ewc = learned.ewc
    sample = learned.reservoir.joined(fresh).joined(Reservoir.of(steps, config.dim))
    candidates = nearest_candidates(shared.candidates(), sample.queries)
    if new_task:
        ewc = _consolidated(learned, candidates, config, training_rng)
    standing = learned.standing + _audit(learned, fresh, shared, agent, config)
    verdict = standing.verdict
    weights = _train_gated(learned.base, ewc, sample, candidates, shared, agent, verdict, config, training_rng)
    new = [outcome.as_cluster(config.quality_threshold) for outcome in (*trajectories, *steps)]
    tried = len(new)
    if ageing is not None:
        new = ageing.aged(ageing.dated(cluster) for cluster in new)
    grouping = regroup(learned.clusters, new, config, grouping_rng, NO_PINS if ageing is None else ageing.pins)
    report = CycleReport(
        outcomes=len(trajectories),
        credited_steps=len(steps),
        trained_on=weights.trained_on,
        held_out=weights.held_out,
        loss_before=weights.before,
        loss_after=weights.after,
        loss_frozen=weights.frozen,
        mean_quality=float(np.mean([trajectory.quality for trajectory in trajectories])) if trajectories else None,
        promoted=weights.promoted,
        why=weights.why,
        clusters=len(grouping.clusters),
        pruned=grouping.pruned,
        expired=tried - len(new),
        new_task=new_task,
        tasks=ewc.tasks,
        verdict=verdict.value,
        audited=standing.n,
        z_prior=standing.z_prior,
        z_own=standing.z_own,
    )
    after = Learned(
        clusters=grouping.clusters,
        base=weights.base,
        ewc=ewc,
        reservoir=sample.bounded(config.rehearsal_capacity),
        task=task,
        standing=standing,
        credit=(learned.credit + CreditSums.of(trajectories)).bounded(),
    )
    return after, report


def _usable(sample: Reservoir, candidates: Candidates) -> tuple[Reservoir, Outcomes]:
    """Outcomes that tried an action which the candidates know."""
    rows = np.array([i for i, action in enumerate(sample.actions) if action in candidates.rows], dtype=np.intp)
    known = sample.take(rows)
    tried = np.array([candidates.rows[action] for action in known.actions], dtype=np.intp)
    return known, Outcomes(known.queries, tried, known.qualities)


def _consolidated(learned: Learned, candidates: Candidates, config: SonaConfig, rng: np.random.Generator) -> EwcMemory:
    """The memory with the task that has ended: what mattered for its outcomes, at the weights it ended with."""
    _, outcomes = _usable(learned.reservoir, candidates)
    if not len(outcomes) or all(pair.is_untrained for pair in learned.base):
        return learned.ewc
    ewc = learned.ewc.copy()
    importance = fisher(learned.base, outcomes, candidates, config, rng)
    ewc.consolidate(importance, flatten(learned.base), config.ewc_gamma, config.ewc_max_tasks)
    return ewc


def _audit(learned: Learned, fresh: Reservoir, shared: Patterns, agent: str, config: SonaConfig) -> Standing:
    """What new outcomes say about the agent's feedback, by what was known before them."""
    others = nearest_candidates(shared.candidates_without(agent), fresh.queries)
    # An even sample: with more successes than there were, a coin would look like an agent that hardly ever fails.
    known, outcomes = _usable(fresh.even(_AUDITED), others)
    if not len(outcomes):
        return Standing()
    pi = action_probabilities(outcomes.queries, others.prototypes, config.temperature)
    p = pi[np.arange(len(outcomes)), outcomes.tried]
    # From its own earlier outcomes, whether they count in the bank or not: else nobody could leave quarantine.
    own = PatternIndex(config)
    own.replace_all(learned.clusters)
    y, _ = adapted(learned.base, outcomes.queries)
    r = own.expected(outcomes.queries, y, known.actions)
    return Standing.of(outcomes.qualities, p, r, pi.max(axis=1))


def _of_others(shared: Patterns, candidates: Candidates, agent: str, rng: np.random.Generator) -> Outcomes:
    """What others found out, as outcomes at their centroids: else the adapter would bend their queries blindly."""
    found = shared.found_by_others(agent, candidates.rows)
    if not len(found.weights):
        return Outcomes.none(shared.dim)
    weights = found.weights**EVIDENCE_EXPONENT
    chosen = rng.choice(len(weights), min(_FROM_OTHERS, len(weights)), replace=False, p=weights / weights.sum())
    return Outcomes(
        found.centroids(chosen),
        np.array([candidates.rows[action] for action in found.actions(chosen)], dtype=np.intp),
        found.qualities(chosen),
    )


def _train_gated(
    base: tuple[LoraPair, ...],
    ewc: EwcMemory,
    sample: Reservoir,
    candidates: Candidates,
    shared: Patterns,
    agent: str,
    verdict: Verdict,
    config: SonaConfig,
    rng: np.random.Generator,
) -> _Weights:
    if verdict is Verdict.QUARANTINED:
        return _Weights(base=base, why="refused: the feedback is not believed")
    if config.base_lora_lr == 0.0:
        return _Weights(base=base, why="not tried: base_lora_lr is 0")
    known, outcomes = _usable(sample, candidates)
    judges = np.flatnonzero(known.held_out)
    if len(judges) < MIN_JUDGES or len(judges) == len(known):
        return _Weights(base=base, why=f"not tried: {len(judges)} outcomes held out, {MIN_JUDGES} needed")
    held_out, own = outcomes.take(judges), outcomes.take(np.flatnonzero(~known.held_out))
    training = own.joined(_of_others(shared, candidates, agent, rng))
    before = mean_loss(base, held_out, candidates, config.temperature)
    trained = train(base, training, candidates, ewc, config, rng)
    after = mean_loss(trained, held_out, candidates, config.temperature)
    promoted = bool(after < before)
    return _Weights(
        base=tuple(trained) if promoted else base,
        why="promoted" if promoted else "refused: no better on what was held out",
        trained_on=len(own),
        held_out=len(judges),
        before=before,
        after=after,
        frozen=mean_loss((), held_out, candidates, config.temperature),
        promoted=promoted,
    )
