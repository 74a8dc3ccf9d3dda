from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import ShapeError
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Vector


def pair_of(seed: int, rank: int, dim: int, scale: float = 0.7) -> LoraPair:
    rng = np.random.default_rng(seed)
    down, up = (rng.standard_normal((rank, dim)).astype(np.float32) for _ in range(2))
    return LoraPair(down, up, scale)


def slow_delta(pair: LoraPair, x: Vector) -> list[float]:
    """s B A x, number by number, in float64."""
    rank, dim = pair.up.shape
    hidden = [sum(float(pair.down[r, j]) * float(x[j]) for j in range(dim)) for r in range(rank)]
    return [pair.scale * sum(float(pair.up[r, i]) * hidden[r] for r in range(rank)) for i in range(dim)]


def test_delta_and_gradients_equal_an_example_worked_by_hand() -> None:
    # A = [1 2 0], B = [1 0 -1]^T, s = 2, x = [3 1 1]: A x = 5, s B A x = [10 0 -10].
    down = np.array([[1, 2, 0]], dtype=np.float32)
    up = np.array([[1, 0, -1]], dtype=np.float32)
    pair = LoraPair(down, up, 2.0)
    x = np.array([3, 1, 1], dtype=np.float32)
    assert pair.delta(x).tolist() == [10.0, 0.0, -10.0]
    # g = [1 1 0]: dL/dB = s g (A x)^T = 2 [1 1 0] 5, and B^T g = 1, so dL/dA = s (B^T g) x^T = 2 [3 1 1].
    g = np.array([1, 1, 0], dtype=np.float32)
    gradient_up, gradient_down = pair.gradients(x[None, :], g[None, :])
    assert gradient_up.tolist() == [[10.0, 10.0, 0.0]]
    assert gradient_down.tolist() == [[6.0, 2.0, 2.0]]
    # One sample: the Fisher information is the square of its gradient.
    squared_up, squared_down = pair.squared_gradients(x[None, :], g[None, :])
    assert squared_up.tolist() == [[100.0, 100.0, 0.0]]
    assert squared_down.tolist() == [[36.0, 4.0, 4.0]]


@PROPERTY
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(2, 9))
def test_delta_equals_a_slow_reference_for_a_vector_and_for_rows(seed: int, rank: int, dim: int) -> None:
    pair = pair_of(seed, rank, dim)
    rows = np.random.default_rng(seed + 1).standard_normal((3, dim)).astype(np.float32)
    expected = [slow_delta(pair, row) for row in rows]
    np.testing.assert_allclose(pair.delta(rows), expected, rtol=2e-4, atol=2e-5)
    for row, values in zip(rows, expected, strict=True):
        np.testing.assert_allclose(pair.delta(row), values, rtol=2e-4, atol=2e-5)


def test_gradients_of_both_factors_equal_finite_differences() -> None:
    rank, dim, n = 2, 5, 4
    pair = pair_of(0, rank, dim)
    rng = np.random.default_rng(1)
    x, target = (rng.standard_normal((n, dim)) for _ in range(2))

    def loss(down: np.ndarray[tuple[int, ...], np.dtype[np.float64]], up: object) -> float:
        # L = sum |x + s B A x - target|^2 / 2, so dL/dz is the residual.
        z = x + pair.scale * (x @ down.T) @ np.asarray(up)
        return float(0.5 * np.square(z - target).sum())

    down, up = pair.down.astype(np.float64), pair.up.astype(np.float64)
    residual = x + pair.scale * (x @ down.T) @ up - target
    gradient_up, gradient_down = pair.gradients(x.astype(np.float32), residual.astype(np.float32))
    step = 1e-5
    for r in range(rank):
        for j in range(dim):
            shift = np.zeros((rank, dim))
            shift[r, j] = step
            slope_up = (loss(down, up + shift) - loss(down, up - shift)) / (2 * step)
            slope_down = (loss(down + shift, up) - loss(down - shift, up)) / (2 * step)
            assert gradient_up[r, j] == pytest.approx(slope_up, rel=1e-3, abs=1e-3)
            assert gradient_down[r, j] == pytest.approx(slope_down, rel=1e-3, abs=1e-3)


def test_squared_gradients_equal_a_loop_over_the_samples() -> None:
    pair = pair_of(2, 3, 7)
    rng = np.random.default_rng(3)
    x, g = (rng.standard_normal((32, 7)).astype(np.float32) for _ in range(2))
    one_by_one = [pair.gradients(x[i : i + 1], g[i : i + 1]) for i in range(32)]
    fisher = pair.squared_gradients(x, g)
    for position in range(2):
        expected = np.mean([np.square(gradients[position]) for gradients in one_by_one], axis=0)
        np.testing.assert_allclose(fisher[position], expected, rtol=1e-4)


def test_fisher_of_batches_of_one_and_of_thirty_two_agree_and_are_no_square_of_a_mean() -> None:
    pair = pair_of(4, 2, 6)
    rng = np.random.default_rng(5)
    x, g = (rng.standard_normal((32, 6)).astype(np.float32) for _ in range(2))
    at_once = pair.squared_gradients(x, g)
    singly = [pair.squared_gradients(x[i : i + 1], g[i : i + 1]) for i in range(32)]
    means = [gradient / 32 for gradient in pair.gradients(x, g)]
    for position in range(2):
        np.testing.assert_allclose(at_once[position], np.mean([f[position] for f in singly], axis=0), rtol=1e-4)
        # The square of the mean gradient, as some libraries have it, is off by about the batch size.
        assert np.square(means[position]).sum() < at_once[position].sum() / 8


def test_initial_pair_is_the_identity_with_a_random_down_factor_of_unit_rows() -> None:
    pair = LoraPair.initial(4, 512, 1.0, np.random.default_rng(0))
    assert pair.is_untrained
    assert not pair.up.any()
    np.testing.assert_allclose(np.linalg.norm(pair.down, axis=1), 1.0, atol=0.15)
    assert not pair.delta(np.ones(512, dtype=np.float32)).any()


def test_a_copy_does_not_share_its_factors() -> None:
    pair = pair_of(6, 2, 4)
    copy = pair.copy()
    copy.up[:] = 0.0
    copy.down[:] = 0.0
    assert pair.up.any()
    assert pair.down.any()


@pytest.mark.parametrize("shapes", [((2, 4), (2, 5)), ((2, 4), (3, 4)), ((4,), (4,)), ((1, 2, 3), (1, 2, 3))])
def test_factors_of_different_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ShapeError, match="same shape"):
        LoraPair(np.zeros(shapes[0], dtype=np.float32), np.zeros(shapes[1], dtype=np.float32), 1.0)


@pytest.mark.parametrize("call", [LoraPair.gradients, LoraPair.squared_gradients])
def test_inputs_are_not_touched(call: Callable[[LoraPair, Vector, Vector], tuple[Vector, Vector]]) -> None:
    pair = pair_of(7, 2, 4)
    x, g = (np.random.default_rng(i).standard_normal((3, 4)).astype(np.float32) for i in (8, 9))
    before = x.tobytes(), g.tobytes(), pair.up.tobytes(), pair.down.tobytes()
    call(pair, x, g)
    pair.delta(x)
    pair.delta(x[0])
    assert (x.tobytes(), g.tobytes(), pair.up.tobytes(), pair.down.tobytes()) == before
