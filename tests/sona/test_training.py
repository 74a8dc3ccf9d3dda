from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sona_support import DIM, cluster, unit_vectors

from swarm.sona import EwcMemory, PatternIndex, SonaConfig
from swarm.sona import training as module
from swarm.sona.index import Candidates
from swarm.sona.lora import LoraPair
from swarm.sona.ranking import BACKGROUND, outcome_gradient
from swarm.sona.training import Outcomes, fisher, flatten, gradient_z, mean_loss, nearest_candidates, train
from swarm.sona.vectors import Doubles, Vector

CONFIG = SonaConfig(dim=DIM, base_lora_rank=4, temperature=0.2)


def scene(seed: int, n: int = 24, actions: int = 4) -> tuple[Candidates, Outcomes, list[LoraPair]]:
    """Clusters of some actions, outcomes about them, and two base layers that are trained already."""
    rng = np.random.default_rng(seed)
    index = PatternIndex(CONFIG)
    for k, row in enumerate(unit_vectors(rng, 2 * actions)):
        index.put(cluster(f"c{k}", row, action=str(k % actions), n=float(rng.integers(1, 9))))
    candidates = index.candidates()
    tried = np.array([candidates.rows[str(k)] for k in rng.integers(actions, size=n)], dtype=np.intp)
    outcomes = Outcomes(unit_vectors(rng, n), tried, rng.random(n).astype(np.float32))
    pairs = [LoraPair.initial(3, DIM, 0.8, rng) for _ in range(2)]
    for pair in pairs:
        pair.up[:] = 0.2 * rng.standard_normal(pair.up.shape)
    return candidates, outcomes, pairs


def slow_loss(factors: list[Doubles], scale: float, outcomes: Outcomes, candidates: Candidates) -> float:
    """Sum of the outcomes' negative log-likelihoods in float64, from up and down of each layer in turn."""
    total = 0.0
    for x, tried, q in zip(outcomes.queries.astype(np.float64), outcomes.tried, outcomes.qualities, strict=True):
        z = x.copy()
        for up, down in zip(factors[::2], factors[1::2], strict=True):
            z += scale * up.T @ (down @ x)
        y = z / np.linalg.norm(z)
        weights = np.exp(candidates.prototypes.astype(np.float64) @ y / CONFIG.temperature)
        own = weights[tried]
        others = np.delete(weights, tried).sum() + np.exp(BACKGROUND / CONFIG.temperature)
        total -= float(q) * np.log(own / (own + others)) + (1 - float(q)) * np.log(others / (own + others))
    return float(total)


def test_gradients_of_every_factor_through_the_adapter_equal_finite_differences() -> None:
    candidates, outcomes, pairs = scene(0, n=6)
    g = gradient_z(pairs, outcomes, candidates, CONFIG.temperature)
    gradients = [array for pair in pairs for array in pair.gradients(outcomes.queries, g)]
    factors = [array.astype(np.float64) for array in flatten(pairs)]
    rng, step = np.random.default_rng(1), 1e-5
    for which, gradient in enumerate(gradients):
        for _ in range(12):
            position = tuple(rng.integers(size) for size in gradient.shape)
            slopes = []
            for sign in (1, -1):
                shifted = [factor.copy() for factor in factors]
                shifted[which][position] += sign * step
                slopes.append(slow_loss(shifted, 0.8, outcomes, candidates))
            slope = (slopes[0] - slopes[1]) / (2 * step)
            assert gradient[position] == pytest.approx(slope, rel=5e-3, abs=5e-3)


def test_mean_loss_equals_the_slow_reference() -> None:
    candidates, outcomes, pairs = scene(2)
    factors = [array.astype(np.float64) for array in flatten(pairs)]
    expected = slow_loss(factors, 0.8, outcomes, candidates) / len(outcomes)
    assert mean_loss(pairs, outcomes, candidates, CONFIG.temperature) == pytest.approx(expected, rel=1e-4)


def test_fisher_equals_a_loop_of_squared_gradients_in_the_unit_of_similarity() -> None:
    candidates, outcomes, pairs = scene(3)
    arrays = fisher(pairs, outcomes, candidates, CONFIG, np.random.default_rng(0))
    expected = [np.zeros_like(array, dtype=np.float64) for array in arrays]
    for i in range(len(outcomes)):
        one = outcomes.take(np.array([i], dtype=np.intp))
        g = gradient_z(pairs, one, candidates, CONFIG.temperature) * CONFIG.temperature
        gradients = [array for pair in pairs for array in pair.gradients(one.queries, g)]
        for total, gradient in zip(expected, gradients, strict=True):
            total += np.square(gradient) / len(outcomes)
    for array, total in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(array, total, rtol=1e-3, atol=1e-9)


