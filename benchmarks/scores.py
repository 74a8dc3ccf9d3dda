"""Figures of merit that several benchmarks share."""

from __future__ import annotations

import numpy as np

from swarm.errors import ShapeError
from swarm.sona.vectors import Doubles, Flags


def area_under_curve(scores: Doubles, truths: Flags) -> float:
    """Area under the ROC curve: how often a true case scores above a false one, ties half (Mann-Whitney).

    >>> area_under_curve(np.array([0.1, 0.5, 0.5]), np.array([False, True, False]))
    0.75

    Raises
    ------
    ShapeError
        If the shapes (n,) differ, or there are not both true and false cases.
    """
    if scores.shape != truths.shape or not 0 < truths.sum() < len(truths):
        raise ShapeError(f"scores and truths must be (n,) with both kinds, got {scores.shape}, {truths.sum()} true")
    _, ranks, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0
    positives = float(truths.sum())
    above = float(middle[ranks][truths].sum()) - positives * (positives + 1.0) / 2.0
    return above / (positives * (len(truths) - positives))
