"""Real runs of several agents over the same tasks: an agent's own bank beside the bank that all share.

A fifth of all pairs of agent and task is held out; the bank holds the other runs, failures too. Each held-out run
asks for its task: is the stored success that comes first a right one? Right is one of the same template (`_functions`:
one whose task needs the same functions; `_exact`: one whose task has the very same answer). Means over agents.

  own, shared          the bank of `SonaEngine`, as `SonaEngine.recall` searches it (`sona.recall`)
  own_plain, ...       the nearest success by cosine, the usual memory
  shared_base          the same search without the metric
  shared_rank          `rank_actions`: the plan with the highest expected quality, where failures count against it
  random               any success of the shared bank
  possible             whether the shared bank holds a right success at all

`_auc`: does the memory tell which held-out runs will succeed? Mean over agents; `both` is the mean of own and shared.
`_no_template`: a fifth of the templates is held out from the bank altogether, and right means the same functions.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.arguments import Options
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plans import kinds_of, plan_of
from benchmarks.plots import save_bars
from benchmarks.scores import area_under_curve
from benchmarks.seeds import Estimate, run_seeds, summarise
from benchmarks.trajectories import AgentTrajectories, load_agent_trajectories
from swarm.errors import InputError
from swarm.sona import SonaConfig, SonaEngine
from swarm.sona.clusters import Cluster, action_of
from swarm.sona.index import PatternIndex
from swarm.sona.ranking import kernel
from swarm.sona.recall import Recall
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Doubles, Flags, Integers

HELD_OUT = 0.2
MIN_OF_EACH = 3
"""An agent with fewer successes or failures among its held-out runs has no AUC."""
PRIOR_RUNS = 0.1
"""So many runs at the very place of the query the mean quality of the bank is worth."""


@dataclass(frozen=True, slots=True)
class _Bank:
    """Clusters of one scope, searched plainly and by ours. Answers are rows of the runs."""

    clusters: tuple[Cluster, ...]
    base: PatternIndex
    recall: Recall
    config: SonaConfig

    @classmethod
    def of(cls, clusters: tuple[Cluster, ...], config: SonaConfig) -> _Bank:
        base = PatternIndex(config)
        base.replace_all(clusters)
        return cls(clusters, base, Recall(clusters, config), config)

    @property
    def has_success(self) -> bool:
        return any(cluster.positive for cluster in self.clusters)

    def first(self, data: AgentTrajectories, queries: Integers, way: str) -> Integers:
        """The run that comes first for each of the tasks `queries` (k,); -1 where the bank has no success."""
        if not self.has_success:
            return np.full(len(queries), -1, dtype=np.intp)
        rows = data.tasks.embedding[queries]
        if way == "rank":
            found = [self.base.rank(x, 1)[0].pattern for x in rows]
        elif way == "base":
            found = [self.base.search(x, 1)[0].cluster for x in rows]
        else:
            found = [self.recall.search(x, 1)[0].cluster for x in rows]
        return np.array([int(cluster.exemplars[0].trajectory_id) for cluster in found], dtype=np.intp)

    def chances(self, data: AgentTrajectories, queries: Integers) -> Doubles:
        """Expected quality of shape (k,) of a run at each task, whatever its plan: a kernel regression."""
        if not self.clusters:
            return np.full(len(queries), 0.5)
        centroids = np.array([cluster.centroid for cluster in self.clusters])
        n = np.array([cluster.n for cluster in self.clusters])
        quality = np.array([cluster.sum_quality for cluster in self.clusters])
        mass = kernel(data.tasks.embedding[queries].dot(centroids.T), self.config.temperature)
        prior = PRIOR_RUNS * quality.sum() / n.sum()
        return np.asarray((prior + mass.dot(quality)) / (PRIOR_RUNS + mass.dot(n)), dtype=np.float64)


def measure(options: Options) -> Measurement:
    """Both protocols for all seeds."""
    data = load_agent_trajectories(options.data, options.embedder)
    metrics = summarise(run_seeds(partial(one_seed, data), options.seeds))
    return Measurement(
        data=data.name, embedder=data.embedder, metrics=metrics, draw=partial(_draw, metrics=metrics, name=data.name)
    )


def one_seed(data: AgentTrajectories, seed: int) -> dict[str, float]:
    """All metrics of one split."""
    rng = np.random.default_rng(seed)
    runs, tasks = data.runs, data.tasks
    cells = rng.random((len(runs.agent_names), len(tasks.ids))) < HELD_OUT
    templates = rng.random(len(tasks.template_names)) < HELD_OUT
    found = _measured(data, cells[runs.agents, runs.tasks], rng, "")
    found.update(_measured(data, templates[tasks.templates[runs.tasks]], rng, "no_template_"))
    return found


def _measured(data: AgentTrajectories, is_held_out: Flags, rng: np.random.Generator, tag: str) -> dict[str, float]:
    runs = data.runs
    kept, asked = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
    stored = kept[runs.success[kept]]
    if not len(asked) or not len(stored):
        raise InputError(f"held-out runs and stored successes must be at least 1, got {len(asked)} and {len(stored)}")
    config = SonaConfig(dim=data.tasks.embedding.shape[1], pattern_clusters=1000, join_similarity=1.0)
    clusters = _learned(data, kept, config)
    shared = _Bank.of(clusters, config)
    queries = runs.tasks[asked]
    first = {f"shared{end}": shared.first(data, queries, way) for end, way in _WAYS.items()}
    first["shared_plain"] = _nearest(data, stored, queries)
    first["random"] = stored[rng.integers(len(stored), size=len(asked))]
    first["own"], first["own_plain"] = np.full((2, len(asked)), -1, dtype=np.intp)
    chances = {"shared": shared.chances(data, queries), "own": np.zeros(len(asked))}
    for agent, name in enumerate(runs.agent_names):
        mine = runs.agents[asked] == agent
        own = _Bank.of(tuple(cluster for cluster in clusters if name in cluster.agents), config)
        first["own"][mine] = own.first(data, queries[mine], "metric")
        first["own_plain"][mine] = _nearest(data, stored[runs.agents[stored] == agent], queries[mine])
        chances["own"][mine] = own.chances(data, queries[mine])
    chances["both"] = (chances["own"] + chances["shared"]) / 2.0
    figures = _right(data, asked, stored, first, tag)
    figures |= {f"{name}_{tag}auc": _auc(data, asked, chance) for name, chance in chances.items()}
    return figures


_WAYS = {"": "metric", "_base": "base", "_rank": "rank"}


def _learned(data: AgentTrajectories, kept: Integers, config: SonaConfig) -> tuple[Cluster, ...]:
    """What the engine of an agent without outcomes of its own keeps of the others' runs."""
    engine = SonaEngine(config.updated(trajectory_capacity=max(100, len(kept))), agent="observer")
    runs = data.runs
    for row in kept.tolist():
        plan = plan_of(runs.calls[row])
        engine.submit_trajectory(
            Trajectory(
                id=str(row),
                embedding=data.tasks.embedding[runs.tasks[row]],
                quality=float(runs.success[row]),
                action=action_of(plan),
                response=plan,
                agent=runs.agent_names[runs.agents[row]],
                at_s=float(row),
            )
        )
    engine.force_learn()
    return engine.bank.clusters()


