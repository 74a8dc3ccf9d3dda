"""Adapters in 8 and 4 bits: what the codes stand for, what that costs, and that it is counted honestly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, unit_vectors

from swarm.errors import BoundsError, ShapeError
from swarm.sona.adapter import bend
from swarm.sona.lora import LoraPair
from swarm.sona.quantised import QuantisedAdapter, QuantisedMatrix, quantisation_error, quantise
from swarm.sona.vectors import Doubles


def some_pairs(seed: int, dim: int = DIM, ranks: tuple[int, ...] = (4, 2)) -> list[LoraPair]:
    rng = np.random.default_rng(seed)
    pairs = [LoraPair.initial(rank, dim, 0.5, rng) for rank in ranks]
    for pair in pairs:
        pair.up[:] = 0.2 * rng.standard_normal(pair.up.shape)
    return pairs


def dense_delta(pairs: list[LoraPair], dim: int) -> Doubles:
    """Delta W formed as a matrix: slow, and what the fast figures must equal."""
    total = np.zeros((dim, dim))
    for pair in pairs:
        total += pair.scale * pair.up.T.astype(np.float64) @ pair.down.astype(np.float64)
    return total


def test_codes_of_a_row_are_those_worked_by_hand() -> None:
    row = np.array([[7.0, -3.4, 0.0, 1.6, -7.0]], np.float32)  # scale 1: 7, -3, 0, 2, -7, offset by 8
    made = QuantisedMatrix.of(row, bits=4, group=8)
    assert made.scales.tolist() == [[1.0]]
    assert made.codes.tolist() == [[15 | 5 << 4, 8 | 10 << 4, 1]]  # two in a byte, the first in the lower half
    assert made.dense().tolist() == [[7.0, -3.0, 0.0, 2.0, -7.0]]
    assert made.size_bytes == 3 + 4


@PROPERTY
@given(
    seed=st.integers(0, 10_000),
    bits=st.sampled_from([8, 4]),
    dim=st.integers(1, 70),
    group=st.sampled_from([1, 5, 16, 64, 100]),
    size=st.sampled_from([1e-6, 1.0, 1e4]),
)
def test_no_entry_is_off_by_more_than_half_a_level(seed: int, bits: int, dim: int, group: int, size: float) -> None:
    matrix = (size * np.random.default_rng(seed).standard_normal((3, dim))).astype(np.float32)
    made = QuantisedMatrix.of(matrix, bits, group)
    half = np.repeat(made.scales, group, axis=1)[:, :dim] / 2.0
    assert made.dense().shape == matrix.shape
    assert (np.abs(made.dense() - matrix) <= half * (1.0 + 1e-4)).all()
    # What was quantised once loses nothing more.
    assert np.allclose(QuantisedMatrix.of(made.dense(), bits, group).dense(), made.dense(), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_codes_adapt_as_the_factors_that_they_stand_for(bits: int) -> None:
    pairs, x = some_pairs(3), unit_vectors(np.random.default_rng(4), 7)
    made = quantise(pairs, DIM, bits=bits, group=8)
    expected = bend(x, [pair.dense() for pair in made.pairs])
    assert np.abs(made.apply(x) - expected).max() < 1e-6
    assert np.abs(made.apply(x[0]) - expected[0]).max() < 1e-6
    assert np.abs(np.linalg.norm(made.apply(x), axis=1) - 1.0).max() < 1e-6


@pytest.mark.parametrize("bits", [8, 4])
def test_the_reported_errors_are_those_of_the_dense_matrices(bits: int) -> None:
    pairs, x = some_pairs(5), unit_vectors(np.random.default_rng(6), 50)
    made = quantise(pairs, DIM, bits=bits, group=8)
    error = quantisation_error(pairs, made, x)
    dense = [pair.dense() for pair in made.pairs]
    exact, found = dense_delta(pairs, DIM), dense_delta(dense, DIM)
    assert error.frobenius == pytest.approx(np.linalg.norm(exact - found) / np.linalg.norm(exact), rel=1e-4)
    off = [np.abs(p.up - q.up).max() for p, q in zip(pairs, dense, strict=True)]
    off += [np.abs(p.down - q.down).max() for p, q in zip(pairs, dense, strict=True)]
    assert error.max_abs == pytest.approx(max(off))
    applied = np.linalg.norm(bend(x, pairs) - made.apply(x), axis=1)
    assert error.applied == pytest.approx(applied.mean(), rel=1e-3)
    assert error.applied_max == pytest.approx(applied.max(), rel=1e-3)
    # Eight bits cost about a fifteenth of what four do; both are worth having, neither is free.
    assert 0.0 < error.frobenius < (0.02 if bits == 8 else 0.25)


def test_the_bytes_are_those_of_the_arrays_and_four_bits_take_a_seventh_at_full_size() -> None:
    dim, pairs = 256, some_pairs(7, dim=256, ranks=(8, 2))
    floats = sum(pair.down.nbytes + pair.up.nbytes for pair in pairs)
    for bits, most in ((8, 0.27), (4, 0.145)):
        made = quantise(pairs, dim, bits=bits)
        held = [part for pair in made.pairs for part in (pair.down, pair.up)]
        assert made.size_bytes == sum(part.codes.nbytes + part.scales.nbytes for part in held)
        assert made.size_bytes < most * floats
        assert quantisation_error(pairs, made, unit_vectors(np.random.default_rng(8), 9, dim)).float_bytes == floats


def test_without_pairs_it_is_the_identity_byte_for_byte() -> None:
    x = unit_vectors(np.random.default_rng(9), 3)
    made = quantise([], DIM, bits=4)
    assert (made.apply(x) == x).all()
    assert made.size_bytes == 0
    assert quantisation_error([], made, x).frobenius == 0.0


def test_a_factor_of_zeros_stays_zero() -> None:
    pair = LoraPair.initial(4, DIM, 1.0, np.random.default_rng(0))
    x = unit_vectors(np.random.default_rng(1), 3)
    assert (quantise([pair], DIM, bits=4).apply(x) == x).all()


def test_what_cannot_be_is_refused_by_name() -> None:
    pairs = some_pairs(0)
    with pytest.raises(BoundsError, match="bits must be 8 or 4, got 2"):
        quantise(pairs, DIM, bits=2)
    with pytest.raises(BoundsError, match=r"group must be in 1\.\.8192, got 0"):
        quantise(pairs, DIM, group=0)
    with pytest.raises(ShapeError, match=r"factors must have shape \(r, 32\), got \(r, 16\)"):
        quantise(pairs, 32)
    made = quantise(pairs, DIM)
    with pytest.raises(ShapeError, match=r"codes and finite scales must be of"):
        QuantisedMatrix(bits=8, dim=DIM, group=4, codes=made.pairs[0].down.codes, scales=made.pairs[0].down.scales)
    with pytest.raises(ShapeError, match="x must"):
        QuantisedAdapter(made.pairs, DIM, 8).apply(np.ones(DIM + 1, np.float32))
