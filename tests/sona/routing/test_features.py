"""Features: the same in every process, and with the inner products that their kernels promise."""

from __future__ import annotations

import numpy as np
from routing_support import DIM, some_task

from swarm.sona.routing.features import (
    FEATURES,
    STRUCTURE_FEATURES,
    SUBJECT_FEATURES,
    TRAIT_FEATURES,
    FeatureMap,
)
from swarm.sona.routing.traits import TRAITS, task_traits


def test_two_maps_of_one_dimension_are_the_same_and_one_by_one_equals_the_batch() -> None:
    tasks = [some_task(number) for number in range(5)]
    embeddings = np.array([embedding for embedding, _ in tasks])
    traits = np.array([task_traits(text) for _, text in tasks])
    rows = FeatureMap(DIM).of_rows(embeddings, traits)
    assert rows.shape == (5, FEATURES)
    again = FeatureMap(DIM)
    np.testing.assert_allclose(
        [again.of(e, t) for e, t in zip(embeddings, traits, strict=True)], rows, rtol=0, atol=1e-12
    )
    assert (rows[:, 0] == 1.0).all()


def test_waves_approximate_the_gaussian_kernel_of_traits() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200, len(TRAITS)))
    features = FeatureMap(DIM)
    nothing = np.zeros((200, DIM), dtype=np.float32)
    waves = slice(1 + STRUCTURE_FEATURES, 1 + STRUCTURE_FEATURES + TRAIT_FEATURES)
    near = a + 0.3 * b
    products = (features.of_rows(nothing, a)[:, waves] * features.of_rows(nothing, near)[:, waves]).sum(axis=1)
    kernel = np.exp(-((a - near) ** 2).sum(axis=1) / (2.0 * len(TRAITS)))
    assert np.abs(products - kernel).mean() < 0.1


def test_projections_keep_a_quarter_of_the_inner_product_on_average() -> None:
    rng = np.random.default_rng(1)
    dim = 384
    x = rng.standard_normal((400, dim)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rows = FeatureMap(dim).of_rows(x, np.zeros((400, len(TRAITS))))[:, -SUBJECT_FEATURES:]
    assert abs((rows**2).sum(axis=1).mean() - 0.25) < 0.03
