"""Weighted spherical k-means with k-means++ seeding (Arthur & Vassilvitskii 2007, section 2.2)."""

from __future__ import annotations

import numpy as np

from swarm.sona.vectors import Doubles, Integers, Vector, unit_rows

_ITERATIONS = 10


def seed_centres(points: Vector, weights: Doubles, k: int, rng: np.random.Generator) -> Vector:
    """k rows of `points`, each drawn with probability proportional to weight times distance to those drawn.

    On unit vectors half the squared distance is 1 - cos. Fewer than k come back when the points that are left
    coincide with centres.
    """
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distance = np.maximum(1.0 - points.dot(points[chosen[0]]).astype(np.float64), 0.0)
    while len(chosen) < k:
        mass = distance * weights
        total = mass.sum()
        if total <= 1e-6 * weights.sum():
            break
        chosen.append(int(rng.choice(len(points), p=mass / total)))
        np.minimum(distance, np.maximum(1.0 - points.dot(points[chosen[-1]]), 0.0), out=distance)
    return points[chosen]


def spherical_kmeans(points: Vector, weights: Doubles, k: int, rng: np.random.Generator) -> Integers:
    """Labels of shape (n,) that put n unit vectors into at most k groups of high cosine.

    Parameters
    ----------
    points : of shape (n, d), unit rows; weights : of shape (n,), positive
    """
    if len(points) <= k:
        return np.arange(len(points), dtype=np.intp)
    centres = seed_centres(points, weights, k, rng)
    labels = np.full(len(points), -1, dtype=np.intp)
    weighted = points * weights[:, None].astype(np.float32)
    for _ in range(_ITERATIONS):
        nearest = points.dot(centres.T).argmax(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        order = np.argsort(labels, kind="stable")
        filled, starts = np.unique(labels[order], return_index=True)
        centres[filled] = unit_rows(np.add.reduceat(weighted[order], starts, axis=0))
    return labels
