"""`swarm index-codebase`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from swarm_cli import completion
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import NOTE, console, count, plain, print_json

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
    with reachable(settings), _progress_bar() as bar:
        report = Codebase(agent, Swarm(settings)).index(
            path,
            extensions=wanted,
            max_files=max_files,
            processes=processes or min(os.cpu_count() or 1, _MOST_PROCESSES),
            replace=replace,
            on_progress=bar.move,
        )
    if as_json:
        print_json({"swarm": settings.name, **report.as_dict()})
    else:
        _show(report)


class _Bar:
    """How far a run has come: told to a bar, and remembered for whoever interrupts it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)
        self.done = self.total = 0

    def move(self, done: int, total: int) -> None:
        """So many files are done, of so many."""
        if not self.total:
            # What was done before says nothing of the time that is left.
            self._progress.reset(self._task, total=total, completed=done)
        self.done, self.total = done, total
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def _progress_bar() -> Iterator[_Bar]:
    """A bar on stderr with files and the time that is left; nothing where stderr is no terminal.

    Raises
    ------
    click.Abort
        If the block is interrupted: with how far it came.
    """
    terminal = Console(stderr=True)
    columns = (
        TextColumn("reading and embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        bar = _Bar(progress)
        try:
            yield bar
        except KeyboardInterrupt as error:
            if not bar.total:
                raise
            raise click.Abort(
                f"{bar.done:,} of {count(bar.total, 'file')} are indexed; run it again to go on"
            ) from error


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
