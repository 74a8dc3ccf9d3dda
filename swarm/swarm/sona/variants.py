"""Choice among variants (an A/B test, a route) by upper confidence bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from swarm.errors import InputError, shown
from swarm.sona.vectors import check_number


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantScore:
    """What is known of a variant near a query: mean quality in [0, 1], and how many outcomes that rests on."""

    name: str
    mean: float
    n: float


def select_by_ucb(variants: Sequence[str], scores: Sequence[VariantScore], exploration: float = 1.0) -> str:
    """The variant with the highest UCB1 value (Auer et al. 2002, figure 1): mean + c sqrt(2 ln N / n).

    A variant without a score, or with n = 0, comes first, in the order of `variants`.

    >>> a, b = VariantScore(name="a", mean=0.9, n=50.0), VariantScore(name="b", mean=0.5, n=50.0)
    >>> select_by_ucb(["a", "b"], [a, b]), select_by_ucb(["a", "b", "c"], [a, b])
    ('a', 'c')
    """
    if not variants or isinstance(variants, str):
        raise InputError(f"variants must be a sequence of names, not empty, got {shown(variants, 40)}")
    check_number(exploration, "exploration", 0.0, 1e6)
    for score in scores:
        check_number(score.mean, f"mean of {score.name}", 0.0, 1.0)
        check_number(score.n, f"n of {score.name}", 0.0, 1e15)
    known = {score.name: score for score in scores if score.n > 0.0}
    for name in variants:
        if name not in known:
            return name
    total = max(math.e, sum(known[name].n for name in variants))
    return max(
        variants,
        key=lambda name: known[name].mean + exploration * math.sqrt(2.0 * math.log(total) / known[name].n),
    )
