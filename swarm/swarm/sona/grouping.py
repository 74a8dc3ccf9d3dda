"""Turning outcomes into clusters: join what is near, found what is new, keep within the bounds.

The result REPLACES an agent's clusters. Running it again with no new outcomes changes nothing.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from swarm.sona.ageing import NO_PINS, Pins
from swarm.sona.clusters import Cluster, family_of, merge_clusters
from swarm.sona.config import SonaConfig
from swarm.sona.kmeans import spherical_kmeans
from swarm.sona.vectors import Integers, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Clusters after regrouping, and how many had to go because of `pattern_clusters`."""

    clusters: tuple[Cluster, ...]
    pruned: int


def regroup(
    known: Sequence[Cluster],
    new: Sequence[Cluster],
    config: SonaConfig,
    rng: np.random.Generator,
    pins: Pins = NO_PINS,
) -> Grouping:
    """Clusters of one agent after `new` outcomes (clusters of one each) joined those `known`.

    Only outcomes about the same action, and with the same sign, can share a cluster. Where they become more
    than `config.pattern_clusters` of one sign, each action keeps one, and the others go to actions by the square
    root of their outcomes; within an action by weighted k-means++ over its clusters. Where there are more actions than
    that, those with fewer than `config.min_cluster_size` outcomes go first, then those not seen for longest. At that
    bound what `pins` cover stays beside the others, as one cluster for each pin and sign.
    """
    kept: list[Cluster] = []
    pruned = 0
    for positive in (True, False):
        families = _families([c for c in known if c.positive == positive], [c for c in new if c.positive == positive])
        joined = {name: _join(old, fresh, config) for name, (old, fresh) in families.items()}
        if sum(map(len, joined.values())) > config.pattern_clusters:
            pinned, free = _set_aside(joined, pins)
            joined, gone = _shrink(free, config, rng) if free else ({}, 0)
            pruned += gone
            kept.extend(pinned)
        kept.extend(cluster for name in sorted(joined) for cluster in joined[name])
    return Grouping(clusters=_distinct(kept), pruned=pruned)


def _set_aside(families: dict[str, list[Cluster]], pins: Pins) -> tuple[list[Cluster], dict[str, list[Cluster]]]:
    """What the pins cover, merged by the nearest of them, and the rest."""
    if not pins:
        return [], families
    by_pin: dict[str, list[Cluster]] = defaultdict(list)
    free: dict[str, list[Cluster]] = defaultdict(list)
    for name, clusters in families.items():
        for cluster in clusters:
            pin = pins.nearest(cluster)
            if pin is None:
                free[name].append(cluster)
            else:
                by_pin[pin.id].append(cluster)
    return [merge_clusters(group) for _, group in sorted(by_pin.items())], dict(free)


def _distinct(clusters: Iterable[Cluster]) -> tuple[Cluster, ...]:
    """One cluster per id: a trajectory that came twice founds the same one, and neither may replace the other."""
    by_id: dict[str, list[Cluster]] = defaultdict(list)
    for cluster in clusters:
        by_id[cluster.id].append(cluster)
    return tuple(merge_clusters(group) for group in by_id.values())


def _families(known: Iterable[Cluster], new: Iterable[Cluster]) -> dict[str, tuple[list[Cluster], list[Cluster]]]:
    families: dict[str, tuple[list[Cluster], list[Cluster]]] = defaultdict(lambda: ([], []))
    for cluster in known:
        families[family_of(cluster)[0]][0].append(cluster)
    for cluster in new:
        families[family_of(cluster)[0]][1].append(cluster)
    return families


def _join(known: list[Cluster], new: list[Cluster], config: SonaConfig) -> list[Cluster]:
    """Each new outcome joins the nearest cluster from `join_similarity` on, else it founds one."""
    if not new:
        return known
    points = np.array([cluster.centroid for cluster in new])
    groups: list[list[Cluster]] = [[cluster] for cluster in known]
    centres = np.empty((len(known) + len(new), points.shape[1]), dtype=np.float32)
    for row, cluster in enumerate(known):
        centres[row] = cluster.centroid
    count = len(known)
    bound = count + 4 * config.pattern_clusters
    for point, cluster in zip(points, new, strict=True):
        nearest, similarity = _nearest(centres[:count], point)
        # Far beyond the bound k-means will group the rest anyway; comparing on would only cost.
        if count < bound and similarity < config.join_similarity:
            centres[count] = point
            groups.append([cluster])
            count += 1
        elif similarity >= config.join_similarity:
            groups[nearest].append(cluster)
        else:
            groups.append([cluster])
    return [merge_clusters(group) for group in groups]


def _nearest(centres: Vector, point: Vector) -> tuple[int, float]:
    if not len(centres):
        return -1, -math.inf
    similarities = centres.dot(point)
    best = int(similarities.argmax())
    return best, float(similarities[best])


def _shrink(
    families: dict[str, list[Cluster]], config: SonaConfig, rng: np.random.Generator
) -> tuple[dict[str, list[Cluster]], int]:
    outcomes = {name: sum(cluster.n for cluster in clusters) for name, clusters in families.items()}
    names = sorted(
        families,
        key=lambda name: (
            outcomes[name] < config.min_cluster_size,
            -max(cluster.last_s for cluster in families[name]),
            -outcomes[name],
            name,
        ),
    )
    staying, going = names[: config.pattern_clusters], names[config.pattern_clusters :]
    staying.sort()
    shares = _shares(
        [len(families[name]) for name in staying],
        [math.sqrt(outcomes[name]) for name in staying],
        config.pattern_clusters,
    )
    shrunk = {name: _kmeans_merge(families[name], share, rng) for name, share in zip(staying, shares, strict=True)}
    return shrunk, sum(len(families[name]) for name in going)


def _shares(sizes: Sequence[int], weights: Sequence[float], seats: int) -> list[int]:
    """`seats` dealt by weight (D'Hondt's method): at least one each, and nobody more than its size.

    >>> _shares([1, 9, 9], [1.0, 2.0, 4.0], 8)
    [1, 2, 5]
    """
    shares = [1] * len(sizes)
    queue = [(-weight / 2.0, i) for i, weight in enumerate(weights) if sizes[i] > 1]
    heapq.heapify(queue)
    for _ in range(seats - len(shares)):
        if not queue:
            break
        _, i = heapq.heappop(queue)
        shares[i] += 1
        if shares[i] < sizes[i]:
            heapq.heappush(queue, (-weights[i] / (shares[i] + 1.0), i))
    return shares


def _kmeans_merge(clusters: list[Cluster], k: int, rng: np.random.Generator) -> list[Cluster]:
    if len(clusters) <= k:
        return clusters
    points = np.array([cluster.centroid for cluster in clusters])
    weights = np.array([cluster.n for cluster in clusters], dtype=np.float64)
    return [
        merge_clusters([clusters[i] for i in members])
        for members in _members(spherical_kmeans(points, weights, k, rng))
    ]


def _members(labels: Integers) -> list[Integers]:
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:])
