"""Timing: rounds that take all candidates in turn, because this is about ratios on noisy machines."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Call = Callable[[int], object]


def times_us(
    calls: Mapping[str, Call], *, rounds: int, batch: int, tidy: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Time of one call in microseconds in each round, for each candidate.

    Every round times `batch` calls of each candidate, one candidate after the other, so that a slow moment of
    the machine hits all of them. A call gets its running number. `tidy` runs after each round, untimed.
    """
    samples: dict[str, list[float]] = {name: [] for name in calls}
    number = 0
    for _ in range(rounds + 2):
        for name, call in calls.items():
            started = time.perf_counter_ns()
            for i in range(number, number + batch):
                call(i)
            samples[name].append((time.perf_counter_ns() - started) / batch / 1e3)
        number += batch
        tidy()
    # The first rounds warm caches up.
    return {name: values[2:] for name, values in samples.items()}


def middle(values: Sequence[float]) -> tuple[float, float]:
    """The quarter and the three quarters of `values`: between them lies the middle half of the rounds.

    >>> middle([1.0, 2.0, 3.0, 4.0, 50.0])
    (2.0, 4.0)
    """
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
