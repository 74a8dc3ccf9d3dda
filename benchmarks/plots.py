"""Pictures of a benchmark: curves with bands, and bars with intervals, means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmarks.seeds import Estimate, mean_and_half_width
from swarm.errors import InputError, ShapeError
from swarm.sona.vectors import Doubles

# Okabe and Ito's colours, told apart with every common colour blindness; yellow is left out, it is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
STYLES = ("-", "--", ":", "-.")
INK = "#222222"
QUIET = "#7A7A7A"
_NAME_GAP = 0.045
"""Least distance between two names at the right edge, in heights of the plot."""
_LEAST_SPAN = 0.06


def save_curves(
    path: Path,
    curves: Mapping[str, Sequence[Sequence[float]]],
    x: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    ours: Sequence[str] = (),
    levels: Mapping[str, float] | None = None,
    is_share: bool = True,
    is_log_x: bool = False,
) -> None:
    """Draw one line for each name: the mean over seeds, with the 95 % interval as a band.

    Parameters
    ----------
    path : file to write, .png, .svg or .pdf; its folder is made
    curves : name -> values of shape (seeds, points), finite; at most 28 names are told apart
    x : of shape (points,), shared or by name, rising
    title, x_label, y_label : with units
    ours : names drawn with wider lines
    levels : name -> height of a horizontal line, such as an upper bound
    is_share : heights are shares 0-1 and are written as percentages
    is_log_x : logarithmic x, for costs

    Raises
    ------
    ShapeError
        If a curve is not as many finite numbers for each seed as there are x.
    InputError
        If there is nothing to draw, or the file cannot be written.
    """
    if not curves:
        raise InputError("curves must be at least 1, got 0")
    figure, axes = _figure(title, (10.5, 5.8))
    if is_log_x:
        axes.set_xscale("log")
    ends: list[tuple[float, str, str, bool]] = []
    # Ours come first to the colours, so that they look the same in every picture.
    ranks = {name: rank for rank, name in enumerate(sorted(curves, key=lambda name: name not in ours))}
    for name, values in curves.items():
        at = np.asarray(x[name] if isinstance(x, Mapping) else x, dtype=np.float64)
        mean, half = _mean_and_band(name, values, at)
        colour, style = COLOURS[ranks[name] % len(COLOURS)], STYLES[ranks[name] // len(COLOURS) % len(STYLES)]
        axes.fill_between(at, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            at,
            mean,
            color=colour,
            linestyle=style,
            linewidth=2.8 if name in ours else 1.7,
            zorder=3 if name in ours else 2,
        )
        ends.append((float(mean[-1]), name, colour, name in ours))
    for name, height in (levels or {}).items():
        axes.axhline(height, color=QUIET, linestyle=(0, (5, 3)), linewidth=1.2)
        ends.append((height, name, QUIET, False))
    axes.margins(x=0.0 if not is_log_x else 0.02)
    if is_share:
        _make_room(axes)
    _label(axes, x_label, y_label)
    _finish(axes, "y", is_share)
    _name_ends(figure, axes, ends, is_share)
    _save(figure, path)


def save_bars(
    path: Path,
    metrics: Mapping[str, Estimate],
    *,
    title: str,
    value_label: str,
    ours: Sequence[str] = (),
    is_share: bool = True,
    reference: tuple[str, float] | None = None,
) -> None:
    """Draw one horizontal bar for each name, in the order given, with its 95 % interval and its figure.

    Parameters
    ----------
    path, title, is_share : as in `save_curves`
    value_label : what is measured, with its unit
    ours : names drawn in the strong colour; the others are grey
    reference : (name, value) of a vertical line, such as the frozen system's figure

    Raises
    ------
    InputError
        If there is nothing to draw, or the file cannot be written.
    """
    if not metrics:
        raise InputError("metrics must be at least 1, got 0")
    figure, axes = _figure(title, (10.5, 1.9 + 0.42 * len(metrics)))
    for position, (name, e) in enumerate(metrics.items()):
        colour = COLOURS[0] if name in ours else "#A6A6A6"
        axes.barh(position, e.mean, height=0.68, color=colour)
        axes.plot([e.lo, e.hi], [position, position], color=INK, linewidth=1.4, solid_capstyle="butt")
        is_left = e.mean < 0.0
        axes.annotate(
            _figure_text(e.mean, is_share),
            xy=(min(e.lo, e.mean) if is_left else max(e.hi, e.mean), position),
            xytext=(-6 if is_left else 6, 0),
            textcoords="offset points",
            ha="right" if is_left else "left",
            va="center",
            fontsize=10,
            color=INK,
            fontweight="bold" if name in ours else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            zorder=4,
        )
    axes.set_yticks(range(len(metrics)), list(metrics), fontsize=10)
    axes.set_ylim(len(metrics) - 0.4, -0.6)
    axes.margins(x=0.1)
    if reference is not None:
        name, value = reference
        axes.axvline(value, color=COLOURS[1], linestyle=(0, (5, 3)), linewidth=1.3, zorder=3)
        axes.text(
            value, 1.0, f" {name}", transform=axes.get_xaxis_transform(), va="bottom", fontsize=9.5, color=COLOURS[1]
        )
    _label(axes, value_label, "")
    _finish(axes, "x", is_share)
    _save(figure, path)


def _figure(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    # Figure and canvas directly: pyplot would pick a window system and keep every figure alive.
    figure = Figure(figsize=size, dpi=150, layout=ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12))
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.014, ha="left", fontsize=14, fontweight="bold", color=INK)
    return figure, figure.subplots()


def _mean_and_band(name: str, values: Sequence[Sequence[float]], x: Doubles) -> tuple[Doubles, Doubles]:
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"curve {name} must be rows of {len(x)} numbers, one for each seed: {error}") from error
    if table.ndim != 2 or not len(table) or table.shape[1] != len(x) or not len(x) or not np.isfinite(table).all():
        raise ShapeError(f"curve {name} must be finite and of shape (seeds, {len(x)}), got {table.shape}")
    return mean_and_half_width(table)


def _make_room(axes: Axes) -> None:
    """Nothing smaller than six points fills the height: noise would look like learning."""
    bottom, top = axes.get_ylim()
    missing = max(0.0, _LEAST_SPAN - (top - bottom))
    axes.set_ylim(bottom - missing / 2, top + missing / 2)


def _name_ends(figure: Figure, axes: Axes, ends: Sequence[tuple[float, str, str, bool]], is_share: bool) -> None:
    """Each line's name and last figure at the right edge, moved apart where lines end close together."""
    bottom, top = axes.get_ylim()
    gap = _NAME_GAP * (top - bottom)
    heights: list[float] = []
    ordered = sorted(ends)
    for end, *_ in ordered:
        heights.append(max(end, heights[-1] + gap) if heights else end)
    # What was pushed out above moves down again, and takes along what lies in its way.
    limit = top
    for position in range(len(heights) - 1, -1, -1):
        heights[position] = min(heights[position], limit)
        limit = heights[position] - gap
    for height, (end, name, colour, is_ours) in zip(heights, ordered, strict=True):
        axes.annotate(
            f"{name}  {_figure_text(end, is_share)}",
            xy=(1.0, height),
            xycoords=axes.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            color=colour,
            fontweight="bold" if is_ours else "normal",
            annotation_clip=False,
        )


def _figure_text(value: float, is_share: bool) -> str:
    return f"{100 * value:.1f} %" if is_share else f"{value:.4g}"


def _label(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, fontsize=10.5, color=INK, labelpad=8)
    axes.set_ylabel(y_label, fontsize=10.5, color=INK, labelpad=8)


def _finish(axes: Axes, value_axis: str, is_share: bool) -> None:
    along = axes.yaxis if value_axis == "y" else axes.xaxis
    along.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
    if is_share:
        along.set_major_formatter(FuncFormatter(lambda value, _position: f"{100 * value:g} %"))
    if value_axis == "y" and axes.get_xscale() == "linear":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:,g}"))
    axes.tick_params(which="both", colors=INK, length=0, labelsize=9.5)
    axes.grid(axis="y" if value_axis == "y" else "x", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:
        # ValueError is Matplotlib's word for an ending that it does not know.
        raise InputError(f"cannot write the plot {path}: {error}") from error
