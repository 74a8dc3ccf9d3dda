"""The search: configurations are tried on the outcomes that an agent keeps, by playing them to an engine again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from swarm.errors import InputError, shown
from swarm.services.tuning.report import Gate, Objective, Trial, TuningReport
from swarm.services.tuning.search import Search
from swarm.services.turn import registered
from swarm.sona.background import MIN_JUDGES
from swarm.sona.clusters import Cluster, is_library
from swarm.sona.config import SonaConfig
from swarm.sona.replay import Scores, cross_validated, gain_in, judged, paired, replayed
from swarm.sona.reservoir import Reservoir
from swarm.sona.standing import Verdict
from swarm.sona.trajectory import WORKED
from swarm.sona.vectors import Vector, check_count, check_number
from swarm.store.agents import AgentStore
from swarm.wire.memory_records import decode_sample

MIN_OUTCOMES = 200
"""With fewer an engine that learns from a part of them holds out too few to try new weights at all."""
MAX_TRIALS = 10_000
MAX_BUDGET_S = 86_400.0
_FOLDS = 4
_CHANCE = 0.05
_OTHERS = 64
_CLUSTERS_OF_OTHERS = 2_000


def tune(
    agent: str,
    agents: AgentStore,
    *,
    trials: int = 30,
    budget_s: float = 60.0,
    objective: Objective = "mrr",
    seed: int = 0,
    on_trial: Callable[[Trial], None] | None = None,
) -> TuningReport:
    """Search for settings with which an agent would have learned more from the outcomes it keeps. Changes nothing.

    The present settings and the defaults are always tried. Whatever is tried learns from three folds of four and is
    judged by the fourth, in turn; outcomes that the agent holds out are left for the gate.

    Parameters
    ----------
    trials : at most so many configurations, 2..10,000
    budget_s : no fold is begun after so many seconds, but for those of the present settings
    objective : "mrr" or "loss"
    on_trial : called with each trial that is complete

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    InputError
        If a value is out of bounds, or the agent keeps fewer than `MIN_OUTCOMES` outcomes.
    RuntimeSetupError
        If Optuna is not installed.
    """
    check_count(trials, "trials", 2, MAX_TRIALS)
    check_number(budget_s, "budget_s", 0.0, MAX_BUDGET_S)
    if objective not in ("mrr", "loss"):
        raise InputError(f"objective must be mrr or loss, got {shown(objective, 40)}")
    begun = time.monotonic()
    present = registered(agent, agents).config
    kept = _kept(agent, agents)
    searched = kept.take(np.flatnonzero(~kept.held_out))
    if not (searched.qualities >= WORKED).any():
        raise InputError(f"agent {agent}: none of its {len(kept)} outcomes worked: nothing says which action is right")
    others = _others(agent, agents)
    search = Search(present, check_count(seed, "seed", 0, 2**31))
    bench = _Bench(agent, searched, others, objective)
    default = SonaConfig(dim=present.dim, seed=present.seed)
    given = [(present, "present"), *([(default, "default")] if default != present else [])]
    done: list[Trial] = []
    deadline = begun + budget_s
    while len(done) < trials:
        config, label = given[len(done)] if len(done) < len(given) else (search.ask(), "")
        trial = bench.run(len(done), label, config, deadline if done else None)
        if trial is None:
            break
        if label:
            search.tell_given(config, trial.difference)
        else:
            search.tell(trial.difference)
        done.append(trial)
        if on_trial is not None:
            on_trial(trial)
    best = max(done, key=lambda trial: (trial.difference, -trial.number))
    # Bonferroni: so many standard errors the best of so many equals exceeds by luck in one search of twenty.
    z = NormalDist().inv_cdf(1.0 - _CHANCE / max(1, len(done) - 1))
    is_better = best.number > 0 and best.difference > z * best.error
    gate = _gate(present, best.config, kept, searched, others, agent, objective) if is_better else None
    return TuningReport(
        agent=agent,
        objective=objective,
        outcomes=len(searched),
        folds=_FOLDS,
        trials=tuple(done),
        best=best,
        present=done[0],
        is_better=is_better,
        z=z,
        gate=gate,
        stopped_by="trials" if len(done) == trials else "budget",
        took_s=time.monotonic() - begun,
    )


class _Bench:
    """Tries configurations on the same folds, each beside the first one that was tried."""

    def __init__(
        self,
        agent: str,
        outcomes: Reservoir,
        others: Mapping[str, Sequence[Cluster]],
        objective: Objective,
    ) -> None:
        self._agent = agent
        self._outcomes = outcomes
        self._others = others
        self._gain = gain_in(objective)
        self._first: Vector | None = None

    def run(self, number: int, label: str, config: SonaConfig, deadline: float | None) -> Trial | None:
        """A whole trial, or None if the deadline came first."""
        gains = np.full(len(self._outcomes), np.nan, dtype=np.float32)
        parts: list[Scores] = []
        for rows, scores in cross_validated(config, self._outcomes, self._others, self._agent, _FOLDS):
            gains[rows] = self._gain(scores)
            parts.append(scores)
            is_last = len(parts) == _FOLDS
            if deadline is not None and not is_last and time.monotonic() >= deadline:
                return None
        if self._first is None:
            self._first = gains
        difference, error = paired(gains, self._first)
        whole = Scores(
            reciprocal_ranks=np.concatenate([one.reciprocal_ranks for one in parts]),
            losses=np.concatenate([one.losses for one in parts]),
        )
        return Trial(
            number=number,
            label=label,
            config=config,
            mrr=whole.mrr,
            loss=whole.loss,
            difference=difference,
            error=error,
        )


def _kept(agent: str, agents: AgentStore) -> Reservoir:
    sample = agents.values(agent)["sample"]
    kept = Reservoir.empty() if sample is None else decode_sample(sample)
    # What named no result is no action that could be right.
    kept = kept.take(np.array([row for row, action in enumerate(kept.actions) if action], dtype=np.intp))
    if len(kept) < MIN_OUTCOMES:
        raise InputError(f"agent {agent}: {len(kept)} outcomes with an action are kept, tuning needs {MIN_OUTCOMES}")
    return kept


def _others(agent: str, agents: AgentStore) -> dict[str, list[Cluster]]:
    """What others found out, as the agent sees it: libraries first, then who has most outcomes."""
    states = {
        name: state
        for name, state in agents.states(agents.names()).items()
        if name != agent and state.generation > 0 and state.verdict is not Verdict.QUARANTINED
    }
    order = sorted(states, key=lambda name: (not is_library(name), -states[name].consolidated, name))[:_OTHERS]
    found: dict[str, list[Cluster]] = {}
    room = _CLUSTERS_OF_OTHERS
    for name, clusters in agents.clusters_of(order).items():
        found[name] = sorted(clusters, key=lambda cluster: (-cluster.n, cluster.id))[:room]
        room -= len(found[name])
    return found


def _gate(
    present: SonaConfig,
    config: SonaConfig,
    kept: Reservoir,
    searched: Reservoir,
    others: Mapping[str, Sequence[Cluster]],
    agent: str,
    objective: Objective,
) -> Gate:
    held_out = kept.take(np.flatnonzero(kept.held_out))
    gain = gain_in(objective)
    one, other = (gain(judged(replayed(each, searched, others, agent), held_out)) for each in (config, present))
    difference, error = paired(one, other)
    counted = int((~np.isnan(one)).sum())
    gate = Gate(n=len(held_out), counted=counted, difference=difference, error=error, passed=False, why="")
    if counted < MIN_JUDGES:
        return replace(gate, why=f"refused: {counted} outcomes held out can judge that, {MIN_JUDGES} needed")
    if difference < 0.0:
        return replace(gate, why=f"refused: worse on {counted} outcomes held out, {difference:+.4f} ± {error:.4f}")
    return replace(gate, passed=True, why=f"no worse on {counted} outcomes held out, {difference:+.4f} ± {error:.4f}")
