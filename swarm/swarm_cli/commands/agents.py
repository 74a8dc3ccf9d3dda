"""`swarm agents`."""

from __future__ import annotations

from dataclasses import asdict

import click

from swarm.services.swarm import Swarm
from swarm_cli.commands.status import agents_table
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, print_json


@click.group("agents", short_help="See the agents of the swarm.")
def command() -> None:
    """See the agents of the swarm."""


@command.command("list")
@swarm_option
@json_option
def list_agents(name: str | None, as_json: bool) -> None:
    """List the agents: role, generation, and what became of their outcomes."""
    settings = cli_settings(name)
    with reachable(settings):
        status = Swarm(settings).status()
    if as_json:
        print_json({"swarm": status.name, "agents": [asdict(agent) for agent in status.agents]})
    elif status.agents:
        console().print(agents_table(status.agents))
    else:
        console().print(f"Swarm {status.name} has no agents yet. `swarm demo` shows some at work.")
