"""A run of the suite for people: its rows, what earlier documents claim, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.claims import Beside
from benchmarks.suite import SUITE
from benchmarks.suite_compare import Change, Verdict
from benchmarks.suite_figures import Row, written
from benchmarks.suite_result import Result

_SHOWS = {entry.name: entry.shows for entry in SUITE}
_COLOURS = {Verdict.BETTER: "green", Verdict.WORSE: "bold red", Verdict.SAME: "dim", Verdict.UNKNOWN: "dim"}


def print_result(
    result: Result,
    claims: Sequence[Beside],
    changes: Mapping[str, Change] | None = None,
    differences: Sequence[str] = (),
    console: Console | None = None,
) -> None:
    """Print to `console` (stdout by default).

    Parameters
    ----------
    changes, differences : as `suite_compare` finds them; None without an earlier run
    """
    console = console or Console(highlight=False)
    place = result.place
    _say(console, f"{result.size} run, {result.seconds:.0f} s, commit {place.get('commit', '?')}", "bold")
    _say(console, f"{place.get('machine', '?')}, Python {place.get('python', '?')}", "dim")
    for line in differences:
        _say(console, line, "yellow")
    _print_rows(console, result, changes)
    if result.rows:
        _print_claims(console, claims)
    _print_rest(console, result)


def _print_rows(console: Console, result: Result, changes: Mapping[str, Change] | None) -> None:
    """A table for each benchmark, all with the same columns."""
    # With an earlier run its columns stand where the floor and the bound stand else.
    widths = {"": 0, "ours": 9, "beside": 9, "ratio": 6, "spread": 17, "wanted": 14}
    if changes is not None:
        widths = {"": 0, "ours": 9, "ratio": 6, "spread": 17, "then": 9, "change": 14}
    widths[""] = min(60, max(20, console.width - sum(widths.values()) - 2 * (len(widths) - 1)))
    for place, (bench, found) in enumerate(groupby(result.rows, key=lambda row: row.bench)):
        rows = list(found)
        shows = _SHOWS.get(bench.partition(" ")[0], "")
        console.print(Text.assemble("\n", (bench, "bold"), f"  {shows} ", (f"({rows[0].data})", "dim")), soft_wrap=True)
        # The names of the columns stand above the first one.
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=not place, header_style="dim")
        for name, width in widths.items():
            table.add_column(
                name, width=width, justify="right" if name else "left", overflow="fold", no_wrap=bool(name)
            )
        for row in rows:
            cells = _cells(row, None if changes is None else changes.get(row.id))
            table.add_row(*(cells[name] for name in widths))
        console.print(table)


def _cells(row: Row, change: Change | None) -> dict[str, Text]:
    """By the name of the column."""
    unit = "" if row.judged == "ratio" else row.unit
    beside = f" / {row.beside_name}" if row.beside is not None else ""
    cells = {
        "": Text.assemble(row.what, (beside, "dim")),
        "ours": Text(written(row.ours, row.unit), "bold"),
        "beside": Text("" if row.beside is None else written(row.beside, row.unit), "dim"),
        "ratio": Text("" if row.ratio is None else f"{row.ratio:.2f}"),
        "spread": Text("once" if row.n < 2 else f"{_short(row.lo, unit)}…{_short(row.hi, unit)} ({row.n})", "dim"),
        "wanted": _wanted(row),
        "then": Text("", "dim"),
        "change": Text("new", "dim"),
    }
    if change is not None:
        is_same = change.change is None or change.verdict is Verdict.SAME
        moved = "" if is_same else f"{100 * (change.change or 0.0):+.0f} % "
        cells["then"] = Text(written(change.earlier, unit), "dim")
        cells["change"] = Text(f"{moved}{change.verdict}", _COLOURS[change.verdict])
    return cells


def _short(value: float, unit: str) -> str:
    return f"{100 * value:.1f}" if unit == "share" else f"{value:.{2 if abs(value) < 0.01 else 3}g}"


def _wanted(row: Row) -> Text:
    if row.is_met is None:
        return Text()
    return Text(f"{row.wanted} {'met' if row.is_met else 'MISSED'}", "green" if row.is_met else "bold red")


def _print_claims(console: Console, claims: Sequence[Beside]) -> None:
    """What others published beside what was measured, by source."""
    measured = [claim for claim in claims if claim.here is not None]
    if not measured:
        return
    console.print(Text.assemble("\n", ("published elsewhere", "bold"), "  claimed, and here"))
    for source, found in groupby(sorted(measured, key=lambda claim: claim.source), key=lambda claim: claim.source):
        console.print(Text(source, "dim"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), show_header=False)
        table.add_column(overflow="fold")
        table.add_column(justify="right", overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")
        for claim in found:
            is_open = claim.comparable == "yes"
            why = Text("comparable" if is_open else f"not comparable: {claim.comparable}", "" if is_open else "dim")
            table.add_row(claim.what, claim.claimed, Text(written(claim.here or 0.0, claim.unit), "bold"), why)
        console.print(table)
    if len(measured) < len(claims):
        console.print(Text(f"{len(claims) - len(measured)} more have no figure in this run: --json lists them", "dim"))


def _print_rest(console: Console, result: Result) -> None:
    """What was missed, failed, left out and cut off."""
    judged = [row for row in result.rows if row.is_met is not None]
    missed = [f"{row.bench}: {row.what} ({row.wanted})" for row in judged if not row.is_met]
    console.print()
    if judged:
        _say(console, f"bounds: {len(judged) - len(missed)} met, {len(missed)} missed", "bold" if missed else "")
    for line in missed:
        _say(console, f"missed: {line}", "bold red")
    for name, reason in result.failed.items():
        _say(console, f"failed: {name}: {reason}", "bold red")
    for name, reason in result.left_out.items():
        _say(console, f"left out: {name}: {reason}")
    if result.peer:
        _say(console, f"left out: the published engine: {result.peer}")
    if result.not_run:
        _say(console, f"interrupted, not measured: {', '.join(result.not_run)}", "bold red")


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style), soft_wrap=True)