def test_fisher_looks_at_so_many_samples_as_configured() -> None:
    candidates, outcomes, pairs = scene(4)
    few = fisher(pairs, outcomes, candidates, replace(CONFIG, fisher_samples=1), np.random.default_rng(0))
    row = np.random.default_rng(0).permutation(len(outcomes))[:1]
    alone = fisher(pairs, outcomes.take(row), candidates, CONFIG, np.random.default_rng(1))
    for one, other in zip(few, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_first_step_of_adam_is_the_learning_rate_against_the_sign_of_the_gradient() -> None:
    # m = (1 - b1) g and v = (1 - b2) g^2, corrected to g and g^2: the step is lr g / (|g| + eps).
    parameters = [np.zeros(3, dtype=np.float32)]
    moments = [(np.zeros(3, dtype=np.float32), np.zeros(3, dtype=np.float32))]
    rates = module._adam(parameters, [np.array([0.5, -2.0, 0.0], dtype=np.float32)], moments, 1, 0.01)
    np.testing.assert_allclose(parameters[0], [-0.01, 0.01, 0.0], rtol=1e-5)
    np.testing.assert_allclose(rates[0][:2], [0.01 / 0.5, 0.01 / 2.0], rtol=1e-5)


def test_adam_equals_a_slow_reference_over_several_steps() -> None:
    rng = np.random.default_rng(5)
    parameters = [rng.standard_normal((2, 3)).astype(np.float32)]
    moments = [(np.zeros((2, 3), dtype=np.float32), np.zeros((2, 3), dtype=np.float32))]
    expected = parameters[0].astype(np.float64)
    m, v = np.zeros((2, 3)), np.zeros((2, 3))
    for step in range(1, 8):
        gradient = rng.standard_normal((2, 3))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        expected -= 0.05 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        module._adam(parameters, [gradient.astype(np.float32)], moments, step, 0.05)
    np.testing.assert_allclose(parameters[0], expected, rtol=1e-4, atol=1e-5)


def test_training_lowers_the_loss_moves_both_factors_and_leaves_what_it_was_given() -> None:
    candidates, outcomes, _ = scene(6, n=64)
    pairs = [LoraPair.initial(4, DIM, 1.0, np.random.default_rng(0)) for _ in range(2)]
    before = [array.tobytes() for array in (*flatten(pairs), outcomes.queries, candidates.prototypes)]
    config = replace(CONFIG, base_lora_lr=0.01, base_epochs=10)
    trained = train(pairs, outcomes, candidates, EwcMemory.empty(), config, np.random.default_rng(1))
    assert [array.tobytes() for array in (*flatten(pairs), outcomes.queries, candidates.prototypes)] == before
    tau = config.temperature
    assert mean_loss(trained, outcomes, candidates, tau) < mean_loss(pairs, outcomes, candidates, tau) - 0.05
    for old, new in zip(flatten(pairs), flatten(trained), strict=True):
        assert (old != new).mean() > 0.9


def test_a_large_lambda_holds_important_weights_where_the_task_before_left_them() -> None:
    candidates, outcomes, pairs = scene(7, n=64)
    memory = EwcMemory.empty()
    memory.consolidate([np.ones_like(p) for p in flatten(pairs)], flatten(pairs), 1.0)
    moved = {}
    for strength in (0.0, 100.0, 15_000.0):
        config = replace(CONFIG, base_lora_lr=0.01, ewc_lambda=strength)
        trained = train(pairs, outcomes, candidates, memory, config, np.random.default_rng(2))
        moved[strength] = sum(float(np.abs(p - q).sum()) for p, q in zip(flatten(pairs), flatten(trained), strict=True))
    assert moved[15_000.0] < moved[100.0] / 5 < moved[0.0] / 20


def test_ewc_acts_at_the_configured_strength_on_a_fisher_that_was_measured() -> None:
    # With the step's nominal rate in place of its true one the penalty would be thousands of times too weak.
    candidates, outcomes, pairs = scene(8, n=200)
    memory = EwcMemory.empty()
    memory.consolidate(fisher(pairs, outcomes, candidates, CONFIG, np.random.default_rng(0)), flatten(pairs), 1.0)
    penalties = []
    for strength in (0.0, 2000.0):
        config = replace(CONFIG, base_lora_lr=0.005, base_epochs=10, ewc_lambda=strength)
        other = Outcomes(outcomes.queries, outcomes.tried[::-1].copy(), outcomes.qualities)
        trained = train(pairs, other, candidates, memory, config, np.random.default_rng(3))
        penalties.append(memory.penalty(flatten(trained), 2000.0))
    assert penalties[1] < penalties[0] / 3


def test_dropout_leaves_out_ranks_in_training_and_none_in_use() -> None:
    candidates, outcomes, pairs = scene(9)
    mask = module._mask(LoraPair.initial(1000, 2, 1.0, np.random.default_rng(0)), 0.25, np.random.default_rng(1))
    assert set(np.unique(mask).tolist()) == {0.0, np.float32(1 / 0.75)}
    assert float(mask.mean()) == pytest.approx(1.0, abs=0.06)
    assert (module._mask(pairs[0], 0.0, np.random.default_rng(0)) == 1.0).all()
    plain, dropped = (
        train(pairs, outcomes, candidates, EwcMemory.empty(), replace(CONFIG, lora_dropout=p), np.random.default_rng(2))
        for p in (0.0, 0.5)
    )
    assert plain[0].up.tobytes() != dropped[0].up.tobytes()


def test_gradients_under_dropout_belong_to_the_masked_adapter() -> None:
    candidates, outcomes, pairs = scene(10, n=8)
    config = replace(CONFIG, lora_dropout=0.5)
    gradients = module._batch_gradients(pairs, outcomes, candidates, config, np.random.default_rng(4))
    rng = np.random.default_rng(4)
    rehearsed = rng.integers(0, 4, 4)
    masks = [module._mask(pair, 0.5, rng) for pair in pairs]
    queries = np.concatenate([outcomes.queries, candidates.prototypes[rehearsed]])
    tried = np.concatenate([outcomes.tried, rehearsed])
    quality = np.concatenate([outcomes.qualities, np.ones(4, dtype=np.float32)])
    joint = Outcomes(queries, tried, quality)

    def loss(factors: list[Doubles]) -> float:
        masked = [f * m for f, m in zip(factors[1::2], masks, strict=True)]
        flat = [array for up, down in zip(factors[::2], masked, strict=True) for array in (up, down)]
        return slow_loss(flat, 0.8, joint, candidates) / len(outcomes)

    factors, step = [array.astype(np.float64) for array in flatten(pairs)], 1e-5
    for which, position in ((0, (0, 3)), (1, (1, 5)), (2, (2, 0)), (3, (0, 1))):
        slopes = []
        for sign in (1, -1):
            shifted = [factor.copy() for factor in factors]
            shifted[which][position] += sign * step
            slopes.append(loss(shifted))
        assert gradients[which][position] == pytest.approx((slopes[0] - slopes[1]) / (2 * step), rel=5e-3, abs=5e-3)


def test_nearest_candidates_keep_those_that_come_nearest_to_a_query() -> None:
    rng = np.random.default_rng(11)
    n = module.MAX_CANDIDATES + 100
    many = Candidates(unit_vectors(rng, n), {str(i): i for i in range(n)})
    queries = unit_vectors(rng, 5)
    kept = nearest_candidates(many, queries)
    closeness = (queries @ many.prototypes.T).max(axis=0)
    expected = np.sort(np.argsort(-closeness)[: module.MAX_CANDIDATES])
    assert kept.rows == {str(old): new for new, old in enumerate(expected.tolist())}
    assert kept.prototypes.tobytes() == many.prototypes[expected].tobytes()
    assert nearest_candidates(kept, queries) is kept
    assert nearest_candidates(many, queries[:0]) is many


def test_gradient_of_outcomes_equals_the_gradient_of_the_loss_they_are_told_by() -> None:
    candidates, outcomes, _ = scene(12)
    y: Vector = outcomes.queries
    ones = np.ones(len(outcomes), dtype=np.float32)
    expected, _ = outcome_gradient(
        y, ones, outcomes.qualities, candidates.prototypes, outcomes.tried, CONFIG.temperature
    )
    np.testing.assert_allclose(gradient_z([], outcomes, candidates, CONFIG.temperature), expected, rtol=1e-4, atol=1e-5)


def test_the_learning_rate_falls_to_nothing_so_that_the_last_batches_do_not_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    candidates, outcomes, pairs = scene(13, n=2 * CONFIG.base_batch + 1)
    rates: list[float] = []
    adam = module._adam

    def noted(*args: object) -> object:
        rates.append(float(args[-1]))  # type: ignore[arg-type]
        return adam(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_adam", noted)
    config = replace(CONFIG, base_lora_lr=0.01, base_epochs=2)
    train(pairs, outcomes, candidates, EwcMemory.empty(), config, np.random.default_rng(0))
    # Two passes of three batches each: 1, 5/6, ... 1/6 of the rate.
    assert rates == pytest.approx([0.01 * (6 - k) / 6 for k in range(6)])


def test_the_strength_of_ewc_in_training_falls_with_the_tasks_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, outcomes, pairs = scene(14)
    memory = EwcMemory.empty()
    for _ in range(4):
        memory.consolidate([np.ones_like(p) for p in flatten(pairs)], flatten(pairs), 1.0)
    strengths: list[float] = []
    monkeypatch.setattr(EwcMemory, "pull", lambda _, parameters, strength, rates: strengths.append(strength))
    train(pairs, outcomes, candidates, memory, replace(CONFIG, ewc_lambda=2000.0), np.random.default_rng(0))
    assert set(strengths) == {1000.0}
