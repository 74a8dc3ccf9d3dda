"""Credit to steps beside credit to whole trajectories, on real runs of several steps (each call names its function).

A fifth of the tasks is held out with all its runs; the rest is learned from.

`_auc`: which held-out runs succeeded, told from the functions they called; mean over agents, each by its own history.
  step     the sum of the functions' baselines (`sona.credit`): what each adds beside the others
  whole    the sum of the functions' mean advantage: every function of a run has the run's whole outcome
  plan     the mean quality of runs with the very same set of functions
  short    fewer steps
`_top1`: the function to expect most of for a held-out task, by the outcomes near it, is one that the answer needs; over
tasks whose answer calls something, among the functions of the answers of the tasks learned from.
  step, whole    an outcome for each function that a run called, with its credit, or with the run's whole outcome
  success        the functions of successful runs only
  used           functions by how often they were called, whatever came of it
`gain_auc`, `gain_top1`: step less whole, seed by seed.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.arguments import Options
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plans import function_name, function_names
from benchmarks.plots import save_bars
from benchmarks.scores import area_under_curve
from benchmarks.seeds import Estimate, run_seeds, summarise
from benchmarks.trajectories import AgentTrajectories, load_agent_trajectories
from swarm.errors import InputError
from swarm.sona import SonaConfig
from swarm.sona.clusters import Tally
from swarm.sona.credit import RIDGE, CreditSums, nodes_of, spread_credit
from swarm.sona.ranking import KAPPA, kernel
from swarm.sona.trajectory import Step, Trajectory
from swarm.sona.vectors import Integers

HELD_OUT = 0.2
MIN_OF_EACH = 3
"""An agent with fewer successes or failures among its held-out runs has no AUC."""


def measure(options: Options) -> Measurement:
    """Both questions for all seeds."""
    data = load_agent_trajectories(options.data, options.embedder)
    metrics = summarise(run_seeds(partial(one_seed, data), options.seeds))
    return Measurement(
        data=data.name, embedder=data.embedder, metrics=metrics, draw=partial(_draw, metrics=metrics, name=data.name)
    )


def one_seed(data: AgentTrajectories, seed: int) -> dict[str, float]:
    """All metrics of one split."""
    held_out = np.random.default_rng(seed).random(len(data.tasks.ids)) < HELD_OUT
    # A run without a call has no step to give credit to.
    called = np.array([bool(calls) for calls in data.runs.calls])
    asked = held_out[data.runs.tasks]
    kept, judged = np.flatnonzero(called & ~asked), np.flatnonzero(called & asked)
    runs = {row: _trajectory(data, row) for row in (*kept.tolist(), *judged.tolist())}
    found = _predicted(data, runs, kept, judged) | _chosen(data, runs, kept, np.flatnonzero(held_out))
    gains = {f"gain_{figure}": found[f"step_{figure}"] - found[f"whole_{figure}"] for figure in ("auc", "top1")}
    return found | gains


def _trajectory(data: AgentTrajectories, row: int) -> Trajectory:
    success = float(data.runs.success[row])
    return Trajectory(
        id=str(row),
        embedding=data.tasks.embedding[data.runs.tasks[row]],
        quality=success,
        steps=tuple(Step(reward=success, node=function_name(call)) for call in data.runs.calls[row]),
        agent=data.runs.agent_names[data.runs.agents[row]],
    )


def _predicted(
    data: AgentTrajectories, runs: dict[int, Trajectory], kept: Integers, judged: Integers
) -> dict[str, float]:
    areas: dict[str, list[float]] = {}
    for agent in range(len(data.runs.agent_names)):
        rows = judged[data.runs.agents[judged] == agent]
        truths = data.runs.success[rows]
        if min(truths.sum(), (~truths).sum()) < MIN_OF_EACH:
            continue
        history = [runs[row] for row in kept[data.runs.agents[kept] == agent].tolist()]
        for way, scores in _scores(history, [runs[row] for row in rows.tolist()]).items():
            areas.setdefault(f"{way}_auc", []).append(area_under_curve(np.array(scores), truths))
    if not areas:
        raise InputError(f"no agent has {MIN_OF_EACH} successes and {MIN_OF_EACH} failures among its held-out runs")
    return {name: float(np.mean(values)) for name, values in areas.items()}


def _scores(history: Sequence[Trajectory], asked: Sequence[Trajectory]) -> dict[str, list[float]]:
    sums = CreditSums.of(history)
    step = sums.baselines()
    mean = sums.total.sum_quality / sums.total.n if sums.total.n else 0.0
    whole = {node: (t.sum_quality - mean * t.n) / (t.n + RIDGE) for node, t in sums.nodes.items()}
    plans: dict[tuple[str, ...], Tally] = {}
    for run in history:
        plans[nodes_of(run)] = plans.get(nodes_of(run), Tally()) + Tally(n=1.0, sum_quality=run.quality)
    tallies = [plans.get(nodes_of(run), Tally()) for run in asked]
    return {
        "step": [sum(step.get(node, 0.0) for node in nodes_of(run)) for run in asked],
        "whole": [sum(whole.get(node, 0.0) for node in nodes_of(run)) for run in asked],
        "plan": [(t.sum_quality + mean) / (t.n + 1.0) for t in tallies],
        "short": [-float(len(run.steps)) for run in asked],
    }


def _chosen(
    data: AgentTrajectories, runs: dict[int, Trajectory], kept: Integers, held_out: Integers
) -> dict[str, float]:
    """How often the function with the highest expected quality near a held-out task is one of its answer's."""
    needed = {task: set(function_names(data.tasks.answers[task])) for task in held_out.tolist()}
    tasks = np.array([task for task, names in needed.items() if names], dtype=np.intp)
    if not len(tasks) or not len(kept):
        raise InputError(f"runs with calls and held-out answers must be at least 1, got {len(kept)} and {len(tasks)}")
    baselines: dict[str, dict[str, float]] = {}
    for agent, name in enumerate(data.runs.agent_names):
        baselines[name] = CreditSums.of(runs[r] for r in kept[data.runs.agents[kept] == agent].tolist()).baselines()
    names = sorted({node for row in kept.tolist() for node in nodes_of(runs[row])})
    codes = {name: code for code, name in enumerate(names)}
    credit = {way: np.zeros((len(kept), len(names))) for way in ("step", "whole", "used")}
    for i, row in enumerate(kept.tolist()):
        run = runs[row]
        for step, share in zip(run.steps, spread_credit(run, baselines[run.agent]), strict=True):
            code = codes[step.node]
            credit["step"][i, code], credit["whole"][i, code], credit["used"][i, code] = share, run.quality, 1.0
    embedding = data.tasks.embedding
    tau = SonaConfig(dim=embedding.shape[1]).temperature
    mass = kernel(embedding[tasks].dot(embedding[data.runs.tasks[kept]].T), tau)
    happened = mass.dot(credit["used"])
    expected = {
        "step": mass.dot(credit["step"]) / (KAPPA + happened),
        "whole": mass.dot(credit["whole"]) / (KAPPA + happened),
        "success": mass.dot(credit["whole"]),
        "used": happened,
    }
    # Answers name only what changes something; looking up is right too, but stands in no answer.
    learned = set(range(len(data.tasks.ids))) - set(held_out.tolist())
    acting = {name for task in learned for name in function_names(data.tasks.answers[task])}
    is_looking = np.array([name not in acting for name in names])
    figures = {}
    for way, scores in expected.items():
        best = np.where(is_looking, -np.inf, scores).argmax(axis=1).tolist()
        right = [names[code] in needed[task] for task, code in zip(tasks.tolist(), best, strict=True)]
        figures[f"{way}_top1"] = float(np.mean(right))
    return figures


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    labels = {"auc": "success told", "top1": "function chosen"}
    bars = {
        f"{labels[key.split('_')[1]]}: {key.split('_')[0]}": estimate
        for key, estimate in metrics.items()
        if not key.startswith("gain")
    }
    save_bars(
        path,
        bars,
        title=f"Credit to steps, or to whole trajectories: {name}",
        value_label="AUC of success, and held-out tasks for which the function is right",
        ours=[bar for bar in bars if bar.endswith(": step")],
    )


if __name__ == "__main__":
    run_benchmark("bench_credit", __doc__, measure)
