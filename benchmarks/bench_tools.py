"""The right tool for a request, from descriptions alone and then from feedback: recall@1, recall@5 and MRR@10.

Needs a folder with descriptions (`tools.jsonl.gz`). Each tool is known by its description, given as one outcome of
`library`, and by nothing else; all training rows are the stream. As in `benchmarks.bandit`, with one difference: the
agent works down its list until a tool works, `TRIES` = 10 at most, which is the list that MRR@10 looks at. Each try is
one feedback event, right or wrong about the tool that was tried. Rankings are of the test rows, all tools competing;
equal scores count as the worse place for all but the first. Rows out of scope are left out. A tool without
description can be found by nobody but the bound.

  raw             similarity to the description
  past_success    the highest similarity to the description or to a request that the tool answered before, in the very
                  feedback that `ours` got
  past_success_own  the same memory meeting the stream by itself: it tries by its own ranking and learns from that; it
                  finds fewer of the right tools, so that alone it would be the weaker baseline
  logistic_bound  logistic regression, told the tool of every training row
  ours_cold       the engine before the stream
  ours            the engine after it
  adapter_only    the clusters stay at the descriptions, both tiers of the adapter learn, and they alone rank
                  (`bandit.adapter_scores`: over fixed seeds the novelty guard lets no adapter through)

`ours_events` and `past_success_own_events` say how many tries the stream took, `ours_quarantined` the share of seeds in
which the engine ended up not believing its honest agent: then `ours` is the ranking of the descriptions.
Nothing is chosen by the test rows.
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

from benchmarks.arguments import Options, say
from benchmarks.bandit import (
    ASKED_AT_ONCE,
    Scorer,
    Stream,
    adapter_cycle,
    adapter_scores,
    bench_config,
    draw_stream,
    drive,
    engine_knowing,
    is_quarantined,
    labels_of,
    scores,
)
from benchmarks.bounds import logistic_scores
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import LabelledTexts, Tools, load_labelled_texts, with_split_of
from benchmarks.plots import save_bars
from benchmarks.retrieval import PastSuccesses, figures_of, ranks_of
from benchmarks.seeds import Estimate, run_seeds, summarise
from swarm.sona import SonaEngine
from swarm.sona.vectors import Doubles

TRIES = 10


def measure(options: Options) -> Measurement:
    """All ways to find a tool, for all seeds."""
    data = load_labelled_texts(options.data, options.embedder, needs_tools=True)
    if data.out_of_scope.any():
        say(f"rows out of scope, left out: {int(data.out_of_scope.sum()):,}")
    # Where the data has a split of its own the bound is the same for every seed.
    bound = bound_of(data) if data.has_own_split else None
    metrics = summarise(run_seeds(partial(one_seed, data, bound), options.seeds))
    return Measurement(
        data=data.name,
        embedder=data.embedder,
        metrics=metrics,
        draw=partial(_draw, metrics=metrics, name=f"{data.name}, {data.embedder}"),
    )


def bound_of(data: LabelledTexts) -> dict[str, float]:
    """The figures of logistic regression that sees every label."""
    columns = np.arange(len(data.label_names))
    return figures_of("logistic_bound", ranks_of(logistic_scores(data), columns, data.labels[data.test]))


def one_seed(data: LabelledTexts, bound: dict[str, float] | None, seed: int) -> dict[str, float]:
    """All metrics of one stream."""
    data = with_split_of(data, seed)
    tools = data.tools
    assert tools is not None
    stream = draw_stream(data, seed, per_label=0)
    x, labels = stream.embedding[stream.test], stream.labels[stream.test]
    memory = PastSuccesses(tools.embedding)
    found = figures_of("raw", ranks_of(memory.scores(x), tools.labels, labels))
    engine = _engine(stream, tools)
    found |= figures_of("ours_cold", _ranks(engine, stream, scores))
    worked: list[tuple[int, int]] = []

    def judge(row: int, label: int) -> float:
        quality = stream.right_or_wrong(row, label)
        if quality:
            worked.append((row, label))
        return quality

    driven = drive(engine, stream, tries=TRIES, judge=judge)
    found |= figures_of("ours", _ranks(engine, stream, scores))
    remember(memory, stream, tools, worked)
    found |= figures_of("past_success", ranks_of(memory.scores(x), tools.labels, labels))
    own = PastSuccesses(tools.embedding)
    own_events = drive_memory(own, stream, tools)
    found |= figures_of("past_success_own", ranks_of(own.scores(x), tools.labels, labels))
    found |= bound_of(data) if bound is None else bound
    alone = _engine(stream, tools)
    drive(alone, stream, tries=TRIES, score=adapter_scores, cycle=partial(adapter_cycle, alone))
    found |= figures_of("adapter_only", _ranks(alone, stream, adapter_scores))
    return {
        **found,
        "ours_events": float(driven.events),
        "past_success_own_events": float(own_events),
        "ours_quarantined": float(is_quarantined(engine)),
    }


def drive_memory(memory: PastSuccesses, stream: Stream, tools: Tools) -> int:
    """Let the memory meet the stream as `bandit.drive` lets an engine; how many tries that took."""
    events = 0
    for start in range(0, len(stream.requests), ASKED_AT_ONCE):
        rows = stream.requests[start : start + ASKED_AT_ONCE]
        x = stream.embedding[rows]
        places = ranks_of(memory.scores(x), tools.labels, stream.labels[rows])
        # Nothing but the tries is told: who stands beyond the last of them stays unknown.
        right = places <= TRIES
        events += int(np.where(right, places, min(TRIES, memory.tools)).sum())
        remember(memory, stream, tools, [(row, int(stream.labels[row])) for row in rows[right].tolist()])
    return events


def remember(memory: PastSuccesses, stream: Stream, tools: Tools, worked: Sequence[tuple[int, int]]) -> None:
    """Let the memory know which request (a row) which label's tool answered."""
    column_of = {label: column for column, label in enumerate(tools.labels.tolist())}
    rows = np.array([row for row, _ in worked], dtype=np.intp)
    memory.add(stream.embedding[rows], np.array([column_of[label] for _, label in worked], dtype=np.intp))


def _engine(stream: Stream, tools: Tools) -> SonaEngine:
    return engine_knowing(tools.embedding, tools.labels, bench_config(stream.embedding.shape[1], stream.seed))


def _ranks(engine: SonaEngine, stream: Stream, score: Scorer) -> Doubles:
    found = score(engine, stream.embedding[stream.test])
    return ranks_of(found, labels_of(engine), stream.labels[stream.test])


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    ways = [key.removesuffix("_mrr10") for key in metrics if key.endswith("_mrr10")]
    save_bars(
        path,
        {way.replace("_", " "): metrics[f"{way}_mrr10"] for way in ways},
        title=f"The right tool: {name}",
        value_label="MRR@10 on test requests (mean of 1 / place of the right tool)",
        ours=("ours cold", "ours", "adapter only"),
        is_share=False,
        reference=("raw", metrics["raw_mrr10"].mean),
    )


if __name__ == "__main__":
    run_benchmark("bench_tools", __doc__, measure)
