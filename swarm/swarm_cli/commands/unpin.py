"""`swarm unpin`."""

from __future__ import annotations

import click

from swarm.services.swarm import Swarm
from swarm_cli.commands.pin import say_pin
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option


@click.command("unpin", short_help="Let a pinned pattern age again.")
@click.argument("pattern", metavar="ID")
@swarm_option
@json_option
def command(pattern: str, name: str | None, as_json: bool) -> None:
    """Let a pinned pattern age again; named by the id that it was pinned with, or by its present one."""
    settings = cli_settings(name)
    with reachable(settings):
        view = Swarm(settings).unpin(pattern)
    say_pin("unpinned", view, settings.name, as_json)
