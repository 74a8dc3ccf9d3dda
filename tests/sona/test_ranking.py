from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY, unit_vectors

from swarm.sona.instant import _gradient
from swarm.sona.ranking import (
    BACKGROUND,
    KAPPA,
    KAPPA_MOST,
    action_probabilities,
    evidence,
    expected_quality,
    kernel,
    outcome_gradient,
    outcome_loss,
    prior,
)
from swarm.sona.vectors import Doubles, Vector, unit_rows

TAU = 0.2


def slow_masses(y: Doubles, prototypes: Vector, tau: float) -> list[float]:
    """exp(y . C / tau) of every prototype, and last of "none of these", from a loop in float64."""
    masses = [math.exp((float(np.dot(y, row.astype(np.float64))) - 1.0) / tau) for row in prototypes]
    return [*masses, math.exp((BACKGROUND - 1.0) / tau)]


def slow_loss(z: Doubles, quality: float, prototypes: Vector, tried: int, tau: float) -> float:
    """-q log pi_a - (1 - q) log(1 - pi_a) as a function of the query before it gets unit length."""
    masses = slow_masses(z / np.linalg.norm(z), prototypes, tau)
    own, total = masses[tried], math.fsum(masses)
    others = math.fsum(masses[:tried] + masses[tried + 1 :])
    return -quality * math.log(own / total) - (1.0 - quality) * math.log(others / total)


def slopes(z: Vector, quality: float, prototypes: Vector, tried: int, tau: float, step: float = 1e-5) -> list[float]:
    """Central differences of `slow_loss` at `z`."""
    exact, result = z.astype(np.float64), []
    for shift in np.eye(len(z)) * step:
        above = slow_loss(exact + shift, quality, prototypes, tried, tau)
        below = slow_loss(exact - shift, quality, prototypes, tried, tau)
        result.append((above - below) / (2 * step))
    return result


