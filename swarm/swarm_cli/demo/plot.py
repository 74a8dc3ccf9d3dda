"""The demo's picture: held-out success over the stream, and at its end."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from swarm.errors import InputError
from swarm_cli.demo.report import DemoResult, HeldOutSuccess

# Okabe and Ito's colours: told apart with every common colour blindness, and in grey.
FROZEN = "#7A7A7A"
ISOLATED = "#C65102"
SWARM = "#0072B2"
INK = "#222222"
_NAMES = ("frozen", "agents alone", "swarm")
_COLOURS = (FROZEN, ISOLATED, SWARM)
_OFFSETS = (-0.28, 0.0, 0.28)


def save_plot(result: DemoResult, path: Path) -> None:
    """Write the picture as PNG; the parent folder must exist.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    # Figure and canvas directly: pyplot would pick a window system and keep every figure alive.
    figure = Figure(figsize=(11, 5.4), dpi=160, layout=ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12))
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.55, 1))
    figure.suptitle(_title(result), x=0.014, ha="left", fontsize=15, fontweight="bold", color=INK)
    _draw_curves(left, result)
    _draw_bars(right, result)
    for axes in (left, right):
        _clean(axes)
    # Every bar carries its figure: a scale would say it twice.
    right.yaxis.set_visible(False)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputError(f"cannot write the plot {path}: {error}") from error


def _title(result: DemoResult) -> str:
    gain = 100 * (result.success.swarm - result.success.frozen)
    agents = f"{result.agents} agent{'s' if result.agents != 1 else ''}"
    return f"{agents}, one ReasoningBank: {gain:+.1f} points on requests that nobody had met"


def _draw_curves(axes: Axes, result: DemoResult) -> None:
    curve = result.extra.curve
    _head(axes, f"Held-out requests answered right: {result.data}, {result.embedder}")
    if len(curve) < 2:
        axes.xaxis.set_visible(False)
        axes.text(0.5, 0.5, "the stream was too short for a curve", ha="center", transform=axes.transAxes, color=FROZEN)
        return
    tasks = [point.tasks for point in curve]
    lines = (
        [point.frozen for point in curve],
        [point.isolated for point in curve],
        [point.swarm for point in curve],
    )
    lowest, highest = [point.isolated_lowest for point in curve], [point.isolated_highest for point in curve]
    axes.fill_between(tasks, lowest, highest, color=ISOLATED, alpha=0.16, linewidth=0)
    for values, colour, width, style in zip(lines, _COLOURS, (1.8, 2.0, 2.8), ("--", "-", "-"), strict=True):
        axes.plot(tasks, values, color=colour, linewidth=width, linestyle=style, solid_capstyle="round")
    _scale(axes, tasks[-1], min(min(lowest), *map(min, lines)), max(max(highest), *map(max, lines)))
    _name_lines(axes, [values[-1] for values in lines], tasks[-1])
    _mark_own_share(axes, result.extra.own_share_tasks, tasks[-1])


def _scale(axes: Axes, last: int, bottom: float, top: float) -> None:
    # Nothing smaller than six points fills the height: noise would look like learning.
    room = max(top - bottom, 0.06)
    axes.set_ylim(max(0.0, bottom - 0.3 * room), min(1.02, bottom + 1.1 * room))
    axes.set_xlim(0, last)
    axes.set_xlabel("tasks done by the swarm  (band: lowest to highest agent alone)", fontsize=10, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:,.0f}"))


def _mark_own_share(axes: Axes, tasks: int, last: int) -> None:
    """The part of the stream in which each agent meets only labels of its own."""
    if not 0 < tasks < last:
        return
    axes.axvline(tasks, color="#999999", linewidth=0.9, linestyle=":")
    for x, side, text in ((tasks, "right", "own labels only "), (tasks, "left", " labels of others too")):
        axes.text(x, 0.03, text, ha=side, fontsize=9, color="#666666", transform=axes.get_xaxis_transform())


def _name_lines(axes: Axes, ends: list[float], last: int) -> None:
    """Each line's name at its end, moved apart where the lines end close together."""
    bottom, top = axes.get_ylim()
    gap = 0.055 * (top - bottom)
    height = float("-inf")
    for end, name, colour in sorted(zip(ends, _NAMES, _COLOURS, strict=True)):
        height = max(end, height + gap)
        axes.annotate(
            f"{name} {100 * end:.1f} %",
            xy=(last, height),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=10.5,
            fontweight="bold" if name == "swarm" else "normal",
            annotation_clip=False,
        )


def _draw_bars(axes: Axes, result: DemoResult) -> None:
    groups = [("all labels", result.success)]
    if result.extra.unseen is not None:
        groups.append(("labels that the agent\nitself never met", result.extra.unseen))
    _head(axes, "At the end of the stream")
    for position, (_, success) in enumerate(groups):
        _draw_group(axes, position, success)
    axes.set_xticks(range(len(groups)), [name for name, _ in groups], fontsize=10, color=INK)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(0, 1.1 * max(_highest(success) for _, success in groups))
    _name_bars(axes, result.success)


def _draw_group(axes: Axes, position: int, success: HeldOutSuccess) -> None:
    values = (success.frozen, success.isolated, success.swarm)
    for offset, value, name, colour in zip(_OFFSETS, values, _NAMES, _COLOURS, strict=True):
        axes.bar(position + offset, value, width=0.26, color=colour)
        axes.annotate(
            f"{100 * value:.1f}",
            xy=(position + offset, value),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=10.5,
            fontweight="bold" if name == "swarm" else "normal",
        )


def _highest(success: HeldOutSuccess) -> float:
    return max(success.frozen, success.isolated, success.swarm, 0.01)


def _name_bars(axes: Axes, success: HeldOutSuccess) -> None:
    """Names inside the bars of the first group, where they are tall enough to hold them."""
    values = (success.frozen, success.isolated, success.swarm)
    highest = axes.get_ylim()[1]
    for offset, value, name in zip(_OFFSETS, values, _NAMES, strict=True):
        if value > 0.3 * highest:
            axes.text(offset, 0.02 * highest, name, rotation=90, ha="center", va="bottom", color="white", fontsize=10.5)


def _head(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, color=INK, pad=10)


def _clean(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{100 * value:.0f} %"))
    axes.tick_params(colors=INK, length=0, labelsize=9.5)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
