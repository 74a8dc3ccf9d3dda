"""`swarm restore`."""

from __future__ import annotations

from pathlib import Path

import click

from swarm.services.restore import check_backup, restore
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option
from swarm_cli.output import console, count, print_json, size, working

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("restore", short_help="Write a swarm from the file of a backup.")
@click.argument("file", type=_FILE)
@click.option("--as", "target", metavar="NAME", help="Its name; that of the swarm in the file without this.")
@click.option("--replace", is_flag=True, help="Erase a swarm of that name first. Its agents must be stopped.")
@click.option("--check", is_flag=True, help="Check the file, and write nothing.")
@json_option
def command(file: Path, target: str | None, replace: bool, check: bool, as_json: bool) -> None:
    """Write a swarm from the file of a backup. The whole file is checked before anything is written.

    The swarm's workers must be stopped. A restore that was interrupted is run again, with --replace.
    """
    if check:
        _check(file, as_json)
        return
    settings = cli_settings(None)
    with reachable(settings), working("checking the file, then writing the swarm"):
        done = restore(file, settings, target, replace=replace)
    if as_json:
        print_json(done.as_dict())
    else:
        console().print(
            f"Swarm {done.swarm} is swarm {done.source} as it was: {count(done.keys, 'key')}. "
            f"Start workers with `swarm up --swarm {done.swarm}`.",
            soft_wrap=True,
        )


def _check(file: Path, as_json: bool) -> None:
    found = check_backup(file)
    if as_json:
        values = {"swarm": found.head.swarm, "schema": found.head.schema, "at_s": found.head.at_s}
        print_json(values | {"frames": found.frames, "size_bytes": found.size_bytes})
    else:
        console().print(
            f"{file} is whole: swarm {found.head.swarm}, schema {found.head.schema}, {size(found.size_bytes)}.",
            soft_wrap=True,
        )