def scene(seed: int, m: int = 4, dim: int = 6) -> tuple[Vector, Vector]:
    """A query before it gets unit length, and prototypes."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(dim).astype(np.float32) * np.float32(rng.uniform(0.3, 3.0))
    return z, unit_vectors(rng, m, dim)


def gradient_of(z: Vector, quality: float, prototypes: Vector, tried: int, tau: float) -> tuple[Vector, float]:
    length = np.float32(np.linalg.norm(z))
    gradient, probability = outcome_gradient(
        (z / length)[None, :],
        np.array([length], dtype=np.float32),
        np.array([quality], dtype=np.float32),
        prototypes,
        np.array([tried], dtype=np.intp),
        tau,
    )
    return gradient[0], float(probability[0])


def instant_gradient_of(z: Vector, quality: float, prototypes: Vector, tried: int, tau: float) -> Vector:
    """The same gradient as loop A computes it."""
    length = float(np.linalg.norm(z))
    return _gradient((z / np.float32(length)).astype(np.float32), length, quality, prototypes, tried, tau)


# Expectations


def test_expected_quality_of_two_actions_worked_by_hand() -> None:
    # tau = .5, x . c = 1, .5, 0: kernels 1, 1/e, 1/e^2. Action 0 has a success at the query (weight 2, quality .9)
    # and a failure far away (weight 1, quality 0); action 1 has weight 3 of quality 1 in between.
    masses = np.array([2.0, 3.0, 1.0]) * kernel(np.array([1.0, 0.5, 0.0], dtype=np.float32), 0.5)
    assert masses.tolist() == pytest.approx([2.0, 3.0 / math.e, math.exp(-2.0)])
    worked = np.array([0.9 * masses[0], masses[1]])
    happened = worked + np.array([0.1 * masses[0] + masses[2], 0.0])
    # y . C = 1, 0 and theta = .2, so that the masses are e^0, e^-2, and e^-1.6 of "none of these".
    pi = prior(np.array([1.0, 0.0], dtype=np.float32), 0.5)
    total = 1.0 + math.exp(-2.0) + math.exp(-1.6)
    assert pi.tolist() == pytest.approx([1.0 / total, math.exp(-2.0) / total], rel=1e-6)
    # A fifth of all three, whichever action they tried, would be more than a tenth of an outcome.
    worth = 0.1
    expected = [
        (worth / total + 1.8) / (worth + 1.8 + 0.2 + math.exp(-2.0)),
        (worth * math.exp(-2.0) / total + 3.0 / math.e) / (worth + 3.0 / math.e),
    ]
    assert expected_quality(pi, worked, happened, masses.sum()).tolist() == pytest.approx(expected, rel=1e-6)


def test_the_prior_is_worth_its_share_of_the_evidence_around_worked_by_hand() -> None:
    # Of .05 around the query the prior is worth .01: as much as happened to the first two, half of that to the third.
    worked, happened = np.array([0.01, 0.0, 0.02, 0.0]), np.array([0.01, 0.01, 0.02, 0.0])
    pi = np.full(4, 0.4)
    expected = [0.7, 0.2, 2.4 / 3.0, 0.4]
    assert (KAPPA, KAPPA_MOST) == (0.2, 0.1)
    assert expected_quality(pi, worked, happened, np.array(0.05)).tolist() == pytest.approx(expected)
    # What was tried elsewhere around the query makes the prior weigh more: .05 against .01.
    expected = [3.0 / 6.0, 2.0 / 6.0, 4.0 / 7.0, 0.4]
    assert expected_quality(pi, worked, happened, np.array(0.25)).tolist() == pytest.approx(expected)


def test_failures_at_the_query_bring_down_whatever_looks_right() -> None:
    # The prior is worth a tenth of an outcome at most, whatever happened around.
    pi, worked, happened = np.array([0.9, 0.1]), np.array([0.0, 0.02]), np.array([10.0, 0.02])
    found = expected_quality(pi, worked, happened, np.array(10.02))
    assert found.tolist() == pytest.approx([0.1 * 0.9 / 10.1, (0.1 * 0.1 + 0.02) / 0.12])
    assert found[1] > found[0]


def test_with_nothing_around_the_quality_to_expect_is_the_prior() -> None:
    pi = np.array([[0.7, 0.2, 0.0], [1.0, 0.0, 0.3]])
    nothing = np.zeros(3)
    assert expected_quality(pi[0], nothing, nothing, np.array(0.0)).tolist() == pytest.approx(pi[0].tolist())
    # Also in one row of a batch, beside another with evidence.
    worked, around = np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), np.array([[0.0], [2.0]])
    found = expected_quality(pi, worked, worked, around)
    np.testing.assert_allclose(found, [[0.7, 0.2, 0.0], [1.0, 2.0 / 2.1, 0.3]], rtol=1e-12)


@pytest.mark.parametrize("tau", [0.005, 0.05, 1.0])
@pytest.mark.parametrize("similarity", [0.9, 0.0, -1.0])
def test_one_outcome_counts_as_much_wherever_it_lies_while_it_is_the_only_one(tau: float, similarity: float) -> None:
    # What stands for "nothing" must be far below the least that a kernel leaves, e^-400.
    # Of a third of an outcome, so that a fifth of it is below the bound.
    mass = kernel(np.array([similarity], dtype=np.float32), tau) / 3.0
    pi = np.array([0.25])
    assert expected_quality(pi, mass, mass, mass.sum()).tolist() == pytest.approx([(0.2 * 0.25 + 1.0) / 1.2])
    assert expected_quality(pi, 0.0 * mass, mass, mass.sum()).tolist() == pytest.approx([0.2 * 0.25 / 1.2])


@PROPERTY
@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.005, 1.0), st.floats(0.0, 3.0))
def test_expected_quality_equals_the_sums_over_single_outcomes(seed: int, n: int, tau: float, phi: float) -> None:
    rng = np.random.default_rng(seed)
    m = 4
    near, weights, quality = rng.uniform(-1, 1, n).astype(np.float32), rng.exponential(2.0, n), rng.random(n)
    tried = rng.integers(m, size=n)
    pi = prior(rng.uniform(-1, 1, m).astype(np.float32), tau)
    masses = weights * kernel(near, tau)
    worked = np.bincount(tried, weights=masses * quality, minlength=m).astype(np.float64)
    failed = np.bincount(tried, weights=masses * (1.0 - quality), minlength=m).astype(np.float64)
    found = expected_quality(pi, worked, worked + phi * failed, masses.sum())
    exact = [float(w) * math.exp((float(s) - 1.0) / tau) for w, s in zip(weights, near, strict=True)]
    for a in range(m):
        below = min(0.2 * math.fsum(exact), 0.1)
        above = below * float(pi[a])
        for j in range(n):
            if tried[j] == a:
                above += exact[j] * quality[j]
                below += exact[j] * (quality[j] + phi * (1.0 - quality[j]))
        assert found[a] == pytest.approx(above / below, rel=1e-9)


@PROPERTY
@given(st.integers(0, 10_000), st.floats(-30.0, -3.0))
def test_so_many_times_all_the_evidence_changes_nothing_below_the_bound(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    pi = prior(rng.uniform(-1, 1, (5, 8)).astype(np.float32), 0.1)
    worked, failed = rng.exponential(1e-3, (2, 5, 8))
    around = (worked + failed).sum(axis=1, keepdims=True) + 1e-3
    often = 10.0**power
    once = expected_quality(pi, worked, worked + failed, around)
    np.testing.assert_allclose(
        expected_quality(pi, often * worked, often * (worked + failed), often * around), once, rtol=1e-9
    )
    # But more of what tried these actions, and not of the rest around, does.
    assert not np.allclose(expected_quality(pi, 10.0 * worked, 10.0 * (worked + failed), around), once, rtol=1e-3)


@PROPERTY
@given(st.integers(0, 10_000), st.floats(0.01, 1.0))
def test_the_quality_to_expect_lies_between_the_prior_and_what_happened(seed: int, tau: float) -> None:
    rng = np.random.default_rng(seed)
    pi = prior(rng.uniform(-1, 1, 8).astype(np.float32), tau)
    worked, failed = rng.exponential(1.0, 8) ** 3, rng.exponential(1.0, 8) ** 3
    found = expected_quality(pi, worked, worked + failed, (worked + failed).sum())
    seen = worked / (worked + failed)
    assert (found >= np.minimum(pi, seen) - 1e-12).all()
    assert (found <= np.maximum(pi, seen) + 1e-12).all()
    # And strictly, unless they are one and the same.
    apart = np.abs(pi - seen) > 1e-6
    assert (np.abs(found - pi)[apart] > 0.0).all()
    assert (np.abs(found - seen)[apart] > 0.0).all()


@PROPERTY
@given(st.floats(0.01, 0.99), st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.floats(0.01, 10.0))
def test_more_that_worked_raises_and_more_that_failed_lowers_what_to_expect(
    pi: float, worked: float, failed: float, others: float, more: float
) -> None:
    def expected(worked: float, failed: float) -> float:
        # The evidence around grows with it, and so does what the prior is worth.
        around = np.array(worked + failed + others)
        return float(expected_quality(np.full(1, pi), np.full(1, worked), np.full(1, worked + failed), around)[0])

    assert expected(worked + more, failed) >= expected(worked, failed) - 1e-12
    assert expected(worked, failed) >= expected(worked, failed + more) - 1e-12
    # Strictly, unless it is all that ever happened here: of that more is no news.
    if failed + others > 0.1:
        assert expected(worked + more, failed) > expected(worked, failed)
    if worked + others > 0.1:
        assert expected(worked, failed) > expected(worked, failed + more)


def test_prior_leaves_room_for_none_of_these_and_nothing_to_what_has_no_prototype() -> None:
    far = prior(np.array([-0.5, -0.5, -math.inf], dtype=np.float32), 0.05)
    assert far.sum() < 1e-5
    assert far[2] == 0.0
    # The only action there is is not certain for every query: at theta it is one of two.
    assert prior(np.array([BACKGROUND], dtype=np.float32), 0.05).tolist() == pytest.approx([0.5], rel=1e-6)
    assert prior(np.array([1.0], dtype=np.float32), 0.05)[0] == pytest.approx(1.0, abs=1e-6)


def test_prior_of_a_batch_equals_one_by_one_and_what_is_trained_by() -> None:
    rng = np.random.default_rng(8)
    y, prototypes = unit_vectors(rng, 9, 6), unit_vectors(rng, 5, 6)
    batch = prior(y.dot(prototypes.T), TAU)
    np.testing.assert_allclose(action_probabilities(y, prototypes, TAU), batch, rtol=1e-5)
    for row, pi in zip(y, batch, strict=True):
        masses = slow_masses(row.astype(np.float64), prototypes, TAU)
        np.testing.assert_allclose(prior(prototypes.dot(row), TAU), pi, rtol=1e-6)
        np.testing.assert_allclose(pi, np.array(masses[:-1]) / math.fsum(masses), rtol=1e-5)


# The gradient


@PROPERTY
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 3))
def test_outcome_gradient_equals_finite_differences(seed: int, quality: float, tried: int) -> None:
    z, prototypes = scene(seed)
    gradient, probability = gradient_of(z, quality, prototypes, tried, TAU)
    exact = z.astype(np.float64)
    masses = slow_masses(exact / np.linalg.norm(exact), prototypes, TAU)
    assert probability == pytest.approx(masses[tried] / math.fsum(masses), rel=1e-3, abs=1e-6)
    assert gradient.tolist() == pytest.approx(slopes(z, quality, prototypes, tried, TAU), rel=2e-3, abs=2e-3)


@PROPERTY
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 3))
def test_the_gradient_of_the_instant_step_equals_finite_differences(seed: int, quality: float, tried: int) -> None:
    z, prototypes = scene(seed)
    gradient = instant_gradient_of(z, quality, prototypes, tried, TAU)
    assert gradient.tolist() == pytest.approx(slopes(z, quality, prototypes, tried, TAU), rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("quality", [0.0, 1.0])
@pytest.mark.parametrize("tau", [0.05, 0.03, 0.02])
def test_outcome_gradient_is_right_where_the_outcome_is_all_but_impossible(quality: float, tau: float) -> None:
    # The query is at the first prototype: what lacks the probability of that action to one is far below the
    # resolution of float32, and that of the opposite action is about 1e-17 or less.
    near = [0.6, 0.8, 0.0]
    prototypes = np.array([[1, 0, 0], [-1, 0, 0], near], dtype=np.float32)
    tried = 1 if quality == 1.0 else 0
    z = unit_rows(np.array([[1.0, 0.01, 0.005]], dtype=np.float32))[0]
    expected = slopes(z, quality, prototypes, tried, tau, 1e-7)
    gradient, _ = gradient_of(z, quality, prototypes, tried, tau)
    assert gradient.tolist() == pytest.approx(expected, rel=1e-2, abs=1e-2)
    assert instant_gradient_of(z, quality, prototypes, tried, tau).tolist() == pytest.approx(
        expected, rel=1e-2, abs=1e-2
    )


@pytest.mark.parametrize("tau", [0.005, 0.01, 0.05, 1.0])
@pytest.mark.parametrize("quality", [0.0, 0.5, 1.0])
def test_gradients_are_finite_and_no_longer_than_they_can_be_at_every_temperature(tau: float, quality: float) -> None:
    # |g_y| <= sum_j |e_j| / tau, and neither part of e sums up to more than two.
    rng = np.random.default_rng(9)
    prototypes = unit_vectors(rng, 6, 8)
    for y in (*prototypes, *-prototypes, *unit_vectors(rng, 20, 8)):
        for tried in range(6):
            for gradient in (
                gradient_of(y, quality, prototypes, tried, tau)[0],
                instant_gradient_of(y, quality, prototypes, tried, tau),
            ):
                assert np.isfinite(gradient).all()
                assert np.linalg.norm(gradient) <= 2.0 / tau * (1 + 1e-5)


def test_outcome_gradient_is_orthogonal_to_the_query_and_shrinks_with_its_length() -> None:
    z, prototypes = scene(3)
    gradient, _ = gradient_of(z, 1.0, prototypes, 0, TAU)
    longer, _ = gradient_of(4 * z, 1.0, prototypes, 0, TAU)
    assert float(gradient @ z) == pytest.approx(0.0, abs=1e-5)
    np.testing.assert_allclose(longer, gradient / 4, rtol=1e-4, atol=1e-6)


def test_outcome_gradient_of_a_batch_equals_one_by_one_and_the_instant_step() -> None:
    rng = np.random.default_rng(5)
    _, prototypes = scene(5)
    z = rng.standard_normal((20, 6)).astype(np.float32)
    lengths = np.linalg.norm(z, axis=1).astype(np.float32)
    quality = rng.random(20).astype(np.float32)
    tried = rng.integers(4, size=20).astype(np.intp)
    gradient, probability = outcome_gradient(z / lengths[:, None], lengths, quality, prototypes, tried, TAU)
    for i in range(20):
        case = z[i], float(quality[i]), prototypes, int(tried[i]), TAU
        one, p = gradient_of(*case)
        np.testing.assert_allclose(gradient[i], one, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(instant_gradient_of(*case), one, rtol=1e-4, atol=1e-5)
        assert probability[i] == pytest.approx(p, rel=1e-4, abs=1e-7)


def test_failure_of_the_only_action_there_is_pushes_the_query_towards_none_of_these() -> None:
    prototypes = np.eye(1, 4, dtype=np.float32)
    z = np.array([0.6, 0.8, 0.0, 0.0], dtype=np.float32)
    gradient, probability = gradient_of(z, 0.0, prototypes, 0, TAU)
    assert probability == pytest.approx(1 / (1 + math.exp((BACKGROUND - 0.6) / TAU)), rel=1e-5)
    # Down the gradient the similarity falls.
    assert gradient[0] > 0.0


def test_outcome_gradient_leaves_what_it_was_given() -> None:
    z, prototypes = scene(7)
    before = z.tobytes(), prototypes.tobytes()
    gradient_of(z, 0.3, prototypes, 1, TAU)
    instant_gradient_of(z, 0.3, prototypes, 1, TAU)
    assert (z.tobytes(), prototypes.tobytes()) == before


def test_outcome_loss_is_finite_where_the_outcome_was_impossible() -> None:
    probability = np.array([0.0, 1.0, 0.5], dtype=np.float32)
    quality = np.array([1.0, 0.0, 0.25], dtype=np.float32)
    loss = outcome_loss(probability, quality)
    assert loss[0] == pytest.approx(-math.log(1e-6), rel=1e-3)
    assert loss[1] == pytest.approx(-math.log(1e-6), rel=2e-2)  # 1 - 1e-6 is rounded in float32
    assert loss[2] == pytest.approx(math.log(2.0))


# Evidence


def test_evidence_of_few_and_many_outcomes_worked_by_hand() -> None:
    n = np.array([1.0, 20.0, 1.0, 4.0, 0.0, 0.0])
    quality = np.array([1.0, 20.0, 0.0, 2.0, 0.0, 0.0])
    positive = np.array([True, True, False, False, True, False])
    # (1 + .5) / 2 = .75; 20^.7 * 20.5 / 21; 1 - .25 = .75; 4^.7 * (1 - 2.5 / 5); nothing seen, nothing weighs.
    expected = [0.75, 20**0.7 * 20.5 / 21, 0.75, 4**0.7 * 0.5, 0.0, 0.0]
    assert evidence(n, quality, positive).tolist() == pytest.approx(expected)


def test_a_lucky_case_does_not_outrank_a_proven_one() -> None:
    weights = evidence(np.array([1.0, 20.0]), np.array([1.0, 18.0]), np.array([True, True]))
    assert weights[1] > 5 * weights[0]
