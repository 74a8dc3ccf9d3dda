"""`swarm import`."""

from __future__ import annotations

from pathlib import Path

import click

from swarm.services.exchange import import_agents
from swarm.services.swarm import Swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, count, print_json, working

_PLACE = click.Path(path_type=Path)


@click.command("import", short_help="Take agents of `swarm export` into this swarm.")
@click.argument("path", type=_PLACE)
@click.option("--as", "target", metavar="NAME", help="The agent's name here; the one it had without this.")
@click.option("--probation", is_flag=True, help="Judge its reports anew, whatever they had earned elsewhere.")
@swarm_option
@json_option
def command(path: Path, target: str | None, probation: bool, name: str | None, as_json: bool) -> None:
    """Take agents of `swarm export` into this swarm: a file agent.swarm, its folder, or the folder of --all.

    Every file is checked before anything is written. When the command ends what the agents know is searchable.
    """
    settings = cli_settings(name)
    with reachable(settings), working("checking the files, then writing the agents"):
        done = import_agents(Swarm(settings), path, target, is_on_probation=probation)
    if as_json:
        print_json({"swarm": settings.name, "agents": [one.as_dict() for one in done]})
        return
    for one in done:
        came = f"agent {one.source} of swarm {one.swarm} at version {one.source_generation}"
        console().print(
            f"Agent {one.agent} is {came}: {count(one.clusters, 'cluster')} of {count(one.outcomes, 'outcome')}; "
            f"{one.verdict}.",
            soft_wrap=True,
        )
