"""The bare ANN library that queries are measured beside: faiss's inverted file over the same vectors."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np

from swarm.sona.inverted_file import lists_for, sample_size
from swarm.sona.vectors import Flags, Integers, Vector

K = 5
READ = 512
"""The formulas of a query read so many of the nearest."""
RECALL = 0.95
_PROBES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_CHUNK = 50_000

Search = Callable[[Vector], Integers]


def has_library() -> bool:
    """Whether faiss is installed."""
    return importlib.util.find_spec("faiss") is not None


class BareLibrary:
    """`IndexIVFFlat` with as many lists as ours, trained on as many vectors, one thread; filters by its selector."""

    def __init__(self, vectors: Vector) -> None:
        # By name: its types are there only where it is installed.
        faiss: Any = importlib.import_module("faiss")
        faiss.omp_set_num_threads(1)
        n, d = vectors.shape
        lists = lists_for(n)
        started = time.perf_counter()
        self._faiss = faiss
        # It keeps no reference of its own.
        self._quantizer = faiss.IndexFlatIP(d)
        self._index = faiss.IndexIVFFlat(self._quantizer, d, lists, faiss.METRIC_INNER_PRODUCT)
        self._index.train(vectors[: sample_size(n)])
        for start in range(0, n, _CHUNK):
            self._index.add(vectors[start : start + _CHUNK])
        self._lists = lists
        self.build_s = time.perf_counter() - started

    def search(self, probes: int, k: int, wanted: Flags | None) -> Search:
        """A search for the k nearest among `wanted` in so many lists."""
        selector = None
        if wanted is not None:
            selector = self._faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))
        parameters = self._faiss.SearchParametersIVF(nprobe=probes, sel=selector)

        def search(x: Vector) -> Integers:
            found: Integers = self._index.search(x[None], k, params=parameters)[1][0]
            return found

        return search

    def cheapest(
        self, queries: Vector, truth: Sequence[set[int]], wanted: Flags | None
    ) -> tuple[Search, dict[str, float]]:
        """The search in fewest lists that has the recall, and how many lists these are and how large it is."""
        for probes in _PROBES:
            search = self.search(min(probes, self._lists), len(truth[0]), wanted)
            recall = recall_of([set(search(query).tolist()) for query in queries], truth)
            if recall >= RECALL or probes >= self._lists:
                break
        return search, {"probes": float(min(probes, self._lists)), "recall": recall}


def nearest(vectors: Vector, queries: Vector, k: int, wanted: Flags | None) -> list[set[int]]:
    """The rows of the k nearest vectors to each query, or of all there are, by looking at all."""
    rows = np.arange(len(vectors)) if wanted is None else np.flatnonzero(wanted)
    best = np.empty((len(queries), 0), dtype=np.float32)
    where = np.empty((len(queries), 0), dtype=np.intp)
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        best = np.concatenate([best, queries.dot(vectors[part].T)], axis=1)
        where = np.concatenate([where, np.broadcast_to(part, (len(queries), len(part)))], axis=1)
        order = np.argpartition(-best, min(k, best.shape[1]) - 1, axis=1)[:, :k]
        best, where = np.take_along_axis(best, order, axis=1), np.take_along_axis(where, order, axis=1)
    return [set(row.tolist()) for row in where]


def recall_of(found: Sequence[Set[Any]], truth: Sequence[Set[Any]]) -> float:
    """The mean share of what is true that was found."""
    return float(np.mean([len(some & right) / max(1, len(right)) for some, right in zip(found, truth, strict=True)]))
