"""How well code is found by what documents it, and what feedback adds: `python -m benchmarks.bench_codebase --json`.

The tree is indexed without any documentation, functions are asked for by the first paragraph of their docstrings, where
that is of no other function. A user looks at five answers and says of the right one that it is good, or else of the
first that it is bad. Recalls are of the function itself, among all chunks of the tree. `--data DIR` names the tree; by
default it is Python's standard library.

  hashed           cosine of the project's hashed n-grams, of the whole chunk
  before, after    questions that nobody judged, before and after feedback on others
  same_before/after  as many of the questions that were judged
  index_s, second_s  the first run with two processes, and the second, in the process
  load_ms, query_ms  the first query of a process, and the next ones, the median

Redis is real, feedback is recorded by an agent, consolidated and merged as by workers.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sysconfig
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.arguments import Options, say
from benchmarks.code_questions import Question, questions_of
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.own_swarm import OwnSwarm
from benchmarks.plots import save_bars
from benchmarks.seeds import Estimate, summarise
from swarm.embed.hashed import HashedEmbedder
from swarm.errors import InputError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.vectors import Vector
from swarm_agents.codebase import Codebase, CodeHit
from swarm_agents.codebase.index import index_codebase, join

AGENT = "code"
SHOWN = 5
_EXTENSIONS = ("py",)


def measure(options: Options) -> Measurement:
    """Index once; each seed draws which questions are judged, in a swarm of its own."""
    root = Path(sysconfig.get_paths()["stdlib"]) if options.data is None else options.data
    if not root.is_dir():
        raise InputError(f"data must be a folder, got {str(root)!r:.200}")
    questions, codes = questions_of(root, _EXTENSIONS)
    say(f"{len(questions)} questions about {len(codes)} chunks")
    wanted = options.extra.feedbacks + options.extra.queries
    if len(questions) < wanted:
        raise InputError(f"feedbacks + queries must be at most {len(questions)}, the questions, got {wanted}")
    with OwnSwarm({"EMBEDDER": options.embedder or "wordllama", "CONSOLIDATE_DELAY": "0"}) as own:
        swarm = Swarm(own.settings)
        times = _index(swarm, root)
        hashed = HashedEmbedder().embed([code if code.strip() else "-" for code in codes])
        runs = []
        for seed in range(options.seeds):
            drawn = np.random.default_rng(seed).permutation(len(questions))[:wanted]
            picked = [questions[i] for i in drawn.tolist()]
            taught = _taught(own.settings, seed, picked[: options.extra.feedbacks], picked[options.extra.feedbacks :])
            runs.append(times | _hashed(picked[options.extra.feedbacks :], hashed) | taught)
            say(f"seed {seed}: {runs[-1]}")
    metrics = summarise(runs)
    name = "standard library" if options.data is None else root.resolve().name
    return Measurement(
        data=name,
        embedder=str(swarm.embedder.identity),
        metrics=metrics,
        draw=partial(_draw, metrics=metrics, name=name),
    )


def _index(swarm: Swarm, root: Path) -> dict[str, float]:
    index = partial(
        index_codebase, swarm, AGENT, root, extensions=_EXTENSIONS, processes=2, with_docs=False, replace=True
    )
    first, second = index(), index()
    codebase, took = Codebase(AGENT, swarm), []
    for number in range(20):
        begun = time.perf_counter()
        codebase.query(f"read a file of lines number {number}")
        took.append(1e3 * (time.perf_counter() - begun))
    return {
        "files": float(first.files),
        "chunks": float(first.chunks),
        "index_s": first.seconds,
        "second_s": second.seconds,
        "load_ms": took[0],
        "query_ms": median(took[1:]),
    }


def _taught(settings: Settings, seed: int, judged: Sequence[Question], others: Sequence[Question]) -> dict[str, float]:
    """Recalls before and after feedback on `judged`, in a new swarm with a copy of the index."""
    swarm = Swarm(settings.model_copy(update={"name": f"{settings.name}-{seed}"}))
    base, own = Swarm(settings).keys.agent(AGENT), swarm.keys.agent(AGENT)
    join(swarm, AGENT)
    for source, target in ((base.code, own.code), (base.code_files, own.code_files), (base.code_state, own.code_state)):
        swarm.client.copy(source, target)
    codebase = Codebase(AGENT, swarm)
    before, same = _ranks(codebase, others), judged[: len(others)]
    same_before, good = _ranks(codebase, same), 0
    for question in judged:
        hits = codebase.query(question.text, SHOWN)
        right = next((hit for hit in hits if _is_right(hit, question)), None)
        good += right is not None
        codebase.feedback((right or hits[0]).id, is_good=right is not None)
    Background(swarm.settings, swarm.client).drain(time.time())
    codebase.close()
    fresh = Codebase(AGENT, swarm)
    return {
        **_recalls("before", before),
        **_recalls("after", _ranks(fresh, others)),
        **_recalls("same_before", same_before),
        **_recalls("same_after", _ranks(fresh, same)),
        "said_good": good / len(judged),
    }


def _ranks(codebase: Codebase, questions: Sequence[Question]) -> list[int]:
    """The position of the right answer, from 0; `SHOWN` if it is not shown."""
    return [
        next((i for i, hit in enumerate(codebase.query(one.text, SHOWN)) if _is_right(hit, one)), SHOWN)
        for one in questions
    ]


def _is_right(hit: CodeHit, question: Question) -> bool:
    return hit.name == question.name


def _recalls(name: str, ranks: Sequence[int]) -> dict[str, float]:
    """Recall at 1 and 5 of ranks from 0.

    >>> _recalls("x", [0, 4, 5, 5])
    {'x_recall1': 0.25, 'x_recall5': 0.5}
    """
    found = np.array(ranks)
    return {f"{name}_recall1": float((found < 1).mean()), f"{name}_recall5": float((found < 5).mean())}


def _hashed(questions: Sequence[Question], hashed: Vector) -> dict[str, float]:
    asked = HashedEmbedder().embed([one.text for one in questions])
    ranks = []
    for question, x in zip(questions, asked, strict=True):
        scores = hashed.dot(x)
        ranks.append(int((scores > scores[question.row] + 1e-6).sum()))
    return _recalls("hashed", ranks)


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    save_bars(
        path,
        {key.replace("_", " "): value for key, value in metrics.items() if key.endswith("_recall5")},
        title=f"Functions found by their docstrings: {name}",
        value_label="recall at 5",
        ours=("after recall5", "same after recall5"),
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--feedbacks", type=int, default=500, metavar="N", help="questions that are judged (500)")
    parser.add_argument("--queries", type=int, default=200, metavar="N", help="other questions that are asked (200)")


if __name__ == "__main__":
    run_benchmark("bench_codebase", __doc__, measure, add_arguments=_arguments)
