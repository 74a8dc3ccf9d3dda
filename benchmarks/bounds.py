"""What can be reached by learners that see the right label of every training row: no bandit ever does.

`LogisticRegression(C=10, max_iter=300)` of scikit-learn, and the vote of the ten nearest training rows.
"""

from __future__ import annotations

import warnings

import numpy as np

from benchmarks.labelled import LabelledTexts
from swarm.sona.vectors import Doubles, Integers, Vector

NEIGHBOURS = 10
_CHUNK = 512


def logistic_scores(data: LabelledTexts) -> Doubles:
    """Log-probabilities of shape (test rows, labels); -inf for labels without training rows."""
    # Here, because scikit-learn takes a second to load, which the other processes need not spend.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=300)
    with warnings.catch_warnings():
        # 300 iterations are the definition of this bound, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.embedding[data.train], data.labels[data.train])
    scores = np.full((int(data.test.sum()), len(data.label_names)), -np.inf)
    scores[:, model.classes_] = model.predict_log_proba(data.embedding[data.test])
    return scores


def neighbour_scores(data: LabelledTexts) -> Doubles:
    """Votes of shape (test rows, labels): how many of the ten nearest training rows; nearer ones break ties."""
    train = np.flatnonzero(data.train)
    k = min(NEIGHBOURS, len(train))
    return np.concatenate([_votes(x, data, train, k) for x in _chunks(data.embedding[data.test])])


def share_right(scores: Doubles, data: LabelledTexts) -> float:
    """Share of the test rows whose label has the highest of the `scores` (test rows, labels)."""
    return float((scores.argmax(axis=1) == data.labels[data.test]).mean())


def _votes(x: Vector, data: LabelledTexts, train: Integers, k: int) -> Doubles:
    similarities = x.dot(data.embedding[train].T)
    nearest = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
    votes = np.zeros((len(x), len(data.label_names)))
    rows = np.arange(len(x))
    for column in nearest.T:
        # A similarity is at most 1, so that all of them together weigh less than one vote.
        votes[rows, data.labels[train[column]]] += 1.0 + similarities[rows, column] / (4.0 * k)
    return votes


def _chunks(x: Vector) -> list[Vector]:
    return [x[start : start + _CHUNK] for start in range(0, len(x), _CHUNK)]
