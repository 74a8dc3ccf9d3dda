"""The atlas: what is alike lies together, what comes later moves nothing, and equal input gives equal pictures."""

from __future__ import annotations

import numpy as np
import pytest

from swarm.sona.projection import LANDMARKS, Atlas
from swarm.sona.vectors import Vector, unit_rows

DIM = 48


def groups(count: int, each: int, seed: int = 0, noise: float = 0.6) -> tuple[Vector, Vector]:
    """Unit vectors around so many directions, shuffled, and the group of each."""
    rng = np.random.default_rng(seed)
    centres = unit_rows(rng.standard_normal((count, DIM)).astype(np.float32))
    of = rng.permutation(np.repeat(np.arange(count), each))
    noisy = centres[of] + noise / np.sqrt(DIM) * rng.standard_normal((len(of), DIM))
    return unit_rows(noisy.astype(np.float32)), of


def nearest_is_of_its_group(places: Vector, of: Vector) -> float:
    distance = np.square(places[:, None] - places[None]).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((of[distance.argmin(axis=1)] == of).mean())


def test_groups_stay_together_better_than_in_the_plane_of_most_variance() -> None:
    x, of = groups(12, 20)
    centred = x - x.mean(axis=0)
    plane = centred.dot(np.linalg.svd(centred, full_matrices=False)[2][:2].T)
    atlas = Atlas.of(x)
    assert nearest_is_of_its_group(atlas.project(x), of) > 0.95 > nearest_is_of_its_group(plane, of)
    assert 0.4 < atlas.kept <= 1.0


def test_what_comes_later_lands_in_its_group_and_moves_nothing() -> None:
    x, of = groups(10, 30)
    atlas = Atlas.of(x[:150])
    before = atlas.project(x[:150])
    places = np.concatenate([before, atlas.project(x[150:])])
    assert np.array_equal(atlas.project(x[:150]), before)
    assert nearest_is_of_its_group(places, of) > 0.9


def test_one_by_one_is_as_all_at_once() -> None:
    x, _ = groups(5, 20)
    atlas = Atlas.of(x)
    one_by_one = np.concatenate([atlas.project(x[row : row + 1]) for row in range(len(x))])
    assert np.allclose(one_by_one, atlas.project(x), atol=1e-5)


def test_equal_vectors_give_equal_pictures_and_stay_untouched() -> None:
    x, _ = groups(4, 10)
    before = x.copy()
    assert np.array_equal(Atlas.of(x).places, Atlas.of(x).places)
    assert np.array_equal(x, before)


def test_a_new_atlas_looks_like_the_one_before() -> None:
    x, _ = groups(10, 30)
    first = Atlas.of(x[:150])
    second = Atlas.of(x, first)
    apart = np.linalg.norm(second.project(x) - first.project(x), axis=1)
    across = np.linalg.norm(second.project(x) - first.project(x)[::-1], axis=1)
    assert np.median(apart) < 0.5 * np.median(across)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_vectors_have_places_too(n: int) -> None:
    x, _ = groups(2, 4)
    places = Atlas.of(x[:n]).project(x)
    assert places.shape == (8, 2)
    assert np.isfinite(places).all()


def test_equal_vectors_have_one_place() -> None:
    x = np.repeat(groups(1, 1)[0], 30, axis=0)
    places = Atlas.of(x).project(x)
    assert np.isfinite(places).all()
    assert np.ptp(places, axis=0).max() < 0.5


def test_landmarks_are_bounded_and_within_the_square() -> None:
    x, _ = groups(50, 14)
    atlas = Atlas.of(x)
    assert len(atlas.landmarks) == LANDMARKS < len(x)
    assert np.abs(atlas.places).max() <= 1.0 + 1e-6
