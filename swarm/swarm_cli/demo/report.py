"""The demo's result: one JSON object, a table, and a few retrieved patterns with where they come from."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

MOST_SOURCES = 6
"""So many agents are named for one pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutSuccess:
    """Share of held-out requests answered right, 0-1; the agents' figures are means over the agents."""

    frozen: float
    """The ranking that everybody starts from."""
    isolated: float
    """Each agent with only what it met itself."""
    swarm: float
    """Each agent with the shared bank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryCounts:
    """What became of the outcomes, from stored state."""

    sent: int
    consolidated: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of one hook, in milliseconds."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HookLatency:
    """Of the pre-task and the post-task hook, in milliseconds."""

    before: Latency
    after: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Held-out success after so many tasks of the stream; the band is over the agents."""

    tasks: int
    frozen: float
    isolated: float
    isolated_lowest: float
    isolated_highest: float
    swarm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What the plot and the table show beyond the promised fields."""

    requests: int
    labels: int
    held_out: int
    own_share_tasks: int = 0
    """So many tasks at the beginning of the stream went only to the agents that own their labels."""
    unseen: HeldOutSuccess | None = None
    """Success on labels that the agent itself never met; None where every agent met all."""
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """The outcome of one demo run. Its field names are the promised JSON."""

    data: str
    embedder: str
    agents: int
    seed: int
    success: HeldOutSuccess
    cross_agent_share: float
    """Share of the agents' answers that came from patterns which other agents had learned, 0-1."""
    trajectories: TrajectoryCounts
    hook_ms: HookLatency
    seconds: float
    extra: Extra

    def to_json(self) -> str:
        """One JSON object on one line; floats with four decimals, NaN refused."""
        return json.dumps(_rounded(asdict(self)), allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPattern:
    """A pattern that an agent retrieved for a held-out request, with where it comes from."""

    asked_by: str
    request: str
    answer: str
    expected: str
    learned_from: tuple[tuple[str, int], ...]
    """(agent, how many of its outcomes), most first."""
    quality: float
    """Expected quality, 0-1: the mean of its outcomes, shrunken while they are few."""
    quality_error: float
    """One standard error of that mean."""
    exemplar: str
    """The outcome's request that stands for the pattern."""
    updated_s: float
    """When the pattern last changed, Unix time."""


def print_report(result: DemoResult, patterns: Sequence[ShownPattern], console: Console | None = None) -> None:
    """Print the table and the patterns to `console` (stdout by default)."""
    console = console or Console()
    console.print(_success_table(result))
    console.print(_facts(result))
    if patterns:
        console.print(Text("\nWhat agents retrieved for requests that nobody had met", "bold"))
    for pattern in patterns:
        console.print(_pattern(pattern))


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


def _success_table(result: DemoResult) -> Table:
    extra = result.extra
    title = f"{result.data}: answers right on {extra.held_out:,} held-out requests, {extra.labels} labels"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("frozen", "agents alone", "swarm", "gain"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [("all labels", result.success)]
    if extra.unseen is not None:
        rows.append(("never met by the agent", extra.unseen))
    for name, success in rows:
        shares = [f"{100 * share:.1f} %" for share in (success.frozen, success.isolated, success.swarm)]
        gain = f"{100 * (success.swarm - success.frozen):+.1f} points"
        table.add_row(name, *shares[:2], Text(shares[2], "bold cyan"), gain)
    return table


def _facts(result: DemoResult) -> Table:
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    trajectories, hooks = result.trajectories, result.hook_ms
    lost = Text(f"{trajectories.lost:,} lost", "bold red" if trajectories.lost else "default")
    outcomes = f"{trajectories.sent:,} sent, {trajectories.consolidated:,} consolidated, "
    grid.add_row("swarm", f"{result.agents} agents, embedder {result.embedder}, seed {result.seed}")
    grid.add_row("learned from others", f"{100 * result.cross_agent_share:.1f} % of the answers")
    grid.add_row("outcomes", Text(outcomes).append_text(lost))
    grid.add_row("hook before a task", _latency(hooks.before))
    grid.add_row("hook after a task", _latency(hooks.after))
    grid.add_row("took", f"{result.seconds:.1f} s")
    return grid


def _latency(latency: Latency) -> str:
    return f"{latency.p50:.2f} ms median, {latency.p99:.2f} ms at the 99th percentile"


def _pattern(pattern: ShownPattern) -> Group:
    is_right = pattern.answer == pattern.expected
    verdict = ("right", "green") if is_right else (f"wrong, {pattern.expected} was right", "red")
    head = Text.assemble("\n", (pattern.asked_by, "bold"), " asked  ", _quoted(pattern.request))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=12)
    grid.add_column()
    agents = ", ".join(f"{agent} ×{count:,}" for agent, count in pattern.learned_from[:MOST_SOURCES]) or "nobody"
    if (hidden := len(pattern.learned_from) - MOST_SOURCES) > 0:
        agents += f" and {hidden} more"
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(pattern.updated_s))
    grid.add_row("  answer", Text.assemble((pattern.answer, "bold cyan"), "  ", verdict))
    grid.add_row("  learned from", Text(agents))
    grid.add_row("  quality", f"{pattern.quality:.2f} ± {pattern.quality_error:.2f}")
    grid.add_row("  exemplar", _quoted(pattern.exemplar))
    grid.add_row("  when", when)
    return Group(head, grid)


def _quoted(text: str, width: int = 100) -> Text:
    """The beginning of a text in quotes; never read as markup, because it is somebody's data."""
    return Text(f"“{text if len(text) <= width else text[: width - 1].rstrip() + '…'}”")
