"""Tasks in sequence: what is still known of the first when the last was learned, and what was learned of each at all.

The labels come in tasks, one after another: the domains of the data in drawn order (at most ten tasks), else five drawn
parts of the labels. Nobody is told where a task ends, and every label is a candidate all the time. Stream, seeds and
tries are those of `benchmarks.bandit`, except that the last cycle of a task is cut short at the task's end, before the
test. After each task every task is tested, by the action ranked first. Each learner has three figures, one beside the
other, because holding on is easy for who learns nothing (all means over the tasks; `forgetting_tasks.summary`):

  NAME_final     success at the end
  NAME_bwt       success at the end minus success right after learning, without the last task; forgetting is negative
  NAME_learned   success right after learning

The adapter alone: the prototypes are those of the seeds for ever, so whatever is forgotten the adapter forgot. Cycles
and the test for boundaries are the same for all. The baselines train as is ordinarily done, which is how the published
calibration trained: batches of 32, 6 passes over what is new in a cycle, a constant rate. With the suffix `_falling`
they have the core's schedule: batches of 128, 3 passes, a rate that falls to nothing within each cycle.

  frozen             no training
  naive              training on what is new and nothing else
  l2_S               and a plain L2 anchor of strength S at the weights of the last boundary
  ewc_L              and EWC with lambda L, over the range that can be configured
  naive_falling, l2_S_falling, ewc_L_falling
                     the same three with the core's schedule: what the schedule holds by itself
  best_l2            the L2 anchor of the best mean final, over strengths and both schedules, chosen on the test rows,
                     in favour of the baseline

Only with the core's schedule:

  prototypes         as naive_falling, and 32 prototypes of the seeds beside each batch, as the core's trainer has them
  replay             as naive_falling, and training on 10,000 earlier outcomes, without EWC or prototypes
  ours               the core's own cycle: 10,000 earlier outcomes, prototypes, EWC at boundaries, the gate
  ours_without_ewc   the same with lambda 0, so that nobody credits EWC with what rehearsal and the schedule do
  replay_1000, ours_1000, ours_1000_without_ewc
                     the same three with 1,000 outcomes kept, the default of `SonaConfig`
  joint              ours over the same requests shuffled: no sequence, so its bwt is 0 and learned is final

10,000 outcomes are most of such a stream: who keeps them has little to forget. The figures with 1,000 say more. Replay
and ours take more steps than naive_falling, because what they keep is trained on too.

With the bank, whose clusters grow: `bank` learns by them alone, `whole` is the engine with everything on.
`ours_boundaries` is the number of boundaries found beside the true ones: 1 is right.

How far naive falls hangs on how it is trained, so no gap over naive stands for itself: ours profits from its schedule,
rehearsal and EWC together. `naive_falling` says what the schedule does, `ours_without_ewc` what EWC does, which is
little beside 10,000 outcomes: `replay` alone ends where ours does. Measured with MiniLM, seed 0, final (bwt, learned):

                     banking77               clinc150
  frozen             .749                    .860
  naive              .360 (-.734, .947)      .696 (-.289, .956)
  naive_falling      .588 (-.434, .936)      .872 (-.089, .952)
  best_l2            .774 (l2_1_falling)     .895 (l2_0_1_falling)
    ordinary         .741 (l2_1)             .883 (l2_0_1)
  replay             .918 (-.021, .934)      .946 (-.013, .958)
  ours               .917 (-.016, .931)      .946 (-.004, .950)
  ours_without_ewc   .920 (-.020, .936)      .944 (-.011, .954)
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.arguments import Options
from benchmarks.bandit import bench_config, drive, right_at_1, seeded_engine
from benchmarks.forgetting_learners import CORE, PROTOTYPES, Baseline, Core, Rule, success_of, success_table
from benchmarks.forgetting_tasks import TaskSequence, draw_tasks, summary
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts, with_split_of
from benchmarks.plots import save_curves
from benchmarks.seeds import run_seeds, summarise
from swarm.sona import SonaConfig
from swarm.sona.adapter import Adapter
from swarm.sona.background import Learned
from swarm.sona.ewc import EwcMemory
from swarm.sona.index import Candidates, PatternIndex
from swarm.sona.vectors import Doubles

L2_STRENGTHS = (0.1, 0.3, 1.0, 3.0)
EWC_LAMBDAS = (100, 2000, 15_000)
KEPT = 10_000
KEPT_BY_DEFAULT = 1_000
_VARIANTS: Mapping[str, Mapping[str, float]] = {
    "ours_without_ewc": {"ewc_lambda": 0.0},
    "ours_1000": {"rehearsal_capacity": KEPT_BY_DEFAULT},
    "ours_1000_without_ewc": {"rehearsal_capacity": KEPT_BY_DEFAULT, "ewc_lambda": 0.0},
}
_DRAWN = ("frozen", "naive", "naive_falling", "best_l2", "replay", "ours", "bank", "whole")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """Of one seed: tables of shape (T, T) by learner, success on task u after task t; boundaries found over true."""

    tables: dict[str, Doubles]
    boundaries: float


def measure(options: Options) -> Measurement:
    """All learners for all seeds."""
    data = load_labelled_texts(options.data, options.embedder)
    results = run_seeds(partial(one_seed, data), options.seeds)
    tables = [with_best_l2(result.tables, best_l2(results)) for result in results]
    metrics = summarise([metrics_of(t, result.boundaries) for t, result in zip(tables, results, strict=True)])
    draw = partial(_draw, tables=tables, title=f"Tasks in sequence: {data.name}, {data.embedder}")
    return Measurement(data=data.name, embedder=data.embedder, metrics=metrics, draw=draw)


def one_seed(data: LabelledTexts, seed: int) -> SeedResult:
    """All learners over the tasks of one seed."""
    data = with_split_of(data, seed)
    tasks = draw_tasks(data, seed)
    config = bench_config(data.embedding.shape[1], seed)
    engine = seeded_engine(tasks.stream, config)
    known = engine.bank.index
    candidates = known.candidates()
    tables = {"frozen": _frozen(tasks, candidates, config)}
    for name, rule in rules().items():
        tables[name] = success_table(baseline_of(rule, candidates, config), tasks, candidates)
    ours = core_of(known, config)
    tables["ours"] = success_table(ours, tasks, candidates)
    for name, changes in _VARIANTS.items():
        tables[name] = success_table(core_of(known, config.updated(**changes)), tasks, candidates)
    mixed = success_table(core_of(known, config), tasks.shuffled(np.random.default_rng((seed, 2))), candidates)
    # Without a sequence only the end says something.
    tables["joint"] = np.tile(mixed[-1], (len(mixed), 1))
    tables["bank"] = engine_table(tasks, config.updated(base_lora_lr=0.0, micro_lora_lr=0.0))
    tables["whole"] = engine_table(tasks, config)
    found = 0 if ours.task is None else ours.task.tasks
    return SeedResult(tables=tables, boundaries=found / (len(tasks.requests) - 1))


def rules() -> dict[str, Rule]:
    """The baselines that train, by name; the name of a strength has `_` where its number has a dot."""
    ordinary = {
        "naive": Rule(),
        **{f"l2_{strength:g}".replace(".", "_"): Rule(l2=strength) for strength in L2_STRENGTHS},
        **{f"ewc_{strength}": Rule(ewc=float(strength)) for strength in EWC_LAMBDAS},
    }
    return {
        **ordinary,
        **{f"{name}_falling": replace(rule, schedule=CORE) for name, rule in ordinary.items()},
        "prototypes": Rule(schedule=CORE, prototypes=PROTOTYPES),
        "replay": Rule(schedule=CORE, replayed=KEPT),
        "replay_1000": Rule(schedule=CORE, replayed=KEPT_BY_DEFAULT),
    }


def engine_table(tasks: TaskSequence, config: SonaConfig) -> Doubles:
    """Success on the test rows of task u after task t, of shape (T, T), of a whole engine that learns on the way."""
    engine = seeded_engine(tasks.stream, config)
    stream = tasks.stream
    table = np.zeros((len(tasks.requests), len(tasks.tests)))
    for t, rows in enumerate(tasks.requests):
        drive(engine, stream, rows)
        for u, test in enumerate(tasks.tests):
            table[t, u] = right_at_1(engine, stream.embedding[test], stream.labels[test]).mean()
    return table


def best_l2(results: Sequence[SeedResult]) -> str:
    """The name of the L2 anchor with the best mean final, of all strengths and both schedules."""
    names = [name for name, rule in rules().items() if rule.l2]
    return max(names, key=lambda name: np.mean([summary(result.tables[name])["final"] for result in results]))


def with_best_l2(tables: Mapping[str, Doubles], best: str) -> dict[str, Doubles]:
    """`tables` with that of the L2 anchor `best` once more as `best_l2`."""
    return {**tables, "best_l2": tables[best]}


def metrics_of(tables: Mapping[str, Doubles], boundaries: float) -> dict[str, float]:
    """Three figures of each learner."""
    found = {f"{name}_{figure}": value for name, table in tables.items() for figure, value in summary(table).items()}
    return {**found, "ours_boundaries": boundaries}


def _frozen(tasks: TaskSequence, candidates: Candidates, config: SonaConfig) -> Doubles:
    """Nothing is learned, so every row is the same."""
    once = success_of(baseline_of(Rule(), candidates, config).base, tasks, candidates)
    return np.tile(once, (len(once), 1))


def baseline_of(rule: Rule, candidates: Candidates, config: SonaConfig) -> Baseline:
    """An untrained baseline that follows `rule`."""
    rng = np.random.default_rng((config.seed, 3))
    base = list(Adapter.initial(config, rng).base)
    return Baseline(rule=rule, config=config, candidates=candidates, rng=rng, base=base)


def core_of(known: PatternIndex, config: SonaConfig) -> Core:
    """An untrained adapter that learns by the core's cycles, with `known` clusters."""
    rng = np.random.default_rng((config.seed, 3))
    learned = Learned(clusters=(), base=tuple(Adapter.initial(config, rng).base), ewc=EwcMemory.empty())
    return Core(learned=learned, config=config, known=known, rng=rng)


def _draw(path: Path, tables: Sequence[Mapping[str, Doubles]], title: str) -> None:
    curves = {name.replace("_", " "): [table[name].mean(axis=1).tolist() for table in tables] for name in _DRAWN}
    tasks = len(tables[0]["ours"])
    joint = float(np.mean([table["joint"].mean() for table in tables]))
    save_curves(
        path,
        curves,
        [float(t + 1) for t in range(tasks)],
        title=title,
        x_label="tasks learned so far",
        y_label="success on the test rows of all tasks, also of those to come",
        ours=("ours", "whole"),
        levels={"joint": joint},
    )


if __name__ == "__main__":
    run_benchmark("bench_forgetting", __doc__, measure)
