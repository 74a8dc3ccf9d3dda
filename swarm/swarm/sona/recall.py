"""Recall of past solutions: search in the metric in which differences that do not matter count less.

Where a task is to be solved again as one like it was, names, numbers and dates mislead the plain similarity. `Metric`
learns from the clusters themselves which directions those are. The index in that metric is a derived copy, made when
it is first asked after a change; the bank stays in base space.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.index import Hit, PatternIndex
from swarm.sona.metric import Metric
from swarm.sona.vectors import Vector


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
