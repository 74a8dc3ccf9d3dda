from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY, near, unit_vectors

from swarm.sona.kmeans import seed_centres, spherical_kmeans
from swarm.sona.vectors import Vector


def blobs(seed: int, k: int, each: int, spread: float) -> tuple[Vector, list[int]]:
    rng = np.random.default_rng(seed)
    centres = np.eye(k, 24, dtype=np.float32)
    labels = [i % k for i in range(k * each)]
    return np.array([near(rng, centres[label], spread) for label in labels]), labels


@pytest.mark.parametrize("seed", range(8))
def test_clusters_that_are_plain_to_see_are_found_exactly(seed: int) -> None:
    points, truth = blobs(seed, 6, 20, spread=0.02)
    labels = spherical_kmeans(points, np.ones(len(points)), 6, np.random.default_rng(seed))
    found = {(int(label), true) for label, true in zip(labels, truth, strict=True)}
    assert len(found) == 6
    assert len({label for label, _ in found}) == 6


@pytest.mark.parametrize("seed", range(8))
def test_seeding_draws_one_point_of_each_cluster_that_is_plain_to_see(seed: int) -> None:
    points, truth = blobs(seed, 5, 10, spread=0.02)
    centres = seed_centres(points, np.ones(len(points)), 5, np.random.default_rng(seed))
    rows = [int((points == centre).all(axis=1).argmax()) for centre in centres]
    assert sorted(truth[row] for row in rows) == [0, 1, 2, 3, 4]


def test_seeding_stops_when_the_points_left_coincide_with_centres() -> None:
    points = np.repeat(np.eye(2, 4, dtype=np.float32), 5, axis=0)
    assert len(seed_centres(points, np.ones(10), 7, np.random.default_rng(0))) == 2


@pytest.mark.parametrize(("weight", "together"), [(1000.0, [0, 1]), (1.0, [1, 2])])
def test_weights_decide_where_a_centre_goes_worked_by_hand(weight: float, together: list[int]) -> None:
    # Points at 0, 50 and 90 degrees; the closest pair is {50, 90}. A heavy point at 90 is drawn first and keeps its
    # centre, so {0, 50} can be the pair too; {0, 90} never is.
    angles = np.radians([0.0, 50.0, 90.0])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pairs = []
    for seed in range(20):
        labels = spherical_kmeans(points, np.array([1.0, 1.0, weight]), 2, np.random.default_rng(seed)).tolist()
        pairs.append([i for i in range(3) if labels.count(labels[i]) == 2])
    assert together in pairs
    assert [0, 2] not in pairs


def test_no_more_points_than_groups_is_one_group_each() -> None:
    points = unit_vectors(np.random.default_rng(0), 4)
    assert spherical_kmeans(points, np.ones(4), 4, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


@PROPERTY
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 8))
def test_every_point_ends_with_the_group_whose_mean_it_is_near_and_the_input_is_untouched(
    seed: int, n: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    points, weights = unit_vectors(rng, n, 5), rng.uniform(0.1, 9.0, n)
    before = points.tobytes(), weights.tobytes()
    labels = spherical_kmeans(points, weights, k, np.random.default_rng(seed))
    assert (points.tobytes(), weights.tobytes()) == before
    assert labels.shape == (n,)
    assert len(set(labels.tolist())) <= max(k, 1)
    again = spherical_kmeans(points, weights, k, np.random.default_rng(seed))
    assert again.tolist() == labels.tolist()
    if n > k:
        # Total similarity to the own mean is not below that of one group for all (what k = 1 gives).
        def quality(groups: list[int]) -> float:
            total = 0.0
            for group in set(groups):
                rows = [i for i, label in enumerate(groups) if label == group]
                total += float(np.linalg.norm((points[rows] * weights[rows, None]).sum(axis=0)))
            return total

        assert quality(labels.tolist()) >= quality([0] * n) - 1e-4
