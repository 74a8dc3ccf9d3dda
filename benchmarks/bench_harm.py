"""What feedback that is wrong, patterns that nobody asked for, and strangers do to an agent: never worse than frozen?

Protocol and configuration are those of `benchmarks.bandit`; where the data has descriptions (`tools.jsonl.gz`) the
patterns are seeded by those alone and all training rows are the stream, else by 5 training rows of each label. All
figures are success@1 on test rows after the stream, three tries at most for a request.

  frozen           the seeds alone
  honest           the agent is told right or wrong
  shuffled         the rewards of each cycle's outcomes are permuted among these: as many successes as are true, given
                   to the wrong ones. Therefore the engine gets them at the end of the cycle; how far the agent
                   goes down its list is as if it had been told the truth
  inverted         told the opposite; it goes on until it is told a success
  wrong20, wrong40 each report is the opposite with a probability of 0.2, 0.4
  always_success   whatever is tried is told to be right
  NAME_dip         the most that the case ever fell below frozen, >= 0; the test rows are looked at every 1,000 events
  NAME_quarantined whether the engine does not believe the agent at the end (0 or 1)

  unseen, seen     a fifth of the labels never occurs in the stream, though their patterns are known from the start:
                   their test rows, and those of the labels that do occur; beside `_frozen` of the same rows
  added            a tenth of the labels does not exist until the stream is over; then their patterns are given. In the
                   same run. All three are asked when all patterns are there
  ..._mrr10        with descriptions also the mean of 1 / place among the first ten

  foreign_before   the honest agent alone (`--data DIR` beside its own `--foreign DIR`; by default the documentation of
                   the standard library, embedded alike. If the standard library is the data itself: half of its labels,
                   drawn by the seed, beside the other half)
  foreign_after    the same agent, with its adapter, when another agent that has learned from the foreign requests, and
                   that one's library, share its bank (`services.merge.bank_of`): more labels compete
  foreign_frozen   frozen with both libraries
  guest_...        the same for the foreign agent on its own test rows

  worst_loss       the largest of max(0, frozen - case) over all cases, each beside frozen on the same rows
  worst_dip        the largest of all dips

Nothing is chosen by the test rows. Rows out of scope are left out.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.arguments import Options, say
from benchmarks.bandit import (
    Judge,
    Stream,
    Tamper,
    bench_config,
    drive,
    engine_knowing,
    give,
    is_quarantined,
    labels_of,
    scores,
    success_at_1,
)
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import STANDARD_LIBRARY, LabelledTexts, load_labelled_texts, with_split_of
from benchmarks.plots import save_bars
from benchmarks.retrieval import ranks_of
from benchmarks.seeds import Estimate, run_seeds, summarise
from benchmarks.starts import Start, draw_start
from swarm.services.merge import bank_of
from swarm.sona import SonaEngine
from swarm.sona.clusters import Cluster
from swarm.sona.index import PatternIndex
from swarm.sona.standing import Verdict
from swarm.sona.vectors import Doubles, Flags, Integers, Vector

LOOKED_AT_EVERY = 1000
UNSEEN_SHARE = 0.2
ADDED_SHARE = 0.1
GUEST = "guest"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """How the feedback is spoilt: the judge of a stream, and what is made of a cycle's rewards."""

    judge: Callable[[Stream, np.random.Generator], Judge | None] = lambda stream, rng: None
    tamper: Callable[[np.random.Generator], Tamper | None] = lambda rng: None


def _flipped(share: float) -> Callable[[Stream, np.random.Generator], Judge]:
    def of(stream: Stream, rng: np.random.Generator) -> Judge:
        return lambda row, label: abs(stream.right_or_wrong(row, label) - float(rng.random() < share))

    return of


