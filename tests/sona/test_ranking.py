from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY, unit_vectors

from swarm.sona.ranking import action_probabilities, evidence, outcome_gradient, outcome_loss, vote
from swarm.sona.vectors import Doubles, Integers, Vector, unit_rows

TAU = 0.2


def slow_probability(
    y: Doubles, centroids: Vector, log_evidence: Vector, actions: Integers, tried: int, tau: float
) -> tuple[float, float]:
    """The probability of the action tried, and of all others, from a loop over the clusters in float64."""
    own = others = 0.0
    for j in range(len(centroids)):
        weight = math.exp(float(np.dot(y, centroids[j].astype(np.float64))) / tau + float(log_evidence[j]))
        if actions[j] == tried:
            own += weight
        else:
            others += weight
    return own / (own + others), others / (own + others)


def slow_loss(
    z: Doubles, quality: float, centroids: Vector, log_evidence: Vector, actions: Integers, tried: int, tau: float
) -> float:
    """-q log pi_a - (1 - q) log(1 - pi_a) as a function of the query before it gets unit length."""
    own, others = slow_probability(z / np.linalg.norm(z), centroids, log_evidence, actions, tried, tau)
    return -quality * math.log(own) - (1.0 - quality) * math.log(others)


def scene(seed: int, n: int = 7, dim: int = 6, m: int = 3) -> tuple[Vector, Vector, Vector, Integers]:
    """A query before it gets unit length, centroids, log evidence and actions, of which each has a cluster."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(dim).astype(np.float32) * np.float32(rng.uniform(0.3, 3.0))
    log_evidence = rng.uniform(-1.0, 1.0, n).astype(np.float32)
    actions = np.array([*range(m), *rng.integers(m, size=n - m)], dtype=np.intp)
    return z, unit_vectors(rng, n, dim), log_evidence, actions


def gradient_of(
    z: Vector, quality: float, centroids: Vector, log_evidence: Vector, actions: Integers, tried: int, tau: float
) -> tuple[Vector, float]:
    length = np.float32(np.linalg.norm(z))
    gradient, probability = outcome_gradient(
        (z / length)[None, :],
        np.array([length], dtype=np.float32),
        np.array([quality], dtype=np.float32),
        centroids,
        log_evidence,
        actions,
        np.array([tried], dtype=np.intp),
        tau,
    )
    return gradient[0], float(probability[0])


@PROPERTY
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 2))
def test_outcome_gradient_equals_finite_differences(seed: int, quality: float, tried: int) -> None:
    z, centroids, log_evidence, actions = scene(seed)
    gradient, probability = gradient_of(z, quality, centroids, log_evidence, actions, tried, TAU)
    exact = z.astype(np.float64)
    own, _ = slow_probability(exact / np.linalg.norm(exact), centroids, log_evidence, actions, tried, TAU)
    assert probability == pytest.approx(own, rel=1e-3, abs=1e-6)
    step = 1e-5
    for i in range(len(z)):
        shift = np.zeros(len(z))
        shift[i] = step
        above = slow_loss(exact + shift, quality, centroids, log_evidence, actions, tried, TAU)
        below = slow_loss(exact - shift, quality, centroids, log_evidence, actions, tried, TAU)
        assert gradient[i] == pytest.approx((above - below) / (2 * step), rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("quality", [0.0, 1.0])
def test_outcome_gradient_is_right_where_the_outcome_is_all_but_impossible(quality: float) -> None:
    # At tau = 0.05, opposite centroids: the probability of the action is about e-17, or 1 less as much.
    centroids = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0]], dtype=np.float32)
    tried = 1 if quality == 1.0 else 0
    z = unit_rows(np.array([[1.0, 0.1, 0.05]], dtype=np.float32))[0]
    actions, zeros = np.array([0, 1, 2], dtype=np.intp), np.zeros(3, dtype=np.float32)
    gradient, _ = gradient_of(z, quality, centroids, zeros, actions, tried, 0.05)
    step, exact = 1e-6, z.astype(np.float64)
    for i in range(3):
        shift = np.eye(3)[i] * step
        above = slow_loss(exact + shift, quality, centroids, zeros, actions, tried, 0.05)
        below = slow_loss(exact - shift, quality, centroids, zeros, actions, tried, 0.05)
        assert gradient[i] == pytest.approx((above - below) / (2 * step), rel=1e-2, abs=1e-2)


def test_outcome_gradient_is_orthogonal_to_the_query_and_shrinks_with_its_length() -> None:
    z, centroids, log_evidence, actions = scene(3)
    gradient, _ = gradient_of(z, 1.0, centroids, log_evidence, actions, 0, TAU)
    longer, _ = gradient_of(4 * z, 1.0, centroids, log_evidence, actions, 0, TAU)
    assert float(gradient @ z) == pytest.approx(0.0, abs=1e-5)
    np.testing.assert_allclose(longer, gradient / 4, rtol=1e-4, atol=1e-6)


def test_outcome_gradient_of_a_batch_equals_one_by_one() -> None:
    rng = np.random.default_rng(5)
    _, centroids, log_evidence, actions = scene(5)
    z = rng.standard_normal((20, 6)).astype(np.float32)
    lengths = np.linalg.norm(z, axis=1).astype(np.float32)
    quality = rng.random(20).astype(np.float32)
    tried = rng.integers(3, size=20).astype(np.intp)
    y = z / lengths[:, None]
    gradient, probability = outcome_gradient(y, lengths, quality, centroids, log_evidence, actions, tried, TAU)
    for i in range(20):
        one, p = gradient_of(z[i], float(quality[i]), centroids, log_evidence, actions, int(tried[i]), TAU)
        np.testing.assert_allclose(gradient[i], one, rtol=1e-4, atol=1e-5)
        assert probability[i] == pytest.approx(p, rel=1e-4, abs=1e-7)


def test_failure_of_the_only_action_there_is_teaches_nothing() -> None:
    centroids = unit_vectors(np.random.default_rng(6), 3, 4)
    actions = np.zeros(3, dtype=np.intp)
    z = np.array([1.0, 2.0, 0.5, -1.0], dtype=np.float32)
    gradient, probability = gradient_of(z, 0.0, centroids, np.zeros(3, dtype=np.float32), actions, 0, TAU)
    assert probability == pytest.approx(1.0)
    assert not gradient.any()


def test_outcome_loss_is_finite_where_the_outcome_was_impossible() -> None:
    probability = np.array([0.0, 1.0, 0.5], dtype=np.float32)
    quality = np.array([1.0, 0.0, 0.25], dtype=np.float32)
    loss = outcome_loss(probability, quality)
    assert loss[0] == pytest.approx(-math.log(1e-6), rel=1e-3)
    assert loss[1] == pytest.approx(-math.log(1e-6), rel=2e-2)  # 1 - 1e-6 is rounded in float32
    assert loss[2] == pytest.approx(math.log(2.0))


def test_vote_of_three_clusters_worked_by_hand() -> None:
    # tau = 0.5, y . c = 1, 0.5, 0: kernels 1, e^-1, e^-2. Two clusters for action 0, of which one failed.
    similarities = np.array([1.0, 0.5, 0.0], dtype=np.float32)
    signed = np.array([2.0, 3.0, -1.0])
    votes = vote(similarities, signed, np.array([0, 1, 0], dtype=np.intp), 3, 0.5)
    assert votes.tolist() == pytest.approx([2.0 - math.exp(-2.0), 3.0 * math.exp(-1.0), 0.0])


def test_probabilities_of_three_clusters_worked_by_hand() -> None:
    # Logits at tau = 1: 1 + log 1, 0 + log 2, 0 + log 1, so the weights are e, 2, 1.
    y = np.array([[1.0, 0.0]], dtype=np.float32)
    centroids = np.array([[1, 0], [0, 1], [0, -1]], dtype=np.float32)
    log_evidence = np.log(np.array([1, 2, 1], dtype=np.float32))
    actions = np.array([0, 1, 0], dtype=np.intp)
    pi, own = action_probabilities(y, centroids, log_evidence, actions, np.array([0], dtype=np.intp), 1.0)
    total = math.e + 3.0
    assert pi[0].tolist() == pytest.approx([math.e / total, 2 / total, 1 / total], rel=1e-5)
    assert own[0] == pytest.approx((math.e + 1) / total, rel=1e-5)


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
