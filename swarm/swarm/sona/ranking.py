"""How clusters of past outcomes vote for actions, and the loss that moves a query through that vote.

Legend: y (d,) the adapted query, unit length; c_j (d,) centroid of cluster j, unit length, in base space;
a(j) the action that cluster j is about; w_j > 0 its evidence; tau the temperature; n clusters, m actions.

    K_j(y) = exp((y . c_j - 1) / tau)
    S_a(y) = sum_{a(j) = a, successes} w_j K_j(y)  -  phi sum_{a(j) = a, failures} w_j K_j(y)

A Nadaraya-Watson vote with signed evidence: an action scores where it worked, and loses where it failed.
On bandit feedback the second sum is worth most: on BANKING77 success rises from 68 to 77 without it and
to 87 with it, because greedy success alone keeps repeating the same mistakes.
"""

from __future__ import annotations

import numpy as np

from swarm.sona.vectors import Doubles, Integers, Vector

EVIDENCE_EXPONENT = 0.7
"""Outcomes that fell into one cluster are not independent: n of them count as n ** 0.7."""
PRIOR_QUALITY = 0.5
PRIOR_WEIGHT = 1.0
"""Mean quality is shrunk towards `PRIOR_QUALITY` as if so many outcomes had been seen there."""


def evidence(n: Doubles, sum_quality: Doubles, positive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Doubles:
    """w_j >= 0 of clusters: n ** 0.7 times the shrunken mean quality (or its complement, for failures).

    So a single lucky case does not outrank a proven one: with n = 1 a success weighs 0.75, with n = 20 8.0.

    Parameters
    ----------
    n, sum_quality : of shape (k,), number of outcomes and sum of their qualities in [0, 1]
    positive : of shape (k,), whether the cluster holds successes

    Returns
    -------
    of shape (k,), zero where n is zero
    """
    mean = (sum_quality + PRIOR_WEIGHT * PRIOR_QUALITY) / (n + PRIOR_WEIGHT)
    return np.asarray(np.power(n, EVIDENCE_EXPONENT) * np.where(positive, mean, 1.0 - mean), dtype=np.float64)


def vote(similarities: Vector, signed_evidence: Doubles, actions: Integers, m: int, tau: float) -> Doubles:
    """S of shape (m,): the vote of n clusters for m actions.

    Parameters
    ----------
    similarities : y . c_j of shape (n,)
    signed_evidence : of shape (n,), w_j for successes, -phi w_j for failures
    actions : a(j) of shape (n,), in 0..m-1
    """
    weighted = signed_evidence * np.exp((similarities.astype(np.float64) - 1.0) / tau)
    return np.asarray(np.bincount(actions, weights=weighted, minlength=m), dtype=np.float64)


def action_probabilities(
    y: Vector, centroids: Vector, log_evidence: Vector, actions: Integers, tried: Integers, tau: float
) -> tuple[Vector, Vector]:
    """pi over clusters of successes, and its sum over the action tried, for a batch of queries.

    pi_j = w_j K_j(y) / sum_i w_i K_i(y): a softmax of y . c_j / tau + log w_j.

    Parameters
    ----------
    y : of shape (b, d); centroids of shape (n, d); log_evidence, actions of shape (n,)
    tried : of shape (b,), the action each query tried

    Returns
    -------
    pi of shape (b, n), and the probability of the action tried, of shape (b,)
    """
    logits = y.dot(centroids.T) / np.float32(tau) + log_evidence
    logits -= logits.max(axis=1, keepdims=True)
    pi = np.exp(logits)
    pi /= pi.sum(axis=1, keepdims=True)
    return pi, np.where(actions == tried[:, None], pi, 0.0).sum(axis=1)


_SMALLEST = 1e-6
"""The loss takes probabilities no nearer to 0 and 1, so that one surprising outcome is finite."""
_TINY = np.float32(1e-30)


def outcome_loss(probability: Vector, quality: Vector) -> Vector:
    """L = -q log pi_a - (1 - q) log(1 - pi_a), of shape (b,): the outcome's negative log-likelihood."""
    p = np.clip(probability, _SMALLEST, 1.0 - _SMALLEST)
    return np.asarray(-quality * np.log(p) - (1.0 - quality) * np.log1p(-p), dtype=np.float32)


def outcome_gradient(
    y: Vector,
    lengths: Vector,
    quality: Vector,
    centroids: Vector,
    log_evidence: Vector,
    actions: Integers,
    tried: Integers,
    tau: float,
) -> tuple[Vector, Vector]:
    """dL/dz of shape (b, d) for `outcome_loss`, and the probabilities of the actions tried.

    With own_j = pi_j [a(j) = a] and rest_j = pi_j - own_j, which sum to pi_a and 1 - pi_a:
    success part e_j = pi_j - own_j / pi_a, failure part e_j = own_j - rest_j pi_a / (1 - pi_a);
    g_y = sum_j e_j c_j / tau, and through y = z / |z|: g_z = (g_y - y (y . g_y)) / |z|.
    Both quotients are distributions, so the gradient is bounded however small its denominator. A failure of the
    only action there is teaches nothing here: there is nothing to prefer to it.

    Parameters
    ----------
    y : adapted queries of unit length, shape (b, d); lengths : |z| of shape (b,)
    quality : in [0, 1], shape (b,); the rest as in `action_probabilities`
    """
    pi, probability = action_probabilities(y, centroids, log_evidence, actions, tried, tau)
    own = np.where(actions == tried[:, None], pi, np.float32(0.0))
    rest = pi - own
    p, others = probability[:, None], rest.sum(axis=1, keepdims=True)
    q = quality[:, None]
    e = q * (pi - own / np.maximum(p, _TINY))
    e += (1.0 - q) * (others > 0.0) * (own - rest * (p / np.maximum(others, _TINY)))
    g_y = e.dot(centroids) / np.float32(tau)
    g_z = (g_y - y * np.einsum("bd,bd->b", y, g_y)[:, None]) / lengths[:, None]
    return np.asarray(g_z, dtype=np.float32), np.asarray(probability, dtype=np.float32)
