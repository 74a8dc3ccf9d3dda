"""A benchmark's result: one JSON object, or a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.seeds import Estimate

_DIGITS = 6
"""Significant ones: costs of a call are far below a cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a benchmark found. Its field names are the promised JSON."""

    bench: str
    data: str
    embedder: str
    seeds: int
    metrics: Mapping[str, Estimate]
    seconds: float

    def to_json(self) -> str:
        """One object on one line; NaN is refused. With one seed a `note` says that there is no interval."""
        found: dict[str, object] = {
            "bench": self.bench,
            "data": self.data,
            "embedder": self.embedder,
            "seeds": self.seeds,
            "metrics": {
                name: {"mean": _short(e.mean), "lo": _short(e.lo), "hi": _short(e.hi)}
                for name, e in self.metrics.items()
            },
            "seconds": _short(self.seconds),
        }
        if self.seeds == 1:
            found["note"] = "one seed: lo and hi are the mean, there is no interval"
        return json.dumps(found, allow_nan=False)


def print_report(report: Report, console: Console | None = None) -> None:
    """Print the table to `console` (stdout by default)."""
    console = console or Console()
    seeds = f"{report.seeds} seeds" if report.seeds > 1 else "1 seed, no interval"
    title = f"{report.bench}: {report.data}, {report.embedder}, {seeds}, {report.seconds:.1f} s"
    # A line of its own: as the table's title it would be broken to the table's width.
    console.print(Text(title, "bold"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("mean", justify="right", no_wrap=True)
    if report.seeds > 1:
        table.add_column("95 % interval", justify="right", no_wrap=True)
    for name, estimate in report.metrics.items():
        cells = [Text(name), Text(_readable(estimate.mean), "bold cyan")]
        if report.seeds > 1:
            cells.append(Text(f"{_readable(estimate.lo)} … {_readable(estimate.hi)}"))
        table.add_row(*cells)
    console.print(table)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _readable(value: float) -> str:
    """Four decimals, and small or large numbers by their significant digits.

    >>> _readable(0.91234), _readable(0.0000316), _readable(0.0)
    ('0.9123', '3.16e-05', '0.0000')
    """
    return f"{value:.4f}" if value == 0.0 or 0.001 <= abs(value) < 1e5 else f"{value:.3g}"
