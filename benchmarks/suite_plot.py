"""One picture of a run: every ratio to what stands beside it, with its spread and what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.plots import COLOURS, INK, QUIET
from benchmarks.suite_figures import Better, Row
from benchmarks.suite_result import Result
from swarm.errors import InputError

_BETTER, _WORSE = COLOURS[0], COLOURS[1]
_LEAST = 0.02
"""An interval is drawn down to so much of the ratio: a logarithm has no zero."""


def save_ratios(path: Path, result: Result) -> None:
    """Draw every row that has a positive ratio, grouped by benchmark; nothing, if there is none.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    rows = [row for row in result.rows if row.ratio is not None and row.ratio > 0.0]
    if not rows:
        return
    figure = Figure(
        figsize=(11.0, 1.8 + 0.27 * (len(rows) + len({row.bench for row in rows}))),
        dpi=140,
        layout=ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.1),
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    title = f"Ours over what stands beside it: {result.size} run, commit {result.place.get('commit', '?')}"
    figure.suptitle(title, x=0.014, ha="left", fontsize=14, fontweight="bold", color=INK)
    axes.set_xscale("log")
    axes.axvline(1.0, color=QUIET, linewidth=1.2, zorder=1)
    heights, names = _draw_rows(axes, rows)
    axes.set_yticks(heights, names, fontsize=9)
    axes.set_ylim(max(heights) + 0.8, -0.8)
    for label, row in zip(axes.get_yticklabels(), _with_heads(rows), strict=True):
        label.set_fontweight("bold" if row is None else "normal")
    _finish(axes)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write the plot {path}: {error}") from error


def _with_heads(rows: Sequence[Row]) -> list[Row | None]:
    """The rows with None before each benchmark."""
    found: list[Row | None] = []
    for place, row in enumerate(rows):
        if not place or rows[place - 1].bench != row.bench:
            found.append(None)
        found.append(row)
    return found


def _draw_rows(axes: Axes, rows: Sequence[Row]) -> tuple[list[int], list[str]]:
    benches = iter(dict.fromkeys(row.bench for row in rows))
    heights, names = [], []
    for height, row in enumerate(_with_heads(rows)):
        heights.append(height)
        if row is None:
            names.append(next(benches))
            continue
        names.append(f"{row.what} / {row.beside_name}")
        _draw_row(axes, height, row)
    return heights, names


def _draw_row(axes: Axes, height: int, row: Row) -> None:
    assert row.ratio is not None
    # Our own figure's interval is that of the ratio, if what stands beside it is taken as it is.
    scale = 1.0 if row.judged == "ratio" or not row.beside else row.beside
    low, high = sorted((row.lo / scale, row.hi / scale)) if row.n > 1 else (row.ratio, row.ratio)
    low = max(low, _LEAST * row.ratio)
    is_good = (row.ratio > 1.0) == (row.better is Better.MORE)
    colour = QUIET if low <= 1.0 <= high else _BETTER if is_good else _WORSE
    axes.plot([1.0, row.ratio], [height, height], color=colour, linewidth=1.2, alpha=0.5, zorder=2)
    axes.plot([low, high], [height, height], color=INK, linewidth=1.4, zorder=3, solid_capstyle="butt")
    axes.plot([row.ratio], [height], "o", color=colour, markersize=6, zorder=4)
    is_right, is_missed = row.ratio >= 1.0, row.is_met is False
    axes.annotate(
        f"{row.ratio:.2f}{' missed' if is_missed else ''}",
        xy=(high if is_right else low, height),
        xytext=(8 if is_right else -8, 0),
        textcoords="offset points",
        ha="left" if is_right else "right",
        va="center",
        fontsize=8.5,
        color=_WORSE if is_missed else INK,
        fontweight="bold" if is_missed else "normal",
    )


def _finish(axes: Axes) -> None:
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(LogLocator(base=10.0, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(
        "ours / beside, logarithmic; blue better, orange worse, grey: 1 lies where the runs lay (black)",
        fontsize=9.5,
        color=INK,
        labelpad=8,
    )
    axes.tick_params(which="both", colors=INK, length=0, labelsize=9)
    axes.grid(axis="x", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
