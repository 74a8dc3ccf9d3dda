"""An inverted file finds nearly all that is near, whatever came and went, and everything while it is small."""

from __future__ import annotations

import numpy as np
import pytest
from sona_support import near, unit_vectors

from swarm.sona.inverted_file import InvertedFile, Slots, lists_for, products, sample_size
from swarm.sona.vectors import Vector

N, D = 6000, 16


def clustered(n: int, seed: int = 0) -> Vector:
    """Directions around a hundred and twenty centres."""
    rng = np.random.default_rng(seed)
    centres = unit_vectors(np.random.default_rng(42), 120, D)
    return np.array([near(rng, centres[i % len(centres)], 0.5) for i in range(n)])


def filled(vectors: Vector, expected: int | None = None) -> tuple[InvertedFile, Slots]:
    """A file of the vectors, and the slot of each."""
    n = len(vectors) if expected is None else expected
    file = InvertedFile(vectors[: sample_size(n)], n, np.random.default_rng(1))
    return file, file.add(vectors)


def recall(file: InvertedFile, vectors: Vector, slots: Slots, queries: Vector, k: int = 5) -> float:
    """The mean share of the k nearest that are among the k best that the file finds."""
    found = 0
    for x in queries:
        near_slots, cosines = file.near(x)
        best = set(near_slots[np.argsort(-cosines)[:k]].tolist())
        found += len(best & set(slots[np.argsort(-vectors.dot(x))[:k]].tolist()))
    return found / (k * len(queries))


def test_what_is_near_is_found_in_a_part_of_the_lists() -> None:
    vectors = clustered(N)
    file, slots = filled(vectors)
    assert 100 < len(file.centres) <= lists_for(N)
    queries = clustered(100, seed=3)
    assert recall(file, vectors, slots, queries) >= 0.98
    assert len(file.near(queries[0])[0]) < N / 3
    assert recall(file, vectors, slots, queries) > recall(file, vectors, slots[::-1], queries)


def test_few_vectors_are_one_list_and_nothing_is_missed() -> None:
    vectors = clustered(500)
    file, slots = filled(vectors)
    found, cosines = file.near(vectors[7])
    assert sorted(found.tolist()) == sorted(slots.tolist())
    assert np.allclose(cosines[np.argsort(found)], vectors.dot(vectors[7])[np.argsort(slots)], atol=1e-6)


def test_a_filter_finds_those_that_are_wanted_and_no_other() -> None:
    vectors = clustered(N)
    file, slots = filled(vectors)
    wanted = np.sort(slots[::10])
    x = clustered(50, seed=3)[0]
    found, cosines = file.near_among(x, wanted, 4)
    assert set(found.tolist()) < set(wanted.tolist())
    assert np.allclose(cosines, file.vectors[found].dot(x), atol=1e-6)
    best = slots[::10][vectors[::10].dot(x).argmax()]
    assert found[cosines.argmax()] == best


def test_a_hole_is_near_to_nothing_and_is_filled_by_the_next_of_its_list() -> None:
    vectors = clustered(N)
    file, slots = filled(vectors)
    file.remove(int(slots[5]))
    assert file.count == N - 1
    found, cosines = file.near(vectors[5])
    assert cosines[found.tolist().index(int(slots[5]))] == 0.0
    assert file.add(vectors[5:6]).tolist() == [int(slots[5])]
    assert np.array_equal(file.vectors[slots[5]], vectors[5])


def test_it_holds_more_than_was_expected_and_keeps_every_vector_where_it_is() -> None:
    vectors = clustered(N)
    file, slots = filled(vectors, expected=5000)
    more = clustered(3 * N, seed=9)
    new = file.add(more)
    assert len({*slots.tolist(), *new.tolist()}) == 4 * N == file.count
    assert np.array_equal(file.vectors[slots], vectors)
    assert np.array_equal(file.vectors[new], more)
    queries = clustered(50, seed=3)
    assert recall(file, np.concatenate([vectors, more]), np.concatenate([slots, new]), queries) >= 0.98


@pytest.mark.parametrize(("n", "lists"), [(1, 1), (4096, 1), (10_000, 200), (1_000_000, 2000), (10**9, 8192)])
def test_lists_grow_with_the_root(n: int, lists: int) -> None:
    assert lists_for(n) == lists


def test_products_are_those_of_blas() -> None:
    rows = clustered(200)
    assert np.allclose(products(rows, rows[3]), rows.dot(rows[3]), atol=1e-6)
    assert products(rows, rows[3]).dtype == np.float32


def test_vectors_that_are_all_the_same_are_found() -> None:
    vectors = np.repeat(clustered(1), N, axis=0)
    file, slots = filled(vectors)
    assert len(file.near(vectors[0])[0]) == N
    assert file.near(vectors[0])[1].min() > 0.999
    assert len(set(slots.tolist())) == N
