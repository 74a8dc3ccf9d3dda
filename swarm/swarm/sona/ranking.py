"""How past outcomes rank actions for a query, and the loss that bends the query.

Legend: x (d,) the query and y (d,) the adapted query, unit length; C_a (d,) prototype of action a: direction of the
summed embeddings of its successes; c_j (d,) centroid of cluster j, w_j > 0 its weight, q_j in [0, 1] its mean quality,
a(j) its action; all in base space. tau the temperature; n clusters, m actions.

    pi_a = exp(y . C_a / tau) / (exp(theta / tau) + sum_b exp(y . C_b / tau))
    K_j  = exp((x . c_j - 1) / tau)
    v    = min(kappa sum_j w_j K_j, kappa_most)
    P_a  = (v pi_a + sum_{a(j) = a} w_j K_j q_j) / (v + sum_{a(j) = a} w_j K_j (q_j + phi (1 - q_j)))

P_a is the quality to expect of action a: a kernel regression over what happened near the query (Nadaraya 1964, Watson
1964), shrunken towards pi_a where little of all that is near tried a. The first part generalises and is what the
adapter trains; the second remembers, failures as well as successes. What is near hangs on the embedding, so v is a
share of the evidence around the query: with an absolute number the prototypes drown the failures wherever neighbours
are far, and the same mistakes are tried again and again (the standard library, one try a request: 46 % against 54 %).
Where much happened near the query v is bounded: else no number of failures could bring down what looks right.

**Novelty guard.** All of that knows more of the actions that were tried than of those that were not, and would rank the
former first whatever is asked. So it counts only where there is evidence. With C0_a the prototype of what was given
(by a library) or, where nothing was, C_a; s_a the successes of a in feedback; f_a its failures at x itself:

    e_a  = s_a / (s_a + 5),      pi0_a = pi_a of x and C0,      g = sum_a pi0_a e_a
    rank by  g P_a + (1 - g + 1 - e_a) pi0_a rho / (rho + f_a),      f_a = phi sum_{a(j) = a} w_j K_j^2 (1 - q_j)

Without feedback e and g are zero, and the ranking is the frozen one, that of pi0.
"""

from __future__ import annotations

import numpy as np

from swarm.sona.vectors import Doubles, Flags, Integers, Vector

EVIDENCE_EXPONENT = 0.7
"""Outcomes that fell into one cluster are not independent: n of them count as n ** 0.7."""
PRIOR_QUALITY = 0.5
PRIOR_WEIGHT = 1.0
"""Mean quality is shrunk towards `PRIOR_QUALITY` as if so many outcomes had been seen there."""
BACKGROUND = 0.2
"""theta: the similarity of "none of these". It keeps the only action there is from being certain for every query."""
KAPPA = 0.2
"""kappa: how much evidence pi_a is worth, as a share of all there is around the query ..."""
KAPPA_MOST = 0.1
"""kappa_most: ... and at most, in outcomes at the very place of the query."""
_BACKED = 5.0
"""So many successes in feedback back an action by half."""
_TRIED = 0.02
"""rho: what failed at this very query is not tried there again because it looks similar; K^2 keeps that to it."""
_TINY = np.float32(1e-30)
_NOTHING = 1e-200
"""Where nothing ever happened P is pi; far below what a kernel leaves of one outcome at any temperature."""


