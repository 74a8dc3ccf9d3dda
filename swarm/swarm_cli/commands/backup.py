"""`swarm backup`."""

from __future__ import annotations

from pathlib import Path

import click

from swarm.services.swarm import Swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, count, print_json, size, working

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("backup", short_help="Write the swarm to one file, while it runs.")
@click.argument("file", type=_FILE)
@swarm_option
@json_option
def command(file: Path, name: str | None, as_json: bool) -> None:
    """Write the swarm to one file, while it runs: agents, bank, tasks, receipts, versions.

    The file is readable for you alone. A file of that name is replaced when the new one is complete.
    """
    settings = cli_settings(name)
    with reachable(settings), working("writing the backup"):
        done = Swarm(settings).backup(file)
    if as_json:
        print_json(done.as_dict())
    else:
        console().print(
            f"{done.path}: swarm {done.swarm} with {count(done.agents, 'agent')}, {count(done.patterns, 'pattern')}, "
            f"{count(done.outcomes, 'outcome')}, {count(done.tasks, 'task')}; {size(done.size_bytes)}.",
            soft_wrap=True,
        )
