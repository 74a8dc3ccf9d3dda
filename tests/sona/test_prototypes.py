from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, unit_vectors

from swarm.sona.prototypes import prototypes_of


def test_prototypes_of_three_clusters_worked_by_hand() -> None:
    sums = np.array([[3.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
    directions, known = prototypes_of(sums, np.array([0, 2, 0], dtype=np.intp), 4)
    # (3, 4) / 5 for action 0; nobody speaks for 1 and 3.
    np.testing.assert_allclose(directions, [[0.6, 0.8], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]], atol=1e-7)
    assert known.tolist() == [True, False, True, False]
    assert directions.dtype == np.float32


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 30), st.integers(1, 6))
def test_prototypes_equal_a_loop_over_the_clusters(seed: int, k: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    sums = unit_vectors(rng, k).astype(np.float64) * rng.integers(0, 5, (k, 1)) if k else np.zeros((0, DIM))
    actions = rng.integers(m, size=k).astype(np.intp)
    directions, known = prototypes_of(sums, actions, m)
    assert directions.shape == (m, DIM)
    for action in range(m):
        total = np.zeros(DIM)
        for row, which in zip(sums, actions, strict=True):
            if which == action:
                total += row
        length = float(np.linalg.norm(total))
        assert bool(known[action]) is (length > 0.0)
        np.testing.assert_allclose(directions[action], total / (length or 1.0), atol=1e-6)


@PROPERTY
@given(st.integers(0, 10_000), st.integers(2, 20))
def test_splitting_a_cluster_changes_no_prototype(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    sums, actions = rng.standard_normal((k, DIM)), rng.integers(3, size=k).astype(np.intp)
    parts = np.concatenate([0.25 * sums, 0.75 * sums])
    whole, _ = prototypes_of(sums, actions, 3)
    split, _ = prototypes_of(parts, np.concatenate([actions, actions]), 3)
    np.testing.assert_allclose(split, whole, atol=1e-6)


def test_outcomes_that_cancel_one_another_give_no_direction() -> None:
    sums = np.array([[1.0, 0.0], [-1.0, 0.0]])
    directions, known = prototypes_of(sums, np.zeros(2, dtype=np.intp), 1)
    assert not known.any()
    assert not directions.any()


def test_no_clusters_and_no_actions_give_nothing() -> None:
    directions, known = prototypes_of(np.zeros((0, DIM)), np.zeros(0, dtype=np.intp), 2)
    assert directions.shape == (2, DIM)
    assert not known.any()
    assert prototypes_of(np.zeros((0, DIM)), np.zeros(0, dtype=np.intp), 0)[0].shape == (0, DIM)


def test_what_was_given_is_not_changed() -> None:
    sums = np.random.default_rng(1).standard_normal((6, DIM))
    before = sums.tobytes()
    prototypes_of(sums, np.array([2, 0, 1, 2, 0, 1], dtype=np.intp), 3)
    assert sums.tobytes() == before
