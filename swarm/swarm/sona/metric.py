"""Which differences between tasks do not matter: those among tasks that one action solved.

Legend: c_j (d,) the centroid of a cluster of successes, n_j its outcomes, a(j) its action, m_a the mean of an action's
centroids weighted by n_j, N = sum n_j, g = trace(S) / d the mean spread of a direction.

    S = sum_j n_j (c_j - m_a(j)) (c_j - m_a(j))^T / N        W = (N S + n0 g I) / (N + n0)
    M = (W / g)^(-1/2)                                       x -> M x / |M x|

Names, numbers and dates in a request are spread widely among tasks with the same solution, so they count less; what
tells actions apart is left. This is relevant component analysis (Bar-Hillel et al. 2003), known from speaker
recognition as within-class covariance normalisation (Hatch et al. 2006), with a ridge of n0 outcomes. It reads
additive statistics alone, of everybody's clusters, and trains nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swarm.errors import ShapeError
from swarm.sona.clusters import Cluster
from swarm.sona.vectors import Doubles, Vector, check_count, check_number, check_queries, unit_rows

RIDGE = 100.0
"""n0: so many outcomes' worth of "all directions are alike" stands beside what was seen."""
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A linear map of queries and centroids; `matrix` of shape (d, d) is symmetric, None is the identity."""

    dim: int
    matrix: Vector | None = None

    @classmethod
    def within_actions(cls, clusters: Iterable[Cluster], dim: int, ridge: float = RIDGE) -> Metric:
        """The map M of the module's formulas, from the clusters of successes.

        Parameters
        ----------
        clusters : of base space; failures, and actions with a single cluster, say nothing
        dim : d
        ridge : n0 > 0, in outcomes

        Raises
        ------
        ShapeError
            If a cluster has another dimension.
        """
        check_count(dim, "dim", 1, 65_536)
        check_number(ridge, "ridge", 1e-6, 1e9)
        families: dict[str, list[Cluster]] = defaultdict(list)
        for cluster in clusters:
            if cluster.sum_embedding.shape != (dim,):
                raise ShapeError(f"cluster {cluster.id} must have shape ({dim},), got {cluster.sum_embedding.shape}")
            if cluster.positive and cluster.n > 0.0:
                families[cluster.action].append(cluster)
        rows = [_deviations(families[action]) for action in sorted(families) if len(families[action]) > 1]
        if not rows:
            return cls(dim=dim)
        total = sum(cluster.n for family in families.values() if len(family) > 1 for cluster in family)
        return cls(dim=dim, matrix=_inverse_root(np.concatenate(rows), total, ridge))

    def apply(self, x: object) -> Vector:
        """`x` of shape (d,) or (n, d), mapped, rows of unit length, a new array; the identity only scales."""
        checked = check_queries(x, self.dim, "x")
        mapped = checked if self.matrix is None else checked.dot(self.matrix)
        return unit_rows(mapped) if mapped.ndim == 2 else np.asarray(unit_rows(mapped[None, :])[0], dtype=np.float32)

    def mapped(self, clusters: Sequence[Cluster]) -> list[Cluster]:
        """The clusters with their centroids mapped: for an index of their own, never for the bank."""
        if self.matrix is None or not clusters:
            return list(clusters)
        centroids = self.apply(np.array([cluster.centroid for cluster in clusters])).astype(np.float64)
        return [
            replace(cluster, sum_embedding=centroid * cluster.n)
            for cluster, centroid in zip(clusters, centroids, strict=True)
        ]


def _deviations(family: Sequence[Cluster]) -> Doubles:
    """sqrt(n_j) (c_j - m_a) of shape (k, d)."""
    weights = np.array([cluster.n for cluster in family])[:, None]
    centroids = np.array([cluster.centroid for cluster in family], dtype=np.float64)
    mean = (weights * centroids).sum(axis=0) / weights.sum()
    return np.asarray(np.sqrt(weights) * (centroids - mean), dtype=np.float64)


def _inverse_root(deviations: Doubles, total: float, ridge: float) -> Vector | None:
    d = deviations.shape[1]
    scatter = deviations.T.dot(deviations)
    spread = float(np.trace(scatter)) / (total * d)
    if spread < _LEAST_SPREAD:
        return None
    shrunk = (scatter / spread + ridge * np.eye(d)) / (total + ridge)
    values, directions = np.linalg.eigh(shrunk)
    root = np.asarray((directions / np.sqrt(values)).dot(directions.T), dtype=np.float32)
    root.flags.writeable = False
    return root
