"""`swarm tasks`."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from swarm.store.tasks import RoleCounts
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, console, duration, print_json, table

_FIGURES = ("waiting", "oldest", "retrying", "running", "succeeded", "dead")
_RARE = ("cancelled", "dropped", "lost")


@click.command("tasks", short_help="Count the tasks of each role: waiting, running, done, dead.")
@swarm_option
@json_option
def command(name: str | None, as_json: bool) -> None:
    """Count the tasks of each role: waiting, running, done, dead.

    One task is shown by `swarm task ID`, the dead ones by `swarm dead list`.
    """
    settings = cli_settings(name)
    with reachable(settings):
        counts = open_swarm(settings).tasks.counts()
    if as_json:
        print_json({"swarm": settings.name, "roles": [role.as_dict() for role in counts]})
    elif counts:
        console().print(tasks_table(counts))
    else:
        console().print(f"Swarm {settings.name} has had no tasks yet. `swarm submit` puts one on a role's queue.")


def tasks_table(roles: Sequence[RoleCounts]) -> Table:
    """One row for each role; what is mostly zero has a column only where it is not."""
    rare = [name for name in _RARE if any(getattr(role, name) for role in roles)]
    figures = (*_FIGURES, *rare)
    made = table("tasks of", *figures, right=figures)
    for role in roles:
        made.add_row(role.role, *(_figure(role, name) for name in figures))
    return made


def _figure(role: RoleCounts, name: str) -> Text:
    if name == "oldest":
        return Text("" if role.oldest_waiting_s is None else duration(role.oldest_waiting_s))
    number = getattr(role, name)
    return Text(f"{number:,}", BAD if number and name in ("dead", "lost") else "")
