"""Success against the number of feedback events, bandit feedback only: the tiers alone and together, beside bounds.

Protocol and configuration are those of `benchmarks.bandit`: 5 seeds for each label, then the rest of the training rows
as a stream; the agent tries what it ranks first, and at most two more where that was wrong; each try is an event, and
nobody is told the right label. All figures are success@1 on the test rows, after the whole stream. Rows out of scope
are left out, from the stream and from the test.

  frozen           the seeds alone
  micro            the seeds' clusters stay; only loop A learns, one step of the micro tier for each event
  bank             no adapter (both learning rates are 0); the clusters learn
  base             the seeds' clusters stay; only loop B's base tier learns, against them, with gate and rehearsal
                   (both rank by the adapter alone, `bandit.adapter_scores`: over fixed seeds nothing backs any action,
                   and the engine's novelty guard would make either of them the frozen ranking by construction)
  all              the engine as it is
  published_rule   what the published engine does with the same feedback, see `benchmarks.published`
  logistic_bound   logistic regression, told the label of every training row
  knn_bound        10 nearest neighbours, told the same
  share_of_gap     (all - frozen) / (the higher bound - frozen)
  worst_dip        the most that `all` ever fell below frozen, >= 0, in units of success; measured on the test rows at
                   least every 500 events (every 250 events, and after every 50 requests that fill them)
  all_events       how many events the stream of `all` had
  all_quarantined  share of seeds in which the engine ended up not believing its honest agent (`all` is frozen then)

Nothing is chosen by the test rows: they are only looked at.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.arguments import Options, say
from benchmarks.bandit import (
    Scorer,
    Stream,
    adapter_cycle,
    adapter_scores,
    bench_config,
    draw_stream,
    drive,
    is_quarantined,
    scores,
    seeded_engine,
    success_at_1,
)
from benchmarks.bounds import logistic_scores, neighbour_scores, share_right
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts, with_split_of
from benchmarks.plots import save_curves
from benchmarks.published import PublishedRule, drive_published
from benchmarks.seeds import Estimate, run_seeds, summarise
from swarm.sona import SonaEngine

EVALUATED_EVERY = 250
"""Events, at least, between two looks at the test rows; a look comes after 50 requests, so at most 400 apart."""
_POINTS = 60
_NO_GAP = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Success@1 on the test rows of those who see every label."""

    logistic: float
    neighbours: float


@dataclass(slots=True)
class Curve:
    """Success@1 on the test rows at numbers of feedback events, the first of them 0."""

    events: list[int] = field(default_factory=list)
    success: list[float] = field(default_factory=list)
    quarantined: bool = False
    """Whether the learner's feedback was not believed at the end."""

    def add(self, events: int, success: float) -> None:
        self.events.append(events)
        self.success.append(success)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One seed: its metrics, and a curve for each learner."""

    metrics: dict[str, float]
    curves: dict[str, Curve]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learner:
    """Which parts of the engine learn."""

    changes: dict[str, float]
    cycle: Callable[[SonaEngine], object]
    score: Scorer = scores


_LEARNERS = {
    "micro": _Learner(changes={"base_lora_lr": 0.0}, cycle=SonaEngine.discard, score=adapter_scores),
    "bank": _Learner(changes={"micro_lora_lr": 0.0, "base_lora_lr": 0.0}, cycle=SonaEngine.force_learn),
    "base": _Learner(changes={"micro_lora_lr": 0.0}, cycle=adapter_cycle, score=adapter_scores),
    "all": _Learner(changes={}, cycle=SonaEngine.force_learn),
}


def measure(options: Options) -> Measurement:
    """All learners for all seeds."""
    data = load_labelled_texts(options.data, options.embedder)
    if data.out_of_scope.any():
        say(f"rows out of scope, left out: {int(data.out_of_scope.sum()):,}")
    # Where the data has a split of its own the bounds are the same for every seed.
    bounds = bounds_of(data) if data.has_own_split else None
    runs = run_seeds(partial(one_seed, data, bounds), options.seeds)
    metrics = summarise([run.metrics for run in runs])
    return Measurement(
        data=data.name,
        embedder=data.embedder,
        metrics=metrics,
        draw=partial(_draw, runs=runs, metrics=metrics, name=f"{data.name}, {data.embedder}"),
    )


def bounds_of(data: LabelledTexts) -> Bounds:
    """What those reach who see every label."""
    return Bounds(
        logistic=share_right(logistic_scores(data), data), neighbours=share_right(neighbour_scores(data), data)
    )


def one_seed(data: LabelledTexts, bounds: Bounds | None, seed: int) -> Run:
    """All learners over one stream."""
    data = with_split_of(data, seed)
    bounds = bounds_of(data) if bounds is None else bounds
    stream = draw_stream(data, seed)
    curves = {name: learned_curve(stream, learner) for name, learner in _LEARNERS.items()}
    curves["published_rule"] = Curve(*drive_published(PublishedRule(stream), stream, EVALUATED_EVERY))
    return Run(metrics=_metrics(curves, bounds), curves=curves)


def learned_curve(stream: Stream, learner: _Learner) -> Curve:
    """Drive one learner over the stream, and look at the test rows on the way."""
    engine = seeded_engine(stream, bench_config(stream.embedding.shape[1], stream.seed, **learner.changes))
    curve = Curve()
    curve.add(0, success_at_1(engine, stream, learner.score))

    def look(events: int) -> None:
        if events - curve.events[-1] >= EVALUATED_EVERY:
            curve.add(events, success_at_1(engine, stream, learner.score))

    driven = drive(engine, stream, score=learner.score, cycle=partial(learner.cycle, engine), watch=look)
    # Once more after the last cycle, even where a look came just before it.
    curve.add(driven.events, success_at_1(engine, stream, learner.score))
    curve.quarantined = is_quarantined(engine)
    return curve


def _metrics(curves: dict[str, Curve], bounds: Bounds) -> dict[str, float]:
    frozen, ours = curves["all"].success[0], curves["all"].success[-1]
    gap = max(bounds.logistic, bounds.neighbours) - frozen
    return {
        "frozen": frozen,
        **{name: curves[name].success[-1] for name in ("micro", "bank", "base", "all", "published_rule")},
        "logistic_bound": bounds.logistic,
        "knn_bound": bounds.neighbours,
        # Where the bounds are no better than frozen there is nothing to close.
        "share_of_gap": (ours - frozen) / gap if gap > _NO_GAP else float(ours >= frozen),
        "worst_dip": max(0.0, frozen - min(curves["all"].success)),
        "all_events": float(curves["all"].events[-1]),
        "all_quarantined": float(curves["all"].quarantined),
    }


def _draw(path: Path, runs: Sequence[Run], metrics: dict[str, Estimate], name: str) -> None:
    # The streams of the seeds differ a little in events: each curve is drawn as far as all of them go.
    x, y = {}, {}
    for learner in runs[0].curves:
        curves = [run.curves[learner] for run in runs]
        x[learner] = np.linspace(0.0, min(curve.events[-1] for curve in curves), _POINTS).tolist()
        y[learner] = [np.interp(x[learner], curve.events, curve.success).tolist() for curve in curves]
    save_curves(
        path,
        y,
        x,
        title=f"Learning from right or wrong: {name}",
        x_label="feedback events (tries that were told right or wrong)",
        y_label="right at first try, on test requests",
        ours=("all",),
        levels={
            "frozen": metrics["frozen"].mean,
            "logistic bound": metrics["logistic_bound"].mean,
            "knn bound": metrics["knn_bound"].mean,
        },
    )


if __name__ == "__main__":
    run_benchmark("bench_learning", __doc__, measure)
