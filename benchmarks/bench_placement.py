"""Learned placement: does the agent that is chosen for a task succeed more often than any agent of its role?

The choice is the service's (`services.placement.choose`), without load and without the task in twenty that is explored.
It looks at what all agents did with the other tasks, success and failure. Two forms of data:

Trajectories, real runs of several agents over the same tasks. A fifth of the tasks is held out from the bank.
`_no_template`: a fifth of the templates.

Labelled texts: agents that each see one domain, as in `bench_transfer`, and that answer by what the library gave and by
their own outcomes alone. The tasks are the test rows of ALL domains.

  placed       the agent that is chosen
  random       any agent: the mean over them
  best_agent   always the agent that succeeded most often in what the bank holds (of labelled texts: on the test rows)
  possible     whether any agent succeeds
  owner        of labelled texts: the agent whose domain it is
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
from benchmarks.bandit import bench_config
from benchmarks.bench_transfer import CLUSTERS_OF_ONE, CYCLE_OF_ONE, groups_of
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts, with_split_of
from benchmarks.plans import plan_of
from benchmarks.plots import save_bars
from benchmarks.seeds import Estimate, run_seeds, summarise
from benchmarks.starts import draw_start
from benchmarks.swarm_sim import SimulatedSwarm, given, honest
from benchmarks.trajectories import AgentTrajectories, load_agent_trajectories
from swarm.errors import InputError
from swarm.services.placement import NEAREST, choose
from swarm.sona import SonaConfig, SonaEngine, Trajectory
from swarm.sona.clusters import action_of
from swarm.sona.index import PatternIndex
from swarm.sona.standing import Verdict
from swarm.sona.vectors import Doubles, Flags, Integers, Vector

HELD_OUT = 0.2


def measure(options: Options) -> Measurement:
    """All seeds, by the form of the data."""
    if options.data is not None and any(options.data.glob("trajectories.jsonl*")):
        runs = load_agent_trajectories(options.data, options.embedder)
        metrics = summarise(run_seeds(partial(seed_of_runs, runs), options.seeds))
        name, embedder = runs.name, runs.embedder
    else:
        texts = load_labelled_texts(options.data, options.embedder)
        metrics = summarise(run_seeds(partial(seed_of_texts, texts), options.seeds))
        name, embedder = texts.name, texts.embedder
    return Measurement(
        data=name, embedder=embedder, metrics=metrics, draw=partial(_draw, metrics=metrics, name=f"{name}, {embedder}")
    )


# Trajectories


def seed_of_runs(data: AgentTrajectories, seed: int) -> dict[str, float]:
    """All metrics of one split."""
    rng = np.random.default_rng(seed)
    tasks = rng.random(len(data.tasks.ids)) < HELD_OUT
    templates = (rng.random(len(data.tasks.template_names)) < HELD_OUT)[data.tasks.templates]
    return _of_runs(data, tasks, "") | _of_runs(data, templates, "_no_template")


def _of_runs(data: AgentTrajectories, held_out: Flags, tag: str) -> dict[str, float]:
    runs, k = data.runs, len(data.runs.agent_names)
    kept = np.flatnonzero(~held_out[runs.tasks])
    success, n = np.zeros((2, k, len(held_out)))
    np.add.at(success, (runs.agents, runs.tasks), runs.success)
    np.add.at(n, (runs.agents, runs.tasks), 1.0)
    asked = np.flatnonzero(held_out & (n > 0.0).all(axis=0))
    if not len(asked) or not len(kept):
        raise InputError(f"tasks asked and runs kept must be at least 1, got {len(asked)} and {len(kept)}")
    rates = success[:, asked] / n[:, asked]
    index = _bank(data, kept)
    placed = [_placed(index, x, runs.agent_names) for x in data.tasks.embedding[asked]]
    past = [runs.success[kept][runs.agents[kept] == agent].mean() for agent in range(k)]
    return _figures(rates, placed, int(np.argmax(past)), tag)


def _bank(data: AgentTrajectories, kept: Integers) -> PatternIndex:
    config = SonaConfig(dim=data.tasks.embedding.shape[1], pattern_clusters=1000, join_similarity=1.0)
    engine = SonaEngine(config.updated(trajectory_capacity=max(100, len(kept))), agent="observer")
    runs = data.runs
    for row in kept.tolist():
        engine.submit_trajectory(
            Trajectory(
                id=str(row),
                embedding=data.tasks.embedding[runs.tasks[row]],
                quality=float(runs.success[row]),
                action=action_of(plan_of(runs.calls[row])),
                agent=runs.agent_names[runs.agents[row]],
                at_s=float(row),
            )
        )
    engine.force_learn()
    return engine.bank.index


# Labelled texts


def seed_of_texts(data: LabelledTexts, seed: int) -> dict[str, float]:
    """All metrics of one draw of seeds and stream."""
    data = with_split_of(data, seed)
    start = draw_start(data, seed)
    stream, group = start.stream, groups_of(data, start, seed)
    domains = np.intersect1d(group[stream.requests], group[stream.test]).tolist()
    requests = [(f"agent-{k}", stream.requests[group[stream.requests] == k], honest(stream)) for k in domains]
    dim = data.embedding.shape[1]
    library = given(start.known, start.labels, bench_config(dim, seed))
    config = bench_config(dim, seed, pattern_clusters=CLUSTERS_OF_ONE)
    right = []
    for one in requests:
        alone = SimulatedSwarm(stream, library, [one], config)
        alone.run(CYCLE_OF_ONE)
        right.append(alone.right_at_1(alone.members[0]))
    joined = SimulatedSwarm(stream, library, requests, config)
    joined.run(CYCLE_OF_ONE)
    names = [name for name, _, _ in requests]
    placed = [_placed(joined.index, x, names) for x in stream.embedding[stream.test]]
    rates = np.array(right, dtype=np.float64)
    owners = [domains.index(k) if k in domains else 0 for k in group[stream.test].tolist()]
    found = _figures(rates, placed, int(rates.mean(axis=1).argmax()), "")
    return found | {"owner": float(rates[owners, np.arange(len(owners))].mean())}


# Both


def _placed(index: PatternIndex, x: Vector, agents: Sequence[str]) -> int:
    """Position of the agent that the service would choose; all are without load."""
    near, verdicts = index.nearest(x, NEAREST), dict.fromkeys(agents, Verdict.TRUSTED)
    return list(agents).index(choose(near, {}, verdicts, index.temperature, _NOT_EXPLORED).agent)


_NOT_EXPLORED = "a"
"""A seed with which `choose` takes the best."""


def _figures(rates: Doubles, placed: Sequence[int], best: int, tag: str) -> dict[str, float]:
    """`rates` of shape (agents, tasks): how often each agent succeeds with each task."""
    return {
        f"placed{tag}": float(rates[placed, np.arange(len(placed))].mean()),
        f"random{tag}": float(rates.mean()),
        f"best_agent{tag}": float(rates[best].mean()),
        f"possible{tag}": float(rates.max(axis=0).mean()),
    }


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    save_bars(
        path,
        {key.replace("_", " "): value for key, value in metrics.items()},
        title=f"Who gets the task: {name}",
        value_label="share of held-out tasks that the agent succeeds with",
        ours=("placed", "placed no template"),
    )


if __name__ == "__main__":
    run_benchmark("bench_placement", __doc__, measure)
