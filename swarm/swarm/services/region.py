"""The part of an agent's memory that one pattern of the bank stands for, and an agent's content without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swarm.services.rebuild_agent import Rework
from swarm.sona.clusters import Cluster, family_of
from swarm.sona.reservoir import Reservoir
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector, unit
from swarm.wire.memory_records import decode_sample, encode_sample


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Region:
    """What lies nearest to some of an agent's clusters, among all those of their family.

    `centroids` has shape (m, d), those of the family; `is_inside` (m,) tells which are meant; `action` is what was
    tried there, "" where patterns name none. Waiting outcomes count from the cosine `near` on.
    """

    family: tuple[str, bool]
    action: str
    centroids: Vector
    is_inside: tuple[bool, ...]
    near: float

    @classmethod
    def of(cls, clusters: Sequence[Cluster], inside: Iterable[Cluster], action: str, near: float) -> Region:
        """The region of `inside` among `clusters`, all of one agent and one family."""
        meant = {cluster.id for cluster in inside}
        return cls(
            family=family_of(clusters[0]),
            action=action,
            centroids=np.array([cluster.centroid for cluster in clusters]),
            is_inside=tuple(cluster.id in meant for cluster in clusters),
            near=near,
        )

    def covers(self, cluster: Cluster) -> bool:
        """Whether a cluster is part of it."""
        return family_of(cluster) == self.family and self._is_inside(cluster.centroid)

    def covers_any(self, clusters: Iterable[Cluster]) -> bool:
        return any(map(self.covers, clusters))

    def covers_outcome(self, outcome: Trajectory, threshold: float, *, is_waiting: bool) -> bool:
        """Whether an outcome, or a step of it, is part of it; `threshold` is from where a quality is a success."""
        direction = unit(outcome.embedding.astype(np.float32))
        floor = self.near if is_waiting else -1.0
        if self.action and any(step.node == self.action for step in outcome.steps):
            return self._is_inside(direction, floor)
        return family_of(outcome.as_cluster(threshold)) == self.family and self._is_inside(direction, floor)

    def without(self, sample: Reservoir) -> Reservoir:
        """A sample without the outcomes that are part of it."""
        if not self.action:
            return sample
        queries = sample.queries
        rows = [
            row
            for row, action in enumerate(sample.actions)
            if action != self.action or not self._is_inside(queries[row])
        ]
        return sample if len(rows) == len(sample) else sample.take(np.array(rows, dtype=np.intp))

    def _is_inside(self, direction: Vector, floor: float = -1.0) -> bool:
        similarities = self.centroids.dot(direction)
        nearest = int(similarities.argmax())
        return self.is_inside[nearest] and float(similarities[nearest]) >= floor


def without_region(rework: Rework, region: Region) -> tuple[Rework, int]:
    """What learning again came to, without a region, and about how many outcomes went with it.

    Nothing before can be rolled back to: older versions hold the region, and nobody knows of which outcomes it came.
    """
    built = rework.built
    gone = [cluster for cluster in built.clusters if region.covers(cluster)]
    values, record = dict(built.values), built.values.get("sample")
    if record is not None:
        sample = decode_sample(record)
        left = region.without(sample)
        if left is not sample:
            values["sample"] = encode_sample(left)
    clusters = tuple(cluster for cluster in built.clusters if not region.covers(cluster))
    rebuilt = replace(built, clusters=clusters, values=values)
    found = replace(rework, built=rebuilt, plan=replace(rework.plan, since=None))
    return found, round(sum(cluster.n for cluster in gone))
