"""How an agent ranks the right answers of examples that nobody learns: top-1 and mean reciprocal rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Of `n` right answers the share that is ranked first, and the mean of 1 / rank."""

    n: int
    top1: float
    mrr: float


def reciprocal_rank(ranked: Sequence[str], right: str) -> float:
    """1 / the rank of the right answer, from 1; 0 where it is not among them.

    >>> reciprocal_rank(["a", "b"], "b"), reciprocal_rank(["a", "b"], "c")
    (0.5, 0.0)
    """
    return 1.0 / (1 + ranked.index(right)) if right in ranked else 0.0


def measured(reciprocal_ranks: Sequence[float]) -> Measure:
    """What they come to; zeros of none.

    >>> measured([1.0, 0.5, 0.0])
    Measure(n=3, top1=0.3333333333333333, mrr=0.5)
    """
    n = len(reciprocal_ranks)
    if not n:
        return Measure(n=0, top1=0.0, mrr=0.0)
    return Measure(n=n, top1=sum(one == 1.0 for one in reciprocal_ranks) / n, mrr=sum(reciprocal_ranks) / n)
