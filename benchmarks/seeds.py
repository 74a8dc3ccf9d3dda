"""One measurement for each seed, in processes of their own, and what the seeds say together."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from benchmarks.arguments import MAX_SEEDS, say
from swarm.errors import BoundsError, InputError
from swarm.sona.vectors import Doubles, check_count

Found = TypeVar("Found")

MAX_PROCESSES = 2
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds and its 95 % interval; of one seed there is no interval, and lo = hi = mean."""

    mean: float
    lo: float
    hi: float


def run_seeds(function: Callable[[int], Found], seeds: int, processes: int = MAX_PROCESSES) -> list[Found]:
    """`function(seed)` for the seeds 0..seeds-1, in that order whichever ends first; progress goes to stderr.

    Parameters
    ----------
    function : of a module, or a `functools.partial` of one with the data: it is sent to fresh processes, in which
        BLAS has one thread. What it returns comes back the same way.
    seeds : 1..1000
    processes : 1..2; 1 runs all in this process

    Raises
    ------
    BoundsError
        If a number is out of its bounds.
    Exception
        The first that `function` raises; seeds that have not begun are not run then.
    """
    check_count(seeds, "seeds", 1, MAX_SEEDS)
    check_count(processes, "processes", 1, MAX_PROCESSES)
    started = time.monotonic()
    found: dict[int, Found] = {}
    if min(processes, seeds) == 1:
        for seed in range(seeds):
            found[seed] = function(seed)
            _say_progress(seed, len(found), seeds, started)
        return list(found.values())
    # Fresh ones: a fork would copy the threads' locks of BLAS and tokenizers in whatever state they are.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(processes, seeds), mp_context=context) as pool:
        futures = {pool.submit(function, seed): seed for seed in range(seeds)}
        try:
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                _say_progress(futures[future], len(found), seeds, started)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [found[seed] for seed in range(seeds)]


def summarise(runs: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    """Mean and interval of every metric, in the order of the first run.

    Raises
    ------
    InputError
        If there is no run, or the runs have different metrics.
    BoundsError
        If a value is not finite; the message names metric and seed.
    """
    if not runs:
        raise InputError("runs must be at least 1, got 0")
    names = list(runs[0])
    for seed, run in enumerate(runs):
        if set(run) != set(names):
            differing = sorted(set(run) ^ set(names))
            raise InputError(f"seed {seed} must have the metrics of seed 0, got a difference in {', '.join(differing)}")
        for name, value in run.items():
            if not math.isfinite(value):
                raise BoundsError(f"metric {name} must be finite, got {value} with seed {seed}")
    table = np.array([[run[name] for name in names] for run in runs], dtype=np.float64)  # (seeds, metrics)
    means, half = mean_and_half_width(table)
    return {
        name: Estimate(mean=float(mean), lo=float(mean - width), hi=float(mean + width))
        for name, mean, width in zip(names, means, half, strict=True)
    }


def mean_and_half_width(values: Doubles) -> tuple[Doubles, Doubles]:
    """Means (m,) over the n seeds of (n, m), and half the width of their 95 % intervals (m,), 0 for one seed.

    Student's t: t(0.975, n - 1) s / sqrt(n), with s the standard deviation of n - 1 degrees of freedom.
    """
    # Here, because SciPy's statistics take a second to load, which the processes of the seeds need not spend.
    from scipy.stats import t

    means = values.mean(axis=0)
    n = len(values)
    if n == 1:
        return means, np.zeros_like(means)
    quantile = float(t.ppf(0.5 + CONFIDENCE / 2, n - 1))
    return means, np.asarray(quantile * values.std(axis=0, ddof=1) / math.sqrt(n))


def _say_progress(seed: int, done: int, seeds: int, started: float) -> None:
    say(f"seed {seed} done, {done} of {seeds}, {time.monotonic() - started:.0f} s")
