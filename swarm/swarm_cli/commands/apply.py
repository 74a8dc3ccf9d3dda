"""`swarm apply`."""

from __future__ import annotations

import click
from rich.text import Text

from swarm.services.applying import Application
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, NOTE, OK, console, enumerated, facts, plain, print_json

_FROM = {
    "place": "stands where the example's stood",
    "same": "as in the example",
    "kind": "the only one of its kind",
    "fill": "given",
}


@click.command("apply", short_help="Fill a pattern's response in for a new task, and mark what was filled.")
@click.argument("pattern_id")
@click.option("--task", "new_task", metavar="TEXT", required=True, help="The new task.")
@swarm_option
@json_option
def command(pattern_id: str, new_task: str, name: str | None, as_json: bool) -> None:
    """Fill a pattern's response in for a new task, by how that differs from the one it was the answer to.

    `swarm query --json` shows ids. What the task gives no value for stays open as {slot}.
    """
    settings = cli_settings(name)
    with reachable(settings):
        found = open_swarm(settings).apply(pattern_id, new_task)
    if as_json:
        print_json({"swarm": settings.name, "task": new_task, **found.as_dict()})
    else:
        _show(found)


def _show(found: Application) -> None:
    out = console()
    out.print(_marked(found))
    grid = facts()
    for one in {(one.slot, one.value): one for one in found.filled}.values():
        grid.add_row(one.slot, f"{plain(one.value)}, for {plain(one.example)}: {_FROM[one.source]}")
    for gap in {gap.slot: gap for gap in found.unfilled}.values():
        grid.add_row(gap.slot, Text(f"open: the task says nothing for {plain(gap.example)}", BAD))
    if found.kept:
        grid.add_row("kept", f"{enumerated([plain(word) for word in found.kept])}: the task does not say so")
    if grid.row_count:
        out.print(grid)
    elif found.is_unchanged:
        out.print(Text("unchanged: nothing of it varies with the task", NOTE))


def _marked(found: Application) -> Text:
    """The text as it is, line by line without signs that could command the terminal, what was filled in bold."""
    shown = Text("".join(sign if sign.isprintable() or sign == "\n" else " " for sign in found.text))
    for one in found.filled:
        shown.stylize(f"bold {OK}", one.start, one.end)
    for gap in found.unfilled:
        shown.stylize(f"bold {BAD}", gap.start, gap.end)
    return shown
