"""Recall of past solutions: search in the metric in which differences that do not matter count less.

Where a task is to be solved again as one like it was, names, numbers and dates mislead the plain similarity. `Metric`
learns from the clusters themselves which directions those are. The index in that metric is a derived copy, made when
it is first asked after a change; the bank stays in base space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.index import Hit, PatternIndex
from swarm.sona.large_index import LargeIndex
from swarm.sona.metric import Metric
from swarm.sona.patterns import Patterns
from swarm.sona.vectors import Vector

_SAMPLE = 20_000
_CONSIDERED = 256


class Recall:
    """The metric of some clusters, and an index of them in it."""

    def __init__(self, clusters: Sequence[Cluster], config: SonaConfig) -> None:
        self._metric = Metric.within_actions(clusters, config.dim)
        self._clusters = {cluster.id: cluster for cluster in clusters}
        self._index = PatternIndex(config)
        self._index.replace_all(self._metric.mapped(clusters))

    def search(self, x: Vector, k: int) -> list[Hit]:
        """The k patterns of successes best for the query `x` (d,), by similarity in the metric and evidence."""
        hits = self._index.search(self._metric.apply(x), k)
        return [Hit(self._clusters[hit.cluster.id], hit.similarity, hit.score) for hit in hits]


class LargeRecall:
    """As `Recall`, of an index that is too large for a copy: the best by plain similarity, put in order in the metric.

    The metric comes from a sample of the clusters.
    """

    def __init__(self, index: LargeIndex) -> None:
        self._index = index
        self._seen = len(index)
        self._metric = Metric.within_actions(index.sample(_SAMPLE), index.dim)

    def is_of(self, index: Patterns) -> bool:
        """Whether the sample still stands for `index`."""
        return index is self._index and abs(len(index) - self._seen) <= self._seen // 10

    def search(self, x: Vector, k: int) -> list[Hit]:
        """As `Recall.search`."""
        found = self._index.search(x, max(_CONSIDERED, k))
        if not found:
            return []
        mapped = self._metric.apply(np.array([hit.cluster.centroid for hit in found]))
        similarities = mapped.dot(self._metric.apply(x)).tolist()
        hits = [
            Hit(hit.cluster, similarity, similarity + hit.score - hit.similarity)
            for hit, similarity in zip(found, similarities, strict=True)
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:k]
