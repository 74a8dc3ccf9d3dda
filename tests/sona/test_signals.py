from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, trajectory, unit_vectors

from swarm.errors import InputError
from swarm.sona import Baseline, LearningSignal, Step
from swarm.sona.signals import step_gradient
from swarm.sona.vectors import Vector


def steps_of(rng: np.random.Generator, n: int) -> list[Step]:
    rows = 3 * unit_vectors(rng, n)
    return [Step(reward=float(rng.random()), activations=None if i % 4 == 3 else rows[i]) for i in range(n)]


def reinforce_loss(y: Vector, steps: list[Step], baseline: float) -> float:
    """-sum_i (r_i - b) y . h_i / |h_i|, in float64."""
    total = 0.0
    for step in steps:
        if step.activations is not None:
            h = step.activations.astype(np.float64)
            total -= (step.reward - baseline) * float(y @ h) / float(np.linalg.norm(h))
    return total


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 9), st.floats(0.0, 1.0))
def test_step_gradient_equals_finite_differences(seed: int, n: int, baseline: float) -> None:
    rng = np.random.default_rng(seed)
    steps = steps_of(rng, n)
    gradient = step_gradient(steps, Baseline(value=baseline), DIM)
    y, size = rng.standard_normal(DIM), 1e-4
    for i in range(DIM):
        shift = size * np.eye(DIM)[i]
        slope = (reinforce_loss(y + shift, steps, baseline) - reinforce_loss(y - shift, steps, baseline)) / (2 * size)
        assert gradient[i] == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_step_gradient_worked_by_hand() -> None:
    # Baseline .5: rewards .9 and .3 along e0 (length 2) and e1: -(.4 e0 - .2 e1).
    e = np.eye(DIM, dtype=np.float32)
    steps = [Step(reward=0.9, activations=2 * e[0]), Step(reward=0.3, activations=e[1]), Step(reward=1.0)]
    gradient = step_gradient(steps, Baseline(), DIM)
    np.testing.assert_allclose(gradient[:3], [-0.4, 0.2, 0.0], atol=1e-6)
    # A later word on the whole trajectory stands for every reward: 0 is worse than the baseline for both.
    np.testing.assert_allclose(step_gradient(steps, Baseline(), DIM, reward=0.0)[:2], [0.5, 0.5], atol=1e-6)


def test_a_single_step_has_a_gradient_because_the_baseline_is_kept_across_trajectories() -> None:
    step = Step(reward=1.0, activations=np.ones(DIM, dtype=np.float32))
    assert step_gradient([step], Baseline(), DIM).any()


def test_zero_activations_teach_nothing() -> None:
    step = Step(reward=1.0, activations=np.zeros(DIM, dtype=np.float32))
    assert not step_gradient([step], Baseline(), DIM).any()


def test_baseline_is_an_exponential_average_worked_by_hand() -> None:
    baseline = Baseline(value=0.5, momentum=0.9)
    baseline.observe(1.0)
    assert baseline.value == pytest.approx(0.55)
    baseline.observe(0.0)
    assert baseline.value == pytest.approx(0.495)
    assert baseline.advantage(1.0) == pytest.approx(0.505)
    for _ in range(500):
        baseline.observe(0.8)
    assert baseline.advantage(0.8) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("success", "quality", "reward"), [(True, 0.9, 0.9), (True, 0.2, 0.2), (False, 0.9, 0.1), (False, 0.2, 0.2)]
)
def test_reward_of_feedback(success: bool, quality: float, reward: float) -> None:
    signal = LearningSignal.from_feedback(success, 12.5, quality, "7")
    assert signal.reward == pytest.approx(reward)
    assert (signal.latency_ms, signal.trajectory_id, signal.gradient) == (12.5, "7", None)


def test_positive_and_negative_are_the_ends_of_feedback() -> None:
    assert LearningSignal.positive(1.0).reward == 1.0
    assert LearningSignal.negative(1.0).reward == 0.0
    assert LearningSignal.positive(1.0, 0.7).reward == pytest.approx(0.7)
    for make in (LearningSignal.positive, LearningSignal.negative):
        assert make(1.0, 0.5, "7").trajectory_id == "7"


def test_signal_of_a_trajectory_has_the_gradient_of_its_steps_or_else_its_quality() -> None:
    rng = np.random.default_rng(0)
    x = unit_vectors(rng, 1)[0]
    steps = tuple(steps_of(rng, 3))
    with_steps = LearningSignal.from_trajectory(trajectory("t", x, 0.8, steps=steps), Baseline())
    assert with_steps.gradient is not None
    np.testing.assert_array_equal(with_steps.gradient, step_gradient(steps, Baseline(), DIM))
    without = LearningSignal.from_trajectory(trajectory("t", x, 0.8), Baseline())
    assert (without.gradient, without.reward, without.trajectory_id) == (None, 0.8, "t")


def test_a_gradient_is_copied() -> None:
    gradient = np.ones(DIM, dtype=np.float32)
    signal = LearningSignal.with_gradient(gradient)
    gradient[:] = 7.0
    assert signal.gradient is not None
    assert signal.gradient.tolist() == [1.0] * DIM


BAD_NUMBERS = [7.5, -0.1, math.nan, math.inf, True, "x", None, 10**400]


@pytest.mark.parametrize("value", BAD_NUMBERS)
def test_a_reward_or_quality_out_of_bounds_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"reward must be .*0\.\.1"):
        LearningSignal(reward=value)
    for make in (LearningSignal.positive, LearningSignal.negative):
        with pytest.raises(InputError, match=r"quality must be .*0\.\.1"):
            make(1.0, value)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 1e4, "x", None])
def test_an_importance_or_latency_out_of_bounds_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"importance must be .*0\.\.1000"):
        LearningSignal.with_gradient(np.ones(DIM, dtype=np.float32), value)
    if value != 1e4:
        with pytest.raises(InputError, match="latency_ms must be"):
            LearningSignal.positive(value)


@pytest.mark.parametrize("gradient", ["x", None, [[1.0]], [1.0, math.nan], [1e39], object(), [[1.0], [1.0, 2.0]]])
def test_a_gradient_that_is_no_vector_of_finite_numbers_is_refused(gradient: Vector) -> None:
    with pytest.raises(InputError, match="gradient must"):
        LearningSignal.with_gradient(gradient)


@pytest.mark.parametrize("success", ["no", 1, None, 0.0])
def test_success_that_is_neither_true_nor_false_is_refused(success: bool) -> None:
    with pytest.raises(InputError, match="success must be True or False"):
        LearningSignal.from_feedback(success, 1.0, 0.5)
