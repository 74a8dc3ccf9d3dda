"""Both tiers as one matrix or one pair: they do what the adapter does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, unit_vectors

from swarm.errors import ShapeError
from swarm.sona.adapter import Adapter, bend
from swarm.sona.config import SonaConfig
from swarm.sona.lora import LoraPair
from swarm.sona.merged import apply_matrix, joined_pair, merge_pairs


def an_adapter(seed: int, layers: int = 1, size: float = 0.3, alpha: float | None = None) -> Adapter:
    """Both tiers trained, with factors of about `size`."""
    rng = np.random.default_rng(seed)
    config = SonaConfig(dim=DIM, base_lora_rank=4, base_lora_layers=layers, lora_alpha=alpha)
    adapter = Adapter.initial(config, rng)
    for pair in (adapter.micro, *adapter.base):
        pair.up[:] = size * rng.standard_normal(pair.up.shape)
    return Adapter(adapter.micro, adapter.base)


@PROPERTY
@given(
    seed=st.integers(0, 10_000),
    layers=st.integers(1, 3),
    size=st.sampled_from([0.01, 0.3, 1.0]),
    alpha=st.sampled_from([None, 2.0, 8.0]),
    n=st.integers(1, 5),
)
def test_the_merged_matrix_agrees_with_the_adapter(
    seed: int, layers: int, size: float, alpha: float | None, n: int
) -> None:
    adapter = an_adapter(seed, layers, size, alpha)
    x = unit_vectors(np.random.default_rng(seed + 1), n)
    matrix = merge_pairs(adapter.trained, DIM)
    assert matrix.shape == (DIM, DIM)
    assert np.abs(apply_matrix(matrix, x) - adapter.apply(x)).max() < 1e-5
    assert np.abs(apply_matrix(matrix, x[0]) - adapter.apply(x[0])).max() < 1e-5
    assert np.abs(bend(x, [joined_pair(adapter.trained, DIM)]) - adapter.apply(x)).max() < 1e-5


def test_the_matrix_is_the_sum_that_the_docstring_says() -> None:
    pair = LoraPair(np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 0.0]], np.float32), 0.5)
    # I + 0.5 B A with B = (3, 0)^T and A = (1, 2).
    assert merge_pairs([pair], 2).tolist() == [[2.5, 3.0], [0.0, 1.0]]


def test_untrained_tiers_merge_to_the_identity_byte_for_byte() -> None:
    config = SonaConfig(dim=DIM, base_lora_rank=4)
    untrained = Adapter.initial(config, np.random.default_rng(0))
    x = unit_vectors(np.random.default_rng(1), 3)
    assert (merge_pairs((untrained.micro, *untrained.base), DIM) == np.eye(DIM)).all()
    assert (apply_matrix(merge_pairs(untrained.trained, DIM), x) == x).all()
    assert (bend(x, [joined_pair([], DIM)]) == x).all()


def test_pairs_of_another_dimension_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"factors must have shape \(r, 8\), got \(4, 16\)"):
        merge_pairs(an_adapter(0).base, 8)
