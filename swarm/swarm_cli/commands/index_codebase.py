"""`swarm index-codebase`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from rich.text import Text

from swarm_cli import completion
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import NOTE, console, count, plain, print_json, working

if TYPE_CHECKING:
    from swarm_agents.codebase import IndexReport

_MOST_PROCESSES = 8


@click.command("index-codebase", short_help="Index the code below a folder, for swarm query --name.")
@click.option("--path", metavar="DIR", required=True, help="The folder of the code.")
@click.option(
    "--extensions",
    metavar="EXT,EXT",
    help="Only files that end so, such as ts,js,py,rs; else those of every language whose syntax is known.",
)
@click.option(
    "--max-files",
    metavar="N",
    type=click.IntRange(1, 50_000),
    default=50_000,
    show_default=True,
    help="The first so many by their paths; the others are skipped.",
)
@click.option(
    "--name",
    "agent",
    metavar="NAME",
    shell_complete=completion.agents,
    default="code",
    show_default=True,
    help="The agent that knows this code, registered if it is new.",
)
@click.option("--replace", is_flag=True, help="Give up what the agent had indexed of another folder.")
@click.option(
    "--processes",
    metavar="N",
    type=click.IntRange(1, 64),
    help="That read and embed; as many as there are processors, 8 at most, without it.",
)
@swarm_option
@json_option
def command(
    path: str,
    extensions: str | None,
    max_files: int,
    agent: str,
    replace: bool,
    processes: int | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Index the code below a folder: its functions, methods and classes, for swarm query --name.

    What git ignores, vendored trees, binaries and what looks like a secret is left out, and counted. A second run
    touches only what has changed; one that was interrupted goes on.
    """
    settings = cli_settings(name)
    # Loaded behind the check of the settings: it is what takes the time.
    from swarm.services.swarm import Swarm
    from swarm_agents.codebase import Codebase
    from swarm_agents.codebase.languages import LANGUAGES

    wanted = tuple(LANGUAGES) if extensions is None else tuple(extensions.split(","))
    with reachable(settings), working("reading and embedding"):
        report = Codebase(agent, Swarm(settings)).index(
            path,
            extensions=wanted,
            max_files=max_files,
            processes=processes or min(os.cpu_count() or 1, _MOST_PROCESSES),
            replace=replace,
        )
    if as_json:
        print_json({"swarm": settings.name, **report.as_dict()})
    else:
        _show(report)


def _show(report: IndexReport) -> None:
    out = console()
    out.print(
        f"{plain(report.agent)} knows {count(report.chunks, 'chunk')} of {count(report.files, 'file')} "
        f"of {plain(report.root)}."
    )
    out.print(
        f"{report.indexed:,} indexed, {report.unchanged:,} unchanged, {report.removed:,} removed "
        f"in {report.seconds:.1f} s."
    )
    for reason, number in report.skipped.items():
        out.print(Text(f"skipped {number:,}: {plain(reason)}, such as {plain(report.examples[reason])}", NOTE))
