"""Routers to compare with. Each predicts the quality of every model for every request from full logs.

The bandits see one score of each request, that of the model they chose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from swarm.sona.vectors import Doubles, Integers, Vector

KNN = 40
RIDGE = 10.0
LINUCB_RIDGE = 1.0
LINUCB_WIDTH = 0.3
_EXPLORE = 0.05
_FIRST = 5
"""Every model is tried so often before a bandit without confidence bounds trusts its means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What a baseline may know of n requests: embedding (n, d), length of the prompt (n,), category (n,)."""

    embedding: Vector
    lengths: Doubles
    categories: Integers

    def take(self, rows: Integers) -> Requests:
        return Requests(embedding=self.embedding[rows], lengths=self.lengths[rows], categories=self.categories[rows])


Predictor = Callable[[Requests, Doubles, Requests], Doubles]
"""(requests seen, their scores (n, m), new requests) -> predicted scores."""


def mean_of_model(seen: Requests, scores: Doubles, new: Requests) -> Doubles:
    """The same for every request: the model's mean."""
    return np.tile(scores.mean(axis=0), (len(new.lengths), 1))


def by_length(seen: Requests, scores: Doubles, new: Requests) -> Doubles:
    """A parabola over the logarithm of the prompt's length."""
    return _linear(_length_features(seen.lengths), scores, _length_features(new.lengths), 1.0)


def category_mean(seen: Requests, scores: Doubles, new: Requests) -> Doubles:
    """The mean of the category; of all requests where a category is new. The only one that is told the category."""
    count = int(max(seen.categories.max(), new.categories.max())) + 1
    sums = np.stack([np.bincount(seen.categories, weights=column, minlength=count) for column in scores.T], axis=1)
    n = np.bincount(seen.categories, minlength=count)[:, None]
    means = np.where(n > 0, sums / np.maximum(n, 1), scores.mean(axis=0))
    return np.asarray(means[new.categories], dtype=np.float64)


def knn(seen: Requests, scores: Doubles, new: Requests) -> Doubles:
    """Mean over the 40 nearest requests."""
    k = min(KNN, len(scores))
    nearest = np.argpartition(-(new.embedding @ seen.embedding.T), k - 1, axis=1)[:, :k]
    return np.asarray(scores[nearest].mean(axis=1), dtype=np.float64)


def ridge(seen: Requests, scores: Doubles, new: Requests) -> Doubles:
    """Ridge regression on the embedding."""
    return _linear(_with_one(seen.embedding), scores, _with_one(new.embedding), RIDGE)


def linucb(seen: Requests, scores: Doubles, new: Requests) -> Doubles:
    """LinUCB (Li et al. 2010) after the whole log: ridge with its weaker prior; the bonus is equal for all models."""
    return _linear(_with_one(seen.embedding), scores, _with_one(new.embedding), LINUCB_RIDGE)


def _length_features(lengths: Doubles) -> Doubles:
    logs = np.log1p(lengths) - 5.0
    return np.stack([np.ones_like(logs), logs, logs**2], axis=1)


def _with_one(embedding: Vector) -> Doubles:
    return np.hstack([np.ones((len(embedding), 1)), embedding.astype(np.float64)])


def _linear(x: Doubles, scores: Doubles, new: Doubles, penalty: float) -> Doubles:
    held = penalty * np.eye(x.shape[1])
    # The first column is 1, and its weight is the mean: not held back.
    held[0, 0] = 1e-6
    return np.asarray(new @ np.linalg.solve(x.T @ x + held, x.T @ scores), dtype=np.float64)


# Bandits: requests come one by one, and only the chosen model's score is seen.


def online_random(stream: Requests, scores: Doubles, rng: np.random.Generator) -> Integers:
    return rng.integers(0, scores.shape[1], len(scores))


def online_ucb(stream: Requests, scores: Doubles, rng: np.random.Generator) -> Integers:
    """UCB1 over the models, whatever the request."""
    n, total = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    chosen = np.zeros(len(scores), dtype=np.intp)
    for i in range(len(scores)):
        bonus = np.sqrt(0.5 * np.log(i + 1.0) / np.maximum(n, 1e-9))
        arm = int(np.argmax(np.where(n > 0, total / np.maximum(n, 1.0) + bonus, np.inf)))
        chosen[i] = arm
        n[arm] += 1.0
        total[arm] += scores[i, arm]
    return chosen


def online_category(stream: Requests, scores: Doubles, rng: np.random.Generator) -> Integers:
    """UCB1 in every category by itself."""
    chosen = np.zeros(len(scores), dtype=np.intp)
    for category in np.unique(stream.categories):
        rows = np.flatnonzero(stream.categories == category)
        chosen[rows] = online_ucb(stream.take(rows), scores[rows], rng)
    return chosen


def online_knn(stream: Requests, scores: Doubles, rng: np.random.Generator) -> Integers:
    """Mean over the model's own 40 nearest outcomes; a twentieth of the requests goes anywhere."""
    m = scores.shape[1]
    chosen = np.zeros(len(scores), dtype=np.intp)
    for i in range(len(scores)):
        similar = stream.embedding[:i] @ stream.embedding[i]
        expected = np.zeros(m)
        for arm in range(m):
            own = np.flatnonzero(chosen[:i] == arm)
            if len(own) > KNN:
                own = own[np.argpartition(-similar[own], KNN - 1)[:KNN]]
            expected[arm] = scores[own, arm].mean() if len(own) >= _FIRST else np.inf
        chosen[i] = _best_or_any(expected, rng)
    return chosen


def online_linear(
    features: Doubles, scores: Doubles, rng: np.random.Generator, penalty: float, width: float
) -> Integers:
    """LinUCB with one model of each arm; with width 0 a twentieth of the requests goes anywhere instead."""
    m, p = scores.shape[1], features.shape[1]
    inverse = np.tile(np.eye(p) / penalty, (m, 1, 1))
    targets = np.zeros((m, p))
    weights = np.zeros((m, p))
    n = np.zeros(m)
    chosen = np.zeros(len(scores), dtype=np.intp)
    for i, x in enumerate(features):
        directions = inverse @ x  # (m, p)
        expected = weights @ x + width * np.sqrt(np.maximum(directions @ x, 0.0))
        arm = int(np.argmax(expected)) if width else _best_or_any(np.where(n < _FIRST, np.inf, expected), rng)
        chosen[i] = arm
        d = directions[arm]
        inverse[arm] -= np.outer(d, d / (1.0 + x @ d))
        targets[arm] += scores[i, arm] * x
        weights[arm] = inverse[arm] @ targets[arm]
        n[arm] += 1.0
    return chosen


def online_length(stream: Requests, scores: Doubles, rng: np.random.Generator) -> Integers:
    return online_linear(_length_features(stream.lengths), scores, rng, 1.0, 0.0)


def online_ridge(stream: Requests, scores: Doubles, rng: np.random.Generator) -> Integers:
    return online_linear(_with_one(stream.embedding), scores, rng, LINUCB_RIDGE, 0.0)


def online_linucb(stream: Requests, scores: Doubles, rng: np.random.Generator) -> Integers:
    return online_linear(_with_one(stream.embedding), scores, rng, LINUCB_RIDGE, LINUCB_WIDTH)


def _best_or_any(expected: Doubles, rng: np.random.Generator) -> int:
    if rng.random() < _EXPLORE:
        return int(rng.integers(0, len(expected)))
    best = np.flatnonzero(expected == expected.max())
    return int(best[rng.integers(0, len(best))])