def evidence(n: Doubles, sum_quality: Doubles, positive: Flags) -> Doubles:
    """Weight >= 0 of clusters in a search for patterns: n ** 0.7 times the shrunken mean quality (or its complement).

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


def kernel(similarities: Vector, tau: float) -> Doubles:
    """K = exp((s - 1) / tau): 1 at the query itself, falling with distance; any shape."""
    return np.asarray(np.exp((similarities.astype(np.float64) - 1.0) / tau), dtype=np.float64)


def prior(similarities: Vector, tau: float) -> Doubles:
    """pi over actions, of the shape (m,) or (b, m) of y . C_a; -inf there means that an action has no prototype."""
    mass = kernel(similarities, tau)
    total = mass.sum(axis=-1, keepdims=True) + np.exp((BACKGROUND - 1.0) / tau)
    return np.asarray(mass / total, dtype=np.float64)


def expected_quality(pi: Doubles, worked: Doubles, happened: Doubles, around: Doubles) -> Doubles:
    """P = (v pi + sum w K q) / (v + sum w K (q + phi (1 - q))), of shape (m,) or (b, m).

    `around` is the sum of w K over all clusters, of shape () or (b, 1), of which v is a bounded share.
    """
    worth = np.minimum(KAPPA * around, KAPPA_MOST) + _NOTHING
    return np.asarray((worth * pi + worked) / (worth + happened), dtype=np.float64)


def backing(successes: Doubles) -> Doubles:
    """e = s / (s + 5): how far feedback backs an action, of shape (m,)."""
    return np.asarray(successes / (successes + _BACKED), dtype=np.float64)


def guarded(expected: Doubles, frozen: Doubles, backed: Doubles, failed: Doubles) -> Doubles:
    """g P_a + (1 - g + 1 - e_a) pi0_a rho / (rho + f_a), of shape (m,) or (b, m); `backed` is e of shape (m,)."""
    g = frozen.dot(backed)[..., None]
    return np.asarray(g * expected + (2.0 - g - backed) * frozen * untried(failed), dtype=np.float64)


def untried(failed: Doubles) -> Doubles:
    """rho / (rho + f): what is left of looking similar where an action failed at this very query; of any shape."""
    return np.asarray(_TRIED / (_TRIED + failed), dtype=np.float64)


def action_probabilities(y: Vector, prototypes: Vector, tau: float) -> Vector:
    """pi of shape (b, m) for adapted queries y (b, d) and prototypes (m, d)."""
    mass, background = _masses(y, prototypes, tau)
    mass /= (mass.sum(axis=1) + background)[:, None]
    return mass


def _masses(y: Vector, prototypes: Vector, tau: float) -> tuple[Vector, Vector]:
    """exp(y . C / tau) of shape (b, m) and exp(theta / tau) of shape (b,), both over the largest of the row.

    So nothing overflows, and a row never sums up to zero, at any temperature.
    """
    mass: Vector = y.dot(prototypes.T)
    largest = mass.max(axis=1, initial=BACKGROUND)
    mass -= largest[:, None]
    mass /= np.float32(tau)
    np.exp(mass, out=mass)
    return mass, np.asarray(np.exp((np.float32(BACKGROUND) - largest) / np.float32(tau)), dtype=np.float32)


_SMALLEST = 1e-6
"""The loss takes probabilities no nearer to 0 and 1, so that one surprising outcome is finite."""


def outcome_loss(probability: Vector, quality: Vector) -> Vector:
    """L = -q log pi_a - (1 - q) log(1 - pi_a), of shape (b,): the outcome's negative log-likelihood."""
    p = np.clip(probability, _SMALLEST, 1.0 - _SMALLEST)
    return np.asarray(-quality * np.log(p) - (1.0 - quality) * np.log1p(-p), dtype=np.float32)


def outcome_gradient(
    y: Vector, lengths: Vector, quality: Vector, prototypes: Vector, tried: Integers, tau: float
) -> tuple[Vector, Vector]:
    """dL/dz of shape (b, d) for `outcome_loss`, and the probabilities of the actions tried, of shape (b,).

    Success part e_j = pi_j - [j = a]; failure part e_a = pi_a, e_j = -pi_j pi_a / (1 - pi_a);
    g_y = sum_j e_j C_j / tau, and through y = z / |z|: g_z = (g_y - y (y . g_y)) / |z|.

    Parameters
    ----------
    y : adapted queries of unit length, shape (b, d); lengths : |z| of shape (b,)
    quality : in [0, 1], shape (b,)
    prototypes : of shape (m, d); tried : row in `prototypes` of the action each query tried, shape (b,)
    """
    e, background = _masses(y, prototypes, tau)
    rows = np.arange(len(y))
    own = e[rows, tried]
    e[rows, tried] = 0.0
    # Summed without the action itself: 1 - pi_a, of a pi_a near to one, would be rounding alone.
    others = e.sum(axis=1) + background
    total = own + others
    p = own / total
    # In front of pi_j: q for the success part, -(1 - q) pi_a / (1 - pi_a) for the failure part.
    e *= ((quality - (1.0 - quality) * own / np.maximum(others, _TINY)) / total)[:, None]
    # Of the action tried itself: q (pi_a - 1) + (1 - q) pi_a = pi_a - q.
    e[rows, tried] = p - quality
    g_y = e.dot(prototypes) / np.float32(tau)
    g_z = (g_y - y * np.einsum("bd,bd->b", y, g_y)[:, None]) / lengths[:, None]
    return np.asarray(g_z, dtype=np.float32), p
