"""A benchmark of the suite, and how what it prints is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.suite_figures import Better, Bound, Figure, Reading, Spread

LESS = Better.LESS
NEVER = Bound(most=0.0)
NO_LOSS = Bound(least=1.0, of_ratio=True)

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One benchmark of the suite."""

    name: str
    module: str
    shows: str
    small: Sequence[str]
    full: Sequence[str]
    figures: Sequence[Figure]
    full_figures: Sequence[Figure] = ()
    """Where they differ from those of a small run."""
    read: Callable[[Record], Reading]
    is_timed: bool = False
    """It has the machine to itself; the others run two at a time."""
    small_data: str | None = None
    full_data: Sequence[str] = ()
    """Folders of real data in `--data`; the benchmark is run once for each."""
    has_own_text: bool = False
    """A full run without data takes the documentation of the standard library."""
    has_plot: bool = True
    takes_peer: bool = False
    in_small: bool = True
    """Whether a small run holds it, unless it is asked for by name."""


def of_report(record: Record) -> Reading:
    """The form of `benchmarks.report`."""
    n = int(record["seeds"])
    metrics = {
        name: Spread(mean=float(found["mean"]), lo=float(found["lo"]), hi=float(found["hi"]), n=n)
        for name, found in record["metrics"].items()
    }
    return Reading(data=str(record["data"]), metrics=metrics)


def of_engine(record: Record) -> Reading:
    """The form of `bench_engine`: times by key, and where the middle half of the rounds' ratios lay."""
    metrics: dict[str, Spread] = {}
    for key, (low, high) in record["ratio_to_numpy_middle"].items():
        n = 1 if key == "background_10k" else int(record["rounds"])
        metrics[f"{key}_ratio"] = Spread(mean=float(record["ratio_to_numpy"][key]), lo=low, hi=high, n=n)
    for party in ("ours", "numpy", "peer"):
        for key, value in record[f"{party}_us"].items():
            metrics[f"{key}_{party}"] = Spread(mean=float(value), lo=float(value), hi=float(value), n=1)
    return Reading(data=f"{record['dim']} dimensions", metrics=metrics)


def of_edge(record: Record) -> Reading:
    """The form of `bench_edge`: megabytes, and how full the engine was."""
    metrics = {
        key: Spread(mean=float(record[key]), lo=float(record[key]), hi=float(record[key]), n=1)
        for key in ("full_mb", "peak_mb", "rss_mb")
    }
    return Reading(data=f"{record['preset']}, {record['dim']} dimensions", metrics=metrics)
