"""What a replica costs against the number of patterns, beside the exact ranking and the bare ANN library.

Each part runs in a process of its own, so that memory is that of the part alone.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np
import psutil

from benchmarks.arguments import say
from benchmarks.scale_bare import READ, BareLibrary, K, has_library, nearest, recall_of
from benchmarks.scale_data import DIM, fill, filters_of, patterns, queries
from benchmarks.scale_redis import ScratchRedis
from swarm.services.replica import Replica
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.index import PatternIndex
from swarm.sona.large_index import LargeIndex
from swarm.sona.vectors import Flags, Vector
from swarm.store.bank import BankStore
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys

_JUDGED = 60
"""Queries whose exact ranking is known."""
_RAW = 4 * DIM
_CONFIG = SonaConfig(dim=DIM)

Found = TypeVar("Found")
Calls = dict[str, Callable[[Vector], Any]]
Truth = dict[str, list[dict[str, float]]]
"""By filter, for each query the K best actions of the exact ranking, with their scores."""


def cost_of_patterns(redis: ScratchRedis, n: int, timed: int) -> dict[str, float]:
    """Load, memory, and queries of a bank of `n` patterns; `timed` queries for each figure."""
    settings = redis.settings(f"patterns-{n}")
    say(f"{n} patterns: filling the bank")
    with connect(settings) as client:
        fill(client, SwarmKeys(settings.name), n)
    say(f"{n} patterns: exact ranking")
    truth, found = _alone(partial(_exact, n))
    say(f"{n} patterns: replica")
    found |= _alone(partial(_replica, settings, n, timed, truth))
    with connect(settings) as client:
        client.unlink(SwarmKeys(settings.name).bank)
    return found


def _alone(part: Callable[[], Found]) -> Found:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(part).result()


def _exact(n: int) -> tuple[Truth, dict[str, float]]:
    index = PatternIndex(_CONFIG)
    index.put_all(patterns(n))
    gc.freeze()
    asked = queries(n, _JUDGED)
    truth: Truth = {}
    found = {}
    for name, agents in filters_of(n).items():
        index.rank(asked[0], K, agents=agents)
        taken = []
        truth[name] = []
        for query in asked:
            started = time.thread_time()
            hits = index.rank(query, K, agents=agents)
            taken.append(1e3 * (time.thread_time() - started))
            truth[name].append({hit.action: hit.score for hit in hits})
        found[f"exact_cpu_ms_{n}_{name}"] = float(np.median(taken))
    return truth, found


def _replica(settings: Settings, n: int, timed: int, truth: Truth) -> dict[str, float]:
    with connect(settings) as client:
        replica = Replica(BankStore(client, SwarmKeys(settings.name)), _CONFIG)
        found = _load(replica, n)
    asked = queries(n, max(timed, _JUDGED))
    calls: Calls = {}
    for name, agents in filters_of(n).items():
        answers = [{hit.action for hit in replica.rank(query, K, agents=agents)} for query in asked[:_JUDGED]]
        found[f"recall5_{n}_{name}"] = recall_of(answers, [right.keys() for right in truth[name]])
        found[f"score5_{n}_{name}"] = float(np.mean([_share(*pair) for pair in zip(answers, truth[name], strict=True)]))
        calls[f"query_{n}_{name}"] = partial(replica.rank, k=K, agents=agents)
        if isinstance(replica.index, LargeIndex):
            calls[f"vectors_{n}_{name}"] = partial(replica.index.looked_at, agents=agents)
    if has_library():
        bare, probes = _bare(n, asked[:_JUDGED])
        found |= probes
        calls |= bare
    # Apart: the library then reads hundreds of megabytes for a query, and would leave the next call cold caches.
    long = {name: calls.pop(name) for name in list(calls) if name.startswith("bare512")}
    found |= _timed(calls, asked[:timed]) | _timed(long, asked[:timed])
    if has_library():
        for name in filters_of(n):
            ours = found[f"query_{n}_{name}_cpu_ms"]
            found[f"query_to_bare_{n}_{name}"] = ours / found[f"bare_{n}_{name}_cpu_ms"]
            found[f"query_to_bare_all_{n}_{name}"] = ours / found[f"bare_{n}_all_cpu_ms"]
            found[f"query_to_bare512_{n}_{name}"] = ours / found[f"bare512_{n}_{name}_cpu_ms"]
    return found


def _share(answer: set[str], right: Mapping[str, float]) -> float:
    """How much of the scores of the right actions the answer has."""
    return sum(score for action, score in right.items() if action in answer) / sum(right.values())


def _load(replica: Replica, n: int) -> dict[str, float]:
    process = psutil.Process()
    before = process.memory_info().rss
    started = time.perf_counter()
    replica.refresh()
    taken = time.perf_counter() - started
    gc.collect()
    after = process.memory_info().rss
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(replica.index) == n
    return {
        f"load_s_{n}": taken,
        f"memory_to_raw_{n}": (after - before) / (_RAW * n),
        f"peak_memory_to_raw_{n}": (peak - before) / (_RAW * n),
    }


def _bare(n: int, asked: Vector) -> tuple[Calls, dict[str, float]]:
    """Searches of the library for each filter, as cheap as the recall allows, and what they take for that."""
    vectors, masks = _rows(n)
    library = BareLibrary(vectors)
    found = {f"bare_build_s_{n}": library.build_s}
    calls: Calls = {}
    for name, mask in masks.items():
        found[f"rows_{n}_{name}"] = float(n if mask is None else mask.sum())
        for kind, k in (("bare", K), ("bare512", READ)):
            search, took = library.cheapest(asked, nearest(vectors, asked, k, mask), mask)
            calls[f"{kind}_{n}_{name}"] = search
            found |= {f"{kind}_{what}_{n}_{name}": value for what, value in took.items()}
    return calls, found


def _rows(n: int) -> tuple[Vector, dict[str, Flags | None]]:
    """The vectors of the patterns, and which of them each filter wants."""
    vectors = np.empty((n, DIM), dtype=np.float32)
    wanted = {name: frozenset(agents) for name, agents in filters_of(n).items() if agents is not None}
    masks = {name: np.zeros(n, dtype=np.bool_) for name in wanted}
    for row, pattern in enumerate(patterns(n)):
        vectors[row] = pattern.centroid
        for name, agents in wanted.items():
            masks[name][row] = not agents.isdisjoint(pattern.agents)
    return vectors, {name: masks.get(name) for name in filters_of(n)}


def _timed(calls: Mapping[str, Callable[[Vector], Any]], asked: Vector) -> dict[str, float]:
    """Milliseconds of each call: of the processor, p50, and by the clock, p50 and p99.

    They take turns, so that a slow moment of the machine hits all.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in calls.values():
        call(asked[0])
    gc.collect()
    gc.freeze()
    for query in asked:
        for name, call in calls.items():
            started, busy = time.perf_counter(), time.thread_time()
            call(query)
            taken[name].append((1e3 * (time.thread_time() - busy), 1e3 * (time.perf_counter() - started)))
    found = {}
    for name, values in taken.items():
        of_processor, by_clock = np.array(values).T
        found[f"{name}_cpu_ms"] = float(np.median(of_processor))
        found |= {f"{name}_ms_p{percent}": float(np.percentile(by_clock, percent)) for percent in (50, 99)}
    return found
