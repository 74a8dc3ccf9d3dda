"""How much each sign of likeness counts in a search, learned from what was said to its answers.

Legend: c candidates of a question with f signs each, X (c, f); a the one that was judged, q in [0, 1] its quality; beta
(f,) the weights, beta0 those without feedback; lambda the ridge, of n judgements.

    pi_a = exp(x_a . beta) / sum_b exp(x_b . beta)
    L    = sum_i -q log pi_a - (1 - q) log(1 - pi_a)  +  lambda / 2 |beta - beta0|^2
    lambda = lambda_all + lambda_first / n

The outcome's likelihood is that of `ranking.outcome_loss`, here of a conditional logit (McFadden 1974). A handful of
weights is shared by all questions, so what was said to some helps with those that nobody has judged. For the same
reason the first judgements are held back: one of them says little of all questions, hundreds do. The weights are a
function of the judgements alone: without any they are beta0 to the bit, and nothing drifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from swarm.sona.vectors import Doubles, Vector

RIDGE = 3.0
FIRST_RIDGE = 100.0
"""With a ridge of 1 for all, one judgement took the first place from one right answer in sixteen, at worst from four in
ten; with this from hardly any, and hundreds of judgements teach as much."""
_STEPS = 50
_HALVINGS = 20
_ENOUGH = 1e-6
_MOST = 1.0 - 1e-6
_LEAST = 1e-12


class Judgement(NamedTuple):
    """One answer that was judged: the signs (c, f) of all candidates, its row among them, its quality."""

    signs: Vector
    chosen: int
    quality: float


def ridge_of(count: int) -> float:
    """lambda of so many judgements, at least one.

    >>> ridge_of(1), ridge_of(100)
    (103.0, 4.0)
    """
    return RIDGE + FIRST_RIDGE / count


def learned_weights(start: Doubles, judged: Sequence[Judgement]) -> Doubles:
    """beta of shape (f,), by Newton's method with halved steps, from `start`, which is beta0.

    The curvature of a failure is that of Fisher's information, which is never negative.

    >>> signs = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    >>> [learned_weights(np.ones(2), [Judgement(signs, 0, 1.0)] * n).round(2).tolist() for n in (1, 100)]
    [[1.0, 1.0], [2.41, -0.41]]
    """
    if not judged:
        return start
    problem = _Problem(start, judged, ridge_of(len(judged)))
    beta, loss = start, problem.loss(start)
    for _ in range(_STEPS):
        step = problem.step(beta)
        for _ in range(_HALVINGS):
            tried = problem.loss(beta - step)
            if tried <= loss:
                break
            step = step / 2.0
        else:
            break
        beta, gained, loss = beta - step, loss - tried, tried
        if gained < _ENOUGH:
            break
    return beta


class _Problem:
    """The judgements as one array (n, c, f); rows that a question does not have are masked."""

    def __init__(self, start: Doubles, judged: Sequence[Judgement], ridge: float) -> None:
        n, c = len(judged), max(len(one.signs) for one in judged)
        self._start, self._ridge = start, ridge
        self._signs = np.zeros((n, c, len(start)))
        self._mask = np.full((n, c), -np.inf)
        for row, one in enumerate(judged):
            self._signs[row, : len(one.signs)] = one.signs
            self._mask[row, : len(one.signs)] = 0.0
        self._rows = np.arange(n)
        self._chosen = np.array([one.chosen for one in judged], dtype=np.intp)
        self._quality = np.array([one.quality for one in judged], dtype=np.float64)

    def loss(self, beta: Doubles) -> float:
        p = self._own(self._probabilities(beta))
        likelihood = self._quality * np.log(np.maximum(p, _LEAST)) + (1.0 - self._quality) * np.log1p(-p)
        return float(-likelihood.sum() + 0.5 * self._ridge * np.square(beta - self._start).sum())

    def step(self, beta: Doubles) -> Doubles:
        """The inverse of the curvature times the gradient, of shape (f,)."""
        pi = self._probabilities(beta)
        p, q = self._own(pi), self._quality
        mean = np.einsum("nc,ncf->nf", pi, self._signs)
        z = self._signs[self._rows, self._chosen] - mean
        gradient = ((p - q) / (1.0 - p)).dot(z) + self._ridge * (beta - self._start)
        spread = self._signs - mean[:, None, :]
        good = np.einsum("n,nc,ncf,ncg->fg", q, pi, spread, spread, optimize=True)
        bad = np.einsum("n,nf,ng->fg", (1.0 - q) * p / (1.0 - p), z, z, optimize=True)
        curvature = good + bad + self._ridge * np.eye(len(beta))
        return np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)

    def _probabilities(self, beta: Doubles) -> Doubles:
        scores = self._signs.dot(beta) + self._mask
        mass = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(mass / mass.sum(axis=1, keepdims=True), dtype=np.float64)

    def _own(self, pi: Doubles) -> Doubles:
        return np.minimum(pi[self._rows, self._chosen], _MOST)