CASES = {
    "honest": _Case(),
    "shuffled": _Case(tamper=lambda rng: rng.permutation),
    "inverted": _Case(judge=_flipped(1.0)),
    "wrong20": _Case(judge=_flipped(0.2)),
    "wrong40": _Case(judge=_flipped(0.4)),
    "always_success": _Case(judge=lambda stream, rng: lambda row, label: 1.0),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The option of this benchmark alone."""
    parser.add_argument("--foreign", type=Path, metavar="DIR", help="folder of the other agents' data")


def measure(options: Options) -> Measurement:
    """All cases for all seeds."""
    data = load_labelled_texts(options.data, options.embedder)
    if data.out_of_scope.any():
        say(f"rows out of scope, left out: {int(data.out_of_scope.sum()):,}")
    folder = options.extra.foreign
    foreign = None
    if folder is not None or data.name != STANDARD_LIBRARY:
        foreign = load_labelled_texts(folder, data.embedder)
    metrics = summarise(run_seeds(partial(one_seed, data, foreign), options.seeds))
    return Measurement(
        data=data.name,
        embedder=data.embedder,
        metrics=metrics,
        draw=partial(_draw, metrics=metrics, name=f"{data.name}, {data.embedder}"),
    )


def one_seed(data: LabelledTexts, foreign: LabelledTexts | None, seed: int) -> dict[str, float]:
    """All metrics of one stream; without foreign data the labels are halved."""
    data = with_split_of(data, seed)
    start = draw_start(data, seed)
    frozen = success_at_1(_engine(start), start.stream)
    found = {"frozen": frozen}
    losses, dips = [], []
    for name, case in CASES.items():
        engine, success, dip = _spoilt(start, case, frozen)
        if name == "honest":
            truthful = engine
        found |= {name: success, f"{name}_dip": dip, f"{name}_quarantined": float(is_quarantined(engine))}
        losses.append(frozen - success)
        dips.append(dip)
    for figures in (
        _not_asked_for(data, start),
        halved(start) if foreign is None else _joined(truthful, start, _start_of(foreign, seed)),
    ):
        found |= figures
        losses += _losses(figures)
    return found | {"worst_loss": max(0.0, *losses), "worst_dip": max(dips)}


def _engine(start: Start, agent: str = "self") -> SonaEngine:
    stream = start.stream
    return engine_knowing(start.known, start.labels, bench_config(stream.embedding.shape[1], stream.seed), agent)


def _spoilt(start: Start, case: _Case, frozen: float) -> tuple[SonaEngine, float, float]:
    """An engine after the stream with such feedback, its success, and how far it ever fell below frozen."""
    stream, rng = start.stream, np.random.default_rng((start.stream.seed, 1))
    engine = _engine(start)
    lowest, looked = frozen, 0

    def look(events: int) -> None:
        nonlocal lowest, looked
        if events - looked >= LOOKED_AT_EVERY:
            lowest, looked = min(lowest, success_at_1(engine, stream)), events

    drive(engine, stream, judge=case.judge(stream, rng), tamper=case.tamper(rng), watch=look)
    success = success_at_1(engine, stream)
    return engine, success, frozen - min(lowest, success)


# Patterns that nobody asked for


def _not_asked_for(data: LabelledTexts, start: Start) -> dict[str, float]:
    stream = start.stream
    unseen, added = _absent(start, len(data.label_names))
    seen = ~unseen & ~added
    engine = _engine(start.knowing(~added))
    drive(engine, stream, start.asked(seen))
    later = start.knowing(added)
    give(engine, later.known, later.labels, "-later")
    frozen = _engine(start)
    found: dict[str, float] = {}
    for name, wanted in (("unseen", unseen), ("seen", seen), ("added", added)):
        rows = stream.test[wanted[stream.labels[stream.test]]]
        places = {f"{name}_frozen": _places(frozen, stream, rows), name: _places(engine, stream, rows)}
        found |= {key: float((place <= 1).mean()) for key, place in places.items()}
        if data.tools is not None:
            found |= {
                f"{key}_mrr10": float(np.where(place <= 10, 1.0 / place, 0.0).mean()) for key, place in places.items()
            }
    return found


def _absent(start: Start, m: int) -> tuple[Flags, Flags]:
    """Labels of shape (m,) that never occur in the stream, and labels that do not exist before its end."""
    stream = start.stream
    # Of the labels that can be measured; at least one is left to learn from.
    whole = np.intersect1d(start.known_labels, stream.labels[stream.test])
    drawn = np.random.default_rng((stream.seed, 2)).permutation(whole)
    first = max(1, round(UNSEEN_SHARE * len(whole)))
    last = first + max(1, round(ADDED_SHARE * len(whole)))
    unseen, added = np.zeros((2, m), dtype=np.bool_)
    unseen[drawn[:first]] = True
    added[drawn[first:last]] = True
    return unseen, added


def _places(engine: SonaEngine, stream: Stream, rows: Integers) -> Doubles:
    return ranks_of(scores(engine, stream.embedding[rows]), labels_of(engine), stream.labels[rows])


# Strangers


def _start_of(foreign: LabelledTexts, seed: int) -> Start:
    return draw_start(with_split_of(foreign, seed), seed)


def halved(start: Start) -> dict[str, float]:
    """Half of the labels are the other data set."""
    stream = start.stream
    labels = np.random.default_rng((stream.seed, 3)).permutation(start.known_labels)
    home = np.zeros(int(stream.labels.max()) + 1, dtype=np.bool_)
    home[labels[: (len(labels) + 1) // 2]] = True
    ours, theirs = (_part(start, wanted) for wanted in (home, ~home))
    engine = _engine(ours)
    drive(engine, ours.stream)
    return _joined(engine, ours, theirs)


def _part(start: Start, wanted: Flags) -> Start:
    """Stream, test rows and what is known of these labels alone."""
    part, stream = start.knowing(wanted), start.stream
    test = stream.test[wanted[stream.labels[stream.test]]]
    return replace(part, stream=replace(stream, requests=start.asked(wanted), test=test))


def _joined(ours: SonaEngine, home: Start, abroad: Start) -> dict[str, float]:
    """`ours` has learned at home; a guest learns abroad, then both share one bank."""
    # The guest's labels are numbered behind those of the host: they are other actions.
    offset = int(max(home.stream.labels.max(), home.labels.max())) + 1
    abroad = replace(
        abroad,
        stream=replace(abroad.stream, labels=abroad.stream.labels + offset),
        labels=abroad.labels + offset,
    )
    guest = _engine(abroad, GUEST)
    drive(guest, abroad.stream)
    parts: dict[str, tuple[Cluster, ...]] = {}
    verdicts: dict[str, Verdict] = {}
    given: dict[str, tuple[Cluster, ...]] = {}
    for engine in (ours, guest):
        library = f"library-of-{engine.agent}"
        given[library] = engine.bank.part("library")
        parts |= {library: given[library], engine.agent: engine.bank.part(engine.agent)}
        verdicts |= {library: Verdict.TRUSTED, engine.agent: engine.standing.verdict}
    shared, frozen = PatternIndex(ours.config), PatternIndex(ours.config)
    shared.replace_all(bank_of(parts, verdicts))
    frozen.replace_all(bank_of(given, {}))
    found: dict[str, float] = {}
    for name, engine, stream in (("foreign", ours, home.stream), ("guest", guest, abroad.stream)):
        x, labels = stream.embedding[stream.test], stream.labels[stream.test]
        found |= {
            f"{name}_before": success_at_1(engine, stream),
            f"{name}_frozen": _share_right(frozen, x, x, labels),
            f"{name}_after": _share_right(shared, x, engine.apply_lora(x), labels),
        }
    return found


def _share_right(index: PatternIndex, x: Vector, y: Vector, labels: Integers) -> float:
    names = [
        int(name) for at in range(0, len(x), 512) for name in index.rank_batch(x[at : at + 512], y=y[at : at + 512])
    ]
    return float((np.array(names) == labels).mean())


def _losses(figures: dict[str, float]) -> list[float]:
    """frozen - case of every case among the figures, on the same rows."""
    pairs = [(key, key.replace("_frozen", "")) for key in figures if "_frozen" in key]
    return [figures[frozen] - figures[case if case in figures else f"{case}_after"] for frozen, case in pairs]


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    wanted = [key for key in metrics if not key.endswith(("_dip", "_quarantined", "_loss", "_mrr10"))]
    save_bars(
        path,
        {key.replace("_", " "): metrics[key] for key in wanted},
        title=f"Wrong feedback, patterns that came later, strangers: {name}",
        value_label="right at first try, on test requests",
        ours=[key.replace("_", " ") for key in wanted if "frozen" not in key],
        reference=("frozen", metrics["frozen"].mean),
    )


if __name__ == "__main__":
    run_benchmark("bench_harm", __doc__, measure, add_arguments=add_arguments)
