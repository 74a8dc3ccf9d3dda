"""How the live view looks: pure functions from the demo's progress to what rich draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from swarm_cli.demo.progress import WINDOW, AgentRow, DemoProgress

FROZEN_STYLE = "dim"
LEARNED_STYLE = "bold cyan"
SPARK_WIDTH = 32
_SPARKS = "▁▂▃▄▅▆▇█"
_LINES_WITHOUT_AGENTS = 14
"""Header, bar, success, bank and the agents' heading; the rest of the screen is for agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Everything that one picture shows."""

    title: str
    phase: str
    elapsed: float
    rate: float
    """Tasks per second over the last seconds."""
    progress: DemoProgress | None
    history: Sequence[DemoProgress]
    """Moments spread over the stream so far, see `spread`."""
    height: int
    """Lines of the terminal."""


def render(frame: Frame) -> RenderableType:
    """The picture; before the first progress it is only the header."""
    header = Table.grid(expand=True)
    header.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    header.add_column(justify="right", no_wrap=True)
    title = Text.assemble(("swarm demo", "bold"), "  ", (frame.title, "dim"))
    header.add_row(title, Text(clock(frame.elapsed), "dim"))
    header.add_row(Text.assemble(("› ", "bold cyan"), frame.phase), "")
    progress = frame.progress
    if progress is None:
        return header
    rows = frame.height - _LINES_WITHOUT_AGENTS
    parts = (_bar(progress, frame.rate), _success(progress, frame.history), _bank(progress))
    return Group(header, *parts, _agents(progress.agents, rows))


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(75.4)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def percent(share: float) -> str:
    """A share with one decimal; the unit stands in the same cell.

    >>> percent(0.4567)
    '45.7 %'
    """
    return f"{100 * share:.1f} %"


def sparkline(values: Sequence[float], highest: float) -> str:
    """One block character a value, from 0 to `highest`.

    >>> sparkline([0.0, 0.5, 1.0], 1.0)
    '▁▅█'
    """
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[min(top, round(top * value / highest))] if highest > 0 else _SPARKS[0] for value in values)


def spread(history: Sequence[DemoProgress], width: int) -> list[DemoProgress]:
    """The moments that fall to `width` equal parts of the stream, up to the last one that was reached."""
    parts: list[DemoProgress] = []
    for moment in history:
        position = moment.tasks_done * width // max(moment.tasks_total, 1)
        # A part in which no moment was taken shows the next one; a later moment of the same part replaces it.
        parts = parts[:position] + [moment] * (min(position, width - 1) + 1 - len(parts[:position]))
    return parts


def _bar(progress: DemoProgress, rate: float) -> RenderableType:
    left = progress.tasks_total - progress.tasks_done
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    grid.add_column(ratio=1)
    for _ in range(3):
        grid.add_column(justify="right", no_wrap=True)
    is_done = left <= 0
    bar = ProgressBar(total=max(progress.tasks_total, 1), completed=progress.tasks_done, complete_style="cyan")
    counts = f"{progress.tasks_done:,} / {progress.tasks_total:,} tasks"
    eta = "done" if is_done else f"{clock(left / rate)} left" if rate > 0 else "-:-- left"
    # While the last outcomes are waited for, nothing is done any more: a rate would only fall.
    grid.add_row(bar, counts, "" if is_done else f"{rate:,.0f}/s", eta)
    return grid


def _success(progress: DemoProgress, history: Sequence[DemoProgress]) -> RenderableType:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(min_width=12)
    for _ in range(2):
        table.add_column(justify="right", min_width=8)
    table.add_column(no_wrap=True, width=SPARK_WIDTH)
    overall, recent = progress.overall, progress.recent
    table.add_row()
    table.add_row("answers right", "so far", f"last {WINDOW}", "", style="dim")
    frozen = ProgressBar(total=1.0, completed=recent.frozen, complete_style=FROZEN_STYLE, finished_style=FROZEN_STYLE)
    learned = ProgressBar(total=1.0, completed=recent.learned, complete_style="cyan", finished_style="cyan")
    table.add_row("frozen", percent(overall.frozen), percent(recent.frozen), frozen)
    table.add_row("learned", percent(overall.learned), percent(recent.learned), learned, style=LEARNED_STYLE)
    past = [max(0.0, moment.recent.learned - moment.recent.frozen) for moment in history]
    gains = (f"{100 * (success.learned - success.frozen):+.1f}  " for success in (overall, recent))
    table.add_row("gain, points", *gains, Text(sparkline(past, max(past, default=0.0)), "green"))
    return table


def _bank(progress: DemoProgress) -> RenderableType:
    figures = (
        (progress.patterns, "patterns"),
        (progress.consolidations, "consolidations"),
        (progress.merges, "merges"),
        (progress.pending, "waiting"),
    )
    text = Text("\nbank  ", "dim")
    for position, (count, what) in enumerate(figures):
        text.append("   " if position else "")
        text.append(f"{count:,} ", "bold default")
        text.append(what)
    text.append("\n")
    return text


def _agents(agents: Sequence[AgentRow], rows: int) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("agent", no_wrap=True, min_width=12)
    for heading in ("tasks", "right", "generation", "patterns", "from others"):
        table.add_column(heading, justify="right", no_wrap=True)
    shown = agents if len(agents) <= rows else agents[: max(rows - 1, 1)]
    for row in shown:
        counts = (f"{row.tasks:,}", percent(row.success), str(row.generation), f"{row.patterns:,}")
        table.add_row(row.name, *counts, percent(row.from_others))
    if hidden := len(agents) - len(shown):
        table.add_row(f"… {hidden} more", style="dim")
    return table
