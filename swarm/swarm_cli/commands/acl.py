"""`swarm acl`."""

from __future__ import annotations

import secrets

import click

from swarm.store.acl import redis_users
from swarm.store.connection import connect
from swarm_cli import completion
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import print_json

_PASSWORD_BYTES = 24


@click.command("acl", short_help="Print the Redis users of a swarm: operator, worker, reader, agents.")
@click.option(
    "--agent",
    "agents",
    metavar="NAME",
    shell_complete=completion.agents,
    multiple=True,
    help="Also a user for this agent; repeatable.",
)
@click.option(
    "--redis",
    "version",
    type=click.Choice(["6.2", "7.0", "7.2"]),
    default="6.2",
    show_default=True,
    help="The server's version or the last one before it; from 7.0 on an agent cannot overwrite what it reads.",
)
@swarm_option
@json_option
def command(agents: tuple[str, ...], version: str, name: str | None, as_json: bool) -> None:
    """Print the Redis users of a swarm: operator, worker, reader, agents.

    The lines on stdout are for redis-cli, and hold digests only. The new passwords are shown on stderr, this once.
    """
    settings = cli_settings(name)
    database = int(connect(settings).get_connection_kwargs().get("db") or 0)
    users = redis_users(settings.name, agents, tuple(int(part) for part in version.split(".")), database)
    passwords = {user.name: secrets.token_urlsafe(_PASSWORD_BYTES) for user in users}
    lines = [user.line(passwords[user.name]) for user in users]
    if as_json:
        print_json({"swarm": settings.name, "redis": version, "lines": lines, "passwords": passwords})
        return
    for line in lines:
        click.echo(line)
    for user, password in passwords.items():
        click.echo(f"{user} {password}", err=True)
