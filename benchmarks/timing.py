"""Timing: rounds that take all candidates in turn, and medians, because this is about ratios on noisy machines."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Call = Callable[[int], object]


def medians_us(
    calls: Mapping[str, Call], *, rounds: int, batch: int, tidy: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Median time of one call in microseconds, for each candidate.

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
    return {name: statistics.median(values[2:]) for name, values in samples.items()}