def _nearest(data: AgentTrajectories, stored: Integers, queries: Integers) -> Integers:
    if not len(stored):
        return np.full(len(queries), -1, dtype=np.intp)
    embedding = data.tasks.embedding
    similarities = embedding[queries].dot(embedding[data.runs.tasks[stored]].T)
    return np.asarray(stored[similarities.argmax(axis=1)], dtype=np.intp)


def _right(
    data: AgentTrajectories, asked: Integers, stored: Integers, first: dict[str, Integers], tag: str
) -> dict[str, float]:
    """How often the first success is right, by each meaning of right, and whether it could have been."""
    template, functions, answers = kinds_of(data.tasks)
    # Without the query's template in the bank nothing of that template can be found.
    kinds = {"": functions, "exact_": answers} if tag else {"": template, "functions_": functions, "exact_": answers}
    tasks = data.runs.tasks
    found = {}
    for name, kind in kinds.items():
        wanted = kind[tasks[asked]]
        for way, rows in first.items():
            right = (rows >= 0) & (kind[tasks[rows]] == wanted)
            found[f"{way}_{tag}{name}top1"] = _mean_over_agents(data, asked, right)
        found[f"possible_{tag}{name}top1"] = _mean_over_agents(data, asked, np.isin(wanted, kind[tasks[stored]]))
    return found


def _mean_over_agents(data: AgentTrajectories, asked: Integers, right: Flags) -> float:
    agents = data.runs.agents[asked]
    return float(np.mean([right[agents == agent].mean() for agent in np.unique(agents)]))


def _auc(data: AgentTrajectories, asked: Integers, chances: Doubles) -> float:
    agents, success = data.runs.agents[asked], data.runs.success[asked]
    areas = []
    for agent in np.unique(agents):
        mine = agents == agent
        if min(success[mine].sum(), (~success[mine]).sum()) >= MIN_OF_EACH:
            areas.append(area_under_curve(chances[mine], success[mine]))
    if not areas:
        raise InputError(f"no agent has {MIN_OF_EACH} successes and {MIN_OF_EACH} failures among its held-out runs")
    return float(np.mean(areas))


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    wanted = [key for key in metrics if key.endswith("_top1") and "functions" not in key and "exact" not in key]
    bars = {key.removesuffix("_top1").replace("_", " "): metrics[key] for key in wanted}
    save_bars(
        path,
        bars,
        title=f"The first stored success is a right one: {name}",
        value_label="held-out runs for which it is right, mean over agents",
        ours=("shared", "own", "shared no template", "own no template"),
    )


if __name__ == "__main__":
    run_benchmark("bench_sharing", __doc__, measure)
