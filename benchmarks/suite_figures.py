"""What the suite shows of a benchmark: its figures, each beside a floor, a baseline or a ceiling of the same run."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from swarm.errors import InputError

_LARGER = {"us": "ms", "ms": "s"}


class Better(enum.StrEnum):
    """Which way a figure should go."""

    LESS = "less"
    MORE = "more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What is wanted of a row: `least` or `most`, of the ratio, or of our own figure."""

    least: float | None = None
    most: float | None = None
    of_ratio: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value` is within it.

        >>> Bound(most=0.0).holds(0.0), Bound(least=0.4, of_ratio=True).holds(0.39)
        (True, False)
        """
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table, by the names of the benchmark's metrics."""

    key: str
    what: str
    unit: str = ""
    """`share`, `us`, `ms`, `/s`, or nothing for a plain number."""
    beside: str | None = None
    beside_name: str = ""
    ratio: str | None = None
    """The metric that holds ours over the other's; without it the ratio is that of the two means."""
    better: Better = Better.MORE
    bound: Bound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean or median, where the runs lay, and how many there were; of one run there is no spread."""

    mean: float
    lo: float
    hi: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A benchmark's JSON: its metrics, and what it was run on."""

    data: str
    metrics: Mapping[str, Spread]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure as it was measured. Its field names are the promised JSON."""

    id: str
    """`BENCH/DATA/KEY[/BESIDE]`, the same in every run."""
    bench: str
    data: str
    key: str
    what: str
    unit: str
    ours: float
    beside_name: str
    beside: float | None
    ratio: float | None
    judged: str
    """What `lo`, `hi` and a comparison are of: `ratio` or `ours`."""
    lo: float
    hi: float
    n: int
    better: Better
    wanted: str
    is_met: bool | None
    """None where nothing is wanted."""

    @property
    def value(self) -> float:
        """What is compared: a ratio where there is one, since it holds on another machine, else our own figure."""
        return self.ratio if self.judged == "ratio" and self.ratio is not None else self.ours

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def row_of(record: Mapping[str, Any]) -> Row:
    """The row that `to_dict` wrote.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return Row(**{**record, "better": Better(record["better"])})
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"rows must be those of a saved run: {error}") from error


def rows_of(bench: str, figures: Sequence[Figure], reading: Reading, judges_ratio: bool) -> list[Row]:
    """The rows of a benchmark, in the order of `figures`; what it did not measure, or nothing beside it, has none.

    Parameters
    ----------
    judges_ratio : whether ratios are what holds, as of times; else our own figures are
    """
    measured = reading.metrics.keys()
    return [
        _row(bench, figure, reading, judges_ratio)
        for figure in figures
        if {figure.key, figure.beside or figure.key} <= measured
    ]


def _row(bench: str, figure: Figure, reading: Reading, judges_ratio: bool) -> Row:
    metrics = reading.metrics
    ours, beside = metrics[figure.key], metrics.get(figure.beside or "")
    of_ratio = metrics.get(figure.ratio or "")
    ratio = of_ratio.mean if of_ratio else ours.mean / beside.mean if beside and beside.mean else None
    judged = of_ratio if of_ratio and judges_ratio else ours
    is_met, bound = None, figure.bound
    if bound is not None and (not bound.of_ratio or ratio is not None):
        is_met = bound.holds(ratio if bound.of_ratio and ratio is not None else ours.mean)
    return Row(
        id="/".join(filter(None, (bench, reading.data, figure.key, figure.beside))),
        bench=bench,
        data=reading.data,
        key=figure.key,
        what=figure.what,
        unit=figure.unit,
        ours=ours.mean,
        beside_name=figure.beside_name if beside else "",
        beside=beside.mean if beside else None,
        ratio=ratio,
        judged="ratio" if judged is of_ratio else "ours",
        lo=judged.lo,
        hi=judged.hi,
        n=judged.n,
        better=figure.better,
        wanted=wanted_of(figure),
        is_met=is_met,
    )


def wanted_of(figure: Figure) -> str:
    """The bound in words.

    >>> wanted_of(Figure("lost", "lost", bound=Bound(most=0.0)))
    '<= 0'
    >>> wanted_of(Figure("rate", "rate", "/s", bound=Bound(least=0.4, of_ratio=True)))
    '>= 0.4x'
    """
    bound = figure.bound
    if bound is None:
        return ""
    sign, limit = (">=", bound.least) if bound.least is not None else ("<=", bound.most)
    assert limit is not None
    return f"{sign} {limit:g}x" if bound.of_ratio else f"{sign} {written(limit, figure.unit)}"


def written(value: float, unit: str) -> str:
    """A figure for people; long times in their larger unit.

    >>> written(0.5632, "share"), written(24800.0, "/s"), written(6.406, "us"), written(3_297_555.0, "us")
    ('56.3 %', '24,800/s', '6.41 us', '3.3 s')
    """
    if unit == "share":
        return f"{100 * value:.1f} %"
    while unit in _LARGER and abs(value) >= 1000.0:
        value, unit = value / 1000.0, _LARGER[unit]
    number = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return f"{number}{unit}" if unit in {"", "/s"} else f"{number} {unit}"
