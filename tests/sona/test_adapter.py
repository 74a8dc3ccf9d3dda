from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sona_support import DIM, PROPERTY, unit_vectors

from swarm.errors import BoundsError
from swarm.sona import SonaConfig
from swarm.sona.adapter import Adapter, bend, delta_of
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Vector

FLOATS = st.floats(-1e5, 1e5, width=32)


def trained(layers: int = 1, seed: int = 0) -> Adapter:
    """An adapter with random factors in every pair."""
    config = SonaConfig(dim=DIM, base_lora_layers=layers)
    rng = np.random.default_rng(seed)
    adapter = Adapter.initial(config, rng)
    pairs = [*adapter.base, adapter.micro]
    for pair in pairs:
        pair.up[:] = 0.3 * rng.standard_normal(pair.up.shape)
    return Adapter(adapter.micro, adapter.base)


@PROPERTY
@given(st.one_of(hnp.arrays(np.float32, DIM, elements=FLOATS), hnp.arrays(np.float32, (3, DIM), elements=FLOATS)))
def test_untrained_adapter_returns_its_input_byte_for_byte_in_a_new_array(x: Vector) -> None:
    adapter = Adapter.initial(SonaConfig(dim=DIM, base_lora_layers=2), np.random.default_rng(0))
    y = adapter.apply(x)
    assert y.tobytes() == x.tobytes()
    assert not np.shares_memory(x, y)


def test_adapted_query_equals_the_equation_over_both_tiers_and_all_layers() -> None:
    adapter = trained(layers=3)
    x = np.random.default_rng(1).standard_normal(DIM).astype(np.float32) * 5
    z = x.astype(np.float64)
    for pair in (*adapter.base, adapter.micro):
        z += pair.scale * pair.up.T.astype(np.float64) @ (pair.down.astype(np.float64) @ x)
    expected = z * np.linalg.norm(x.astype(np.float64)) / np.linalg.norm(z)
    np.testing.assert_allclose(adapter.apply(x), expected, rtol=1e-4, atol=1e-5)


@PROPERTY
@given(st.integers(0, 1000), st.integers(1, 3))
def test_batch_equals_one_by_one_and_keeps_every_length(seed: int, layers: int) -> None:
    adapter = trained(layers, seed)
    rng = np.random.default_rng(seed)
    rows = unit_vectors(rng, 6) * rng.uniform(0.1, 10.0, (6, 1)).astype(np.float32)
    rows[3] = 0.0
    before = rows.tobytes()
    batch = adapter.apply(rows)
    for row, y in zip(rows, batch, strict=True):
        np.testing.assert_allclose(adapter.apply(row), y, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), np.linalg.norm(rows, axis=1), rtol=1e-5)
    assert rows.tobytes() == before


def test_micro_step_equals_clipped_gradient_descent_worked_by_hand() -> None:
    # A = [1 0 ..], B = [0 2 ..]^T, s = 1, x = e0, g = 3 e1: dL/dB = 3 e1, dL/dA = 6 e0, norm sqrt(45).
    down, up = np.zeros((1, DIM), dtype=np.float32), np.zeros((1, DIM), dtype=np.float32)
    down[0, 0], up[0, 1] = 1.0, 2.0
    adapter = Adapter(LoraPair(down, up, 1.0), [])
    x, g = np.eye(DIM, dtype=np.float32)[0], 3 * np.eye(DIM, dtype=np.float32)[1]
    adapter.step_micro(x, g, lr=0.1, clip=1.0)
    assert adapter.micro.up[0, 1] == pytest.approx(2.0 - 0.1 * 3 / math.sqrt(45))
    assert adapter.micro.down[0, 0] == pytest.approx(1.0 - 0.1 * 6 / math.sqrt(45))
    adapter.step_micro(x, 1e-3 * g, lr=0.1, clip=1.0)
    # The second gradient is short enough not to be clipped, and A is 1 - 0.6 / sqrt(45) by now.
    second = 3e-3 * (1 - 0.6 / math.sqrt(45))
    assert adapter.micro.up[0, 1] == pytest.approx(2.0 - 0.1 * 3 / math.sqrt(45) - 0.1 * second, abs=1e-6)


def test_micro_step_without_a_gradient_or_with_one_that_left_float32_changes_nothing() -> None:
    adapter = Adapter.initial(SonaConfig(dim=DIM), np.random.default_rng(0))
    x = np.ones(DIM, dtype=np.float32)
    before = adapter.micro.up.tobytes(), adapter.micro.down.tobytes()
    for value in (0.0, math.inf, math.nan):
        with np.errstate(all="ignore"):
            adapter.step_micro(x, np.full(DIM, value, dtype=np.float32), lr=0.1)
        assert (adapter.micro.up.tobytes(), adapter.micro.down.tobytes()) == before
    assert adapter.apply(x).tobytes() == x.tobytes()


def test_decay_shrinks_the_micro_tier_and_at_zero_gives_the_identity_back() -> None:
    adapter = trained()
    adapter.set_base([])
    x = unit_vectors(np.random.default_rng(2), 1)[0]
    delta = delta_of(adapter.trained, x)
    assert delta is not None
    adapter.decay_micro(0.5)
    halved = delta_of(adapter.trained, x)
    assert halved is not None
    np.testing.assert_allclose(halved, delta / 2, rtol=1e-5, atol=1e-7)
    adapter.decay_micro(0.0)
    assert adapter.apply(x).tobytes() == x.tobytes()


def test_layers_of_the_base_tier_add_up() -> None:
    adapter = trained(layers=3)
    x = unit_vectors(np.random.default_rng(3), 1)[0]
    parts = [delta_of(adapter.trained_layer(layer), x) for layer in range(3)]
    total = delta_of(adapter.trained_base, x)
    assert total is not None
    np.testing.assert_allclose(total, sum(part for part in parts if part is not None), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [-1, 3, 0.5, "0", None, True])
def test_a_layer_that_is_not_there_is_refused(layer: int) -> None:
    with pytest.raises(BoundsError, match=r"layer must be .*0\.\.2, got"):
        trained(layers=3).trained_layer(layer)


def test_weights_that_diverged_are_an_error_and_no_answer() -> None:
    adapter = trained()
    adapter.micro.up[:] = np.inf
    x = unit_vectors(np.random.default_rng(4), 2)
    for query in (x, x[0]):
        with np.errstate(all="ignore"), pytest.raises(BoundsError, match="diverged"):
            adapter.apply(query)


def test_a_zero_delta_leaves_its_row_as_it_is() -> None:
    rows = np.eye(DIM, dtype=np.float32)[:2]
    # What adding and scaling would not give back: -0.0 + 0.0 is 0.0.
    rows[0, 7] = -0.0
    pair = LoraPair(rows[1:2].copy(), np.full((1, DIM), 0.5, dtype=np.float32), 1.0)
    y = bend(rows, [pair])
    assert y[0].tobytes() == rows[0].tobytes()
    assert y[1].tobytes() != rows[1].tobytes()


def test_one_query_is_bent_as_it_is_in_a_batch() -> None:
    adapter = trained(layers=2)
    rows = 3.0 * unit_vectors(np.random.default_rng(6), 8)
    for row, bent in zip(rows, adapter.apply(rows), strict=True):
        np.testing.assert_allclose(adapter.apply(row), bent, rtol=1e-5, atol=1e-6)


def test_a_vector_too_long_for_float32_is_refused_by_name_even_where_warnings_are_errors() -> None:
    with pytest.raises(BoundsError, match="x must not be longer than 1e6"):
        bend(np.full(DIM, 1e30, dtype=np.float32), trained().trained)
