"""The ReasoningBank of one engine: its clusters, how to find them, and how they age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from swarm.sona.ageing import scaled
from swarm.sona.clusters import Cluster, family_of, merge_clusters
from swarm.sona.config import SonaConfig
from swarm.sona.index import ActionHit, Hit, PatternIndex
from swarm.sona.recall import Recall
from swarm.sona.vectors import Vector, check_number


class ReasoningBank:
    """Patterns with search, access counts, merge of near-duplicates, decay and pruning."""

    def __init__(self, config: SonaConfig) -> None:
        self.config = config
        self.index = PatternIndex(config)
        self.parts: dict[str, tuple[Cluster, ...]] = {}
        """What is known, by the agent whose outcomes it comes from."""
        self.silent: frozenset[str] = frozenset()
        """Agents whose part is kept, but not searched: their feedback is not believed."""
        self._recall: Recall | None = None
        self.accesses: dict[str, int] = {}
        """How often each pattern was found, by id."""

    def __len__(self) -> int:
        return len(self.index)

    def clusters(self) -> tuple[Cluster, ...]:
        """The patterns that are searched."""
        return self.index.clusters()

    def part(self, agent: str) -> tuple[Cluster, ...]:
        """What comes from the outcomes of one agent."""
        return self.parts.get(agent, ())

    def replace(self, parts: Mapping[str, Iterable[Cluster]], silent: Iterable[str] = ()) -> None:
        """Hold these parts; access counts of patterns that stay are kept."""
        self.parts = {agent: tuple(clusters) for agent, clusters in parts.items()}
        self.silent = frozenset(silent)
        by_id: dict[str, list[Cluster]] = defaultdict(list)
        for agent, clusters in sorted(self.parts.items()):
            for cluster in clusters if agent not in self.silent else ():
                by_id[cluster.id].append(cluster)
        self.index.replace_all(merge_clusters(same) for same in by_id.values())
        self._recall = None
        self.accesses = {key: count for key, count in self.accesses.items() if key in self.index}

    def find(self, y: Vector, k: int) -> list[Hit]:
        """The k patterns of successes nearest to `y` (d,), by similarity and evidence; each is touched."""
        hits = self.index.search(y, k)
        for hit in hits:
            self.touch(hit.cluster.id)
        return hits

    def recall(self, x: Vector, k: int) -> list[Hit]:
        """As `find`, in the metric of `sona.metric`: for solving a task again as one like it was."""
        if self._recall is None:
            self._recall = Recall(self.clusters(), self.config)
        return self._recall.search(x, k)

    def rank(self, x: Vector, k: int, *, y: Vector | None = None) -> list[ActionHit]:
        """The k actions of which most can be expected; see `PatternIndex.rank`."""
        return self.index.rank(x, k, y=y)

    def touch(self, pattern_id: str) -> None:
        """Count an access."""
        self.accesses[pattern_id] = self.accesses.get(pattern_id, 0) + 1

    def access_count(self, pattern_id: str) -> int:
        return self.accesses.get(pattern_id, 0)

    def merge_similar(self, threshold: float) -> int:
        """Merge patterns of one family whose centroids have at least this cosine; how many went.

        Each pattern joins the one with most outcomes that is near enough, so chains do not grow.
        """
        check_number(threshold, "threshold", 0.0, 1.0)
        return self._changed(lambda clusters: _merged(clusters, threshold))

    def decay(self, keep: float) -> None:
        """Multiply all evidence by `keep` in (0, 1]: old experience counts less beside new."""
        check_number(keep, "keep", 1e-6, 1.0)
        self._changed(lambda clusters: [scaled(cluster, keep) for cluster in clusters])

    def prune(self, min_outcomes: float = 0.0, min_quality: float = 0.0) -> int:
        """Drop patterns with less evidence, and those of successes with a lower mean quality; how many went."""
        check_number(min_outcomes, "min_outcomes", 0.0, 1e15)
        check_number(min_quality, "min_quality", 0.0, 1.0)
        return self._changed(
            lambda clusters: [
                cluster
                for cluster in clusters
                if cluster.n >= min_outcomes and (not cluster.positive or cluster.mean_quality >= min_quality)
            ]
        )

    def _changed(self, change: Callable[[tuple[Cluster, ...]], Iterable[Cluster]]) -> int:
        """Change every part; how many patterns went."""
        before = len(self)
        self.replace({agent: change(clusters) for agent, clusters in self.parts.items()}, self.silent)
        return before - len(self)


def _merged(clusters: tuple[Cluster, ...], threshold: float) -> list[Cluster]:
    families: dict[tuple[str, bool], list[Cluster]] = defaultdict(list)
    for cluster in clusters:
        families[family_of(cluster)].append(cluster)
    return [merged for family in families.values() for merged in merge_near(family, threshold)]


def merge_near(family: list[Cluster], threshold: float) -> list[Cluster]:
    """Clusters of one family, with those near a larger one merged into it."""
    return [merge_clusters(group) for group in near_groups(family, threshold)]


def near_groups(family: list[Cluster], threshold: float) -> list[list[Cluster]]:
    """Clusters of one family in groups of those near a larger one, the largest first."""
    if len(family) < 2:
        return [[cluster] for cluster in family]
    ordered = sorted(family, key=lambda cluster: (-cluster.n, cluster.id))
    centroids = np.array([cluster.centroid for cluster in ordered])
    similar = centroids.dot(centroids.T) >= threshold
    np.fill_diagonal(similar, True)
    taken = np.zeros(len(ordered), dtype=np.bool_)
    groups = []
    for row in range(len(ordered)):
        if taken[row]:
            continue
        members = np.flatnonzero(similar[row] & ~taken)
        taken[members] = True
        groups.append([ordered[i] for i in members])
    return groups
