"""`swarm token`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import click
from rich.text import Text

from swarm.errors import InputError
from swarm.services.access import AccessControl, TokenView
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm.wire.token_records import Role
from swarm_cli import completion
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, NOTE, console, duration, plain, print_json, table

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


@click.group("token", short_help="Make, list and revoke tokens for readers, agents and operators.")
def command() -> None:
    """Make, list and revoke tokens for readers, agents and operators.

    With SWARM_TOKEN set, `swarm` does what that token allows and no more.
    """


@command.command("create")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What it allows.")
@click.option(
    "--agent", metavar="NAME", shell_complete=completion.agents, default="", help="For role agent: as whom it may act."
)
@click.option("--ttl", metavar="TIME", help="How long it holds, such as 90s, 30m, 12h or 30d; for ever without it.")
@click.option("--note", metavar="TEXT", default="", help="What to remember of it.")
@swarm_option
@json_option
def create(role: str, agent: str, ttl: str | None, note: str, name: str | None, as_json: bool) -> None:
    """Make a token and show it, this once: only a digest of it is kept."""
    if (role == Role.AGENT) != bool(agent):
        raise click.UsageError("--agent NAME goes with --role agent, which needs it")
    settings = cli_settings(name)
    lifetime = None if ttl is None else seconds(ttl, "--ttl")
    with reachable(settings):
        token, record = _control(settings).create(role, agent, ttl=lifetime, note=note)
    if as_json:
        print_json({"swarm": settings.name, "token": token, **record.as_dict()})
    else:
        # Alone on stdout, so that it can be taken from there.
        click.echo(token)
        click.echo(f"Keep it: it is not shown again. To revoke it: swarm token revoke {record.id}", err=True)


@command.command("list")
@swarm_option
@json_option
def list_tokens(name: str | None, as_json: bool) -> None:
    """List the tokens by their ids: whose they are, until when they hold, when they were used."""
    settings = cli_settings(name)
    with reachable(settings):
        tokens = _control(settings).list()
    if as_json:
        print_json({"swarm": settings.name, "tokens": [token.as_dict() for token in tokens]})
    elif tokens:
        _show(tokens)
    else:
        console().print(f"Swarm {settings.name} has no tokens. `swarm token create` makes one.")


@command.command("revoke")
@click.argument("token", metavar="ID")
@swarm_option
@json_option
def revoke(token: str, name: str | None, as_json: bool) -> None:
    """Revoke a token by its id; it holds no more from the next call on."""
    settings = cli_settings(name)
    with reachable(settings):
        _control(settings).revoke(token)
    if as_json:
        print_json({"swarm": settings.name, "revoked": token})
    else:
        console().print(f"Token {token} is revoked.")


def seconds(text: str, parameter: str) -> float:
    """A time in seconds, from a number and a unit.

    >>> seconds("30d", "--ttl"), seconds("1.5h", "--ttl")
    (2592000.0, 5400.0)
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])", text, re.ASCII)
    if found is None:
        raise InputError(f"{parameter} must be a number and s, m, h or d, such as 30d, got {text!r:.40}")
    return float(found[1]) * _UNITS[found[2]]


def _control(settings: Settings) -> AccessControl:
    return AccessControl(settings, connect(settings))


def _show(tokens: Sequence[TokenView]) -> None:
    made = table("id", "role", "agent", "made", "ends", "used", "note", right=("made", "ends", "used"))
    now_s = time.time()
    for token in tokens:
        record = token.record
        left = Text("expired", BAD) if token.is_expired else Text(f"in {duration(max(0.0, record.expires_s - now_s))}")
        made.add_row(
            record.id,
            record.role.value,
            record.agent,
            _ago(record.created_s, now_s),
            left if record.expires_s else Text("never", NOTE),
            Text("never", NOTE) if token.used_s is None else Text(_ago(token.used_s, now_s)),
            plain(record.note, 30),
        )
    console().print(made)


def _ago(at_s: float, now_s: float) -> str:
    return f"{duration(max(0.0, now_s - at_s))} ago"
