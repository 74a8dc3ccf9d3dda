"""The rule of the published engine (`@ruvector/sona` 0.1.8), as it was found to behave, for a baseline.

Legend: x (d,) query, U and D (r, d) the factors of its micro tier, p_t (d,) prototype of the label of try t.

    y = x + (U^T D x) / sqrt(r)                    the label whose seeds' prototype is nearest to y is tried
    g = sum_t (q_t - mean_t q_t) p_t, then g / |g|    the baseline is the mean of the trajectory's OWN rewards
    U_i <- U_i + lr q g    for every row i alike      q >= 0 is the quality at the end; D is never trained

So a request that is right at once teaches nothing (its only step has no advantage), one that fails altogether teaches
nothing either (weight 0), and rank 2 is rank 1. The base tier is left out because it is zero for ever: D = U = 0 at the
start, and only U has a gradient, which is a multiple of D x. Its clusters name no action, so they rank nothing.

This reads the rule kindly: a request and its tries are one trajectory of several steps, and each step's activation is
the prototype that was tried. With the usual trajectory of one step the rule would be the frozen ranking, exactly.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.bandit import TRIES, Stream
from swarm.sona.prototypes import prototypes_of
from swarm.sona.vectors import Integers, Vector

LEARNING_RATE = 0.002
"""The value that its documentation recommends."""
RANK = 2


class PublishedRule:
    """The published engine over the seeds of a stream."""

    def __init__(self, stream: Stream) -> None:
        dim = stream.embedding.shape[1]
        labels, rows = np.unique(stream.labels[stream.seeds], return_inverse=True)
        self.labels: Integers = labels
        self.prototypes, _ = prototypes_of(stream.embedding[stream.seeds].astype(np.float64), rows, len(labels))
        self.down: Vector = (np.random.default_rng(stream.seed).standard_normal((RANK, dim)) / math.sqrt(dim)).astype(
            np.float32
        )
        self.up: Vector = np.zeros((RANK, dim), dtype=np.float32)

    def ranked(self, queries: Vector, k: int) -> Integers:
        """Positions in `labels` of the k nearest to each query (b, d), nearest first."""
        y = queries + queries.dot(self.down.T).dot(self.up) / np.float32(math.sqrt(RANK))
        return np.argsort(-y.dot(self.prototypes.T), axis=1, kind="stable")[:, :k]

    def learn(self, tried: Integers, rewards: Vector) -> None:
        """One trajectory: the positions tried, of shape (steps,), and what each was told to be worth."""
        gradient = (rewards - rewards.mean()).dot(self.prototypes[tried])
        length = float(np.sqrt(gradient.dot(gradient)))
        if length > 0.0:
            self.up += np.float32(LEARNING_RATE * float(rewards[-1]) / length) * gradient

    def success_at_1(self, stream: Stream) -> float:
        """As `bandit.success_at_1`."""
        best = self.labels[self.ranked(stream.embedding[stream.test], 1)[:, 0]]
        return float((best == stream.labels[stream.test]).mean())


def drive_published(rule: PublishedRule, stream: Stream, every: int) -> tuple[list[int], list[float]]:
    """Events so far and success@1 on the test rows, at the start, about every `every` events, and at the end."""
    at, success = [0], [rule.success_at_1(stream)]
    events = 0
    for row in stream.requests.tolist():
        order = rule.ranked(stream.embedding[row][None, :], TRIES)[0]
        right = np.flatnonzero(rule.labels[order] == stream.labels[row])
        tried = order[: int(right[0]) + 1] if len(right) else order
        rule.learn(tried, (rule.labels[tried] == stream.labels[row]).astype(np.float32))
        events += len(tried)
        if events - at[-1] >= every:
            at.append(events)
            success.append(rule.success_at_1(stream))
    if at[-1] != events:
        at.append(events)
        success.append(rule.success_at_1(stream))
    return at, success
