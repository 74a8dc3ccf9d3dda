"""`swarm hooks`."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

import click

from swarm.errors import InputError, SwarmError
from swarm.settings import Settings
from swarm.wire.keys import check_name
from swarm_cli.commands.doctor import show_findings
from swarm_cli.hook_shim import CLIENTS
from swarm_cli.hooks.checks import check_command, check_counts, check_entries, check_gateway, check_spool
from swarm_cli.hooks.entries import Client, Target, agent_of, entries_of, portable_command, shim_command
from swarm_cli.hooks.installer import Change, Installer
from swarm_cli.hooks.places import Scope, scopes_of, settings_file
from swarm_cli.local.gateway import find_gateway
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import print_json
from swarm_gateway.addresses import is_loopback

_client = click.argument("client", type=click.Choice(CLIENTS))
_agent = click.option(
    "--agent", metavar="NAME", envvar="SWARM_AGENT", help="Who the agent is; the client's name without it."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
_via = click.option(
    "--via",
    type=click.Choice(["http", "command"]),
    default="http",
    show_default=True,
    help="command: a process for each event, and nothing is lost while the gateway is away.",
)


def _scope_options(function: click.decorators.FC) -> click.decorators.FC:
    helps = {
        "local": "For you in this project alone (Claude Code).",
        "project": "For everybody in this project.",
        "user": "For you, everywhere (the default).",
    }
    for scope, text in helps.items():
        function = click.option(f"--{scope}", "scope", flag_value=scope, default=None, help=text)(function)
    return function


@click.group("hooks", short_help="Install, remove and examine the hooks of coding agents.")
def command() -> None:
    """Install, remove and examine the hooks of coding agents: Claude Code, Codex and Cursor.

    Only our own entries are ever changed; what else is in a settings file stays, to the byte.
    """


@command.command("install")
@_client
@_scope_options
@_agent
@_via
@_dry_run
@swarm_option
@json_option
def install(
    client: Client,
    scope: Scope | None,
    agent: str | None,
    via: Literal["http", "command"],
    dry_run: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Put the hooks into a settings file, and show the difference."""
    settings, scope = cli_settings(name), scope or "user"
    installer = Installer(settings, client, settings_file(client, scope, Path.cwd()))
    target = target_of(settings, client, scope, agent or "", via == "http")
    if not target.url:
        raise InputError("SWARM_HTTP_PORT is 0, so the gateway's port is not known before it runs: set it, or swarm up")
    change = installer.install(entries_of(client, target))
    _carry_out(installer, change, dry_run, as_json, "The hooks are in place already.")


@command.command("uninstall")
@_client
@_scope_options
@_dry_run
@swarm_option
@json_option
def uninstall(client: Client, scope: Scope | None, dry_run: bool, name: str | None, as_json: bool) -> None:
    """Take the hooks out of a settings file, and show the difference."""
    settings = cli_settings(name)
    installer = Installer(settings, client, settings_file(client, scope or "user", Path.cwd()))
    _carry_out(installer, installer.uninstall(), dry_run, as_json, "No hooks of ours are there.")


@command.command("doctor")
@_client
@_agent
@_via
@swarm_option
@json_option
def doctor(client: Client, agent: str | None, via: Literal["http", "command"], name: str | None, as_json: bool) -> None:
    """Check that the hooks are in place and are answered; say how to mend what is not well.

    Nothing is changed. Without --agent the one that the hooks name is meant. The exit code is 1 if anything is not
    well.
    """
    settings = cli_settings(name)
    files = {
        scope: Installer(settings, client, settings_file(client, scope, Path.cwd())) for scope in scopes_of(client)
    }
    expected = {
        scope: entries_of(client, target_of(settings, client, scope, agent or _agent_in(client, file), via == "http"))
        for scope, file in files.items()
    }
    gateway, counted = check_gateway(settings)
    findings = [check_entries(client, files, expected), gateway]
    if counted:
        shim = shlex.split(shim_command(client, settings.gateway_socket))
        findings += [check_command(settings, client, shim), check_counts(counted)]
    findings.append(check_spool(settings))
    if as_json:
        found = [finding.as_dict() for finding in findings]
        print_json(
            {"swarm": settings.name, "ok": all(one.ok for one in findings), "findings": found, "counts": counted}
        )
    else:
        show_findings(findings)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


def _agent_in(client: Client, file: Installer) -> str:
    """The agent that the hooks of a file name; "" where there are none, or it cannot be read, which is said later."""
    with suppress(SwarmError):
        return agent_of(client, file.installed())
    return ""


def target_of(settings: Settings, client: Client, scope: Scope, agent: str, is_http: bool) -> Target:
    """Where hooks of a scope go: to this machine's gateway; in files that others share, to theirs."""
    if agent:
        check_name(agent, "agent")
    is_shared = scope == "project"
    return Target(
        url=_url(settings, is_shared),
        command=portable_command(client, agent) if is_shared else shim_command(client, settings.gateway_socket, agent),
        needs_token=settings.http_require_token or not is_loopback(settings.http_host),
        agent=agent,
        is_http=is_http,
    )


def _url(settings: Settings, is_shared: bool) -> str:
    """The gateway's; "" while its port is not known."""
    running = find_gateway(settings)
    if running is not None and not (is_shared and settings.http_port):
        return running.url
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return f"http://{host}:{settings.http_port}" if settings.http_port else ""


def _carry_out(installer: Installer, change: Change, dry_run: bool, as_json: bool, nothing: str) -> None:
    if not (dry_run or change.is_none):
        installer.apply(change)
    if as_json:
        done = not (dry_run or change.is_none)
        print_json({"path": str(change.path), "changed": done, "diff": change.diff()})
    elif change.is_none:
        click.echo(f"{change.path}: {nothing}")
    else:
        click.echo(change.diff())
        click.echo(f"{change.path}: {'would be changed' if dry_run else 'changed'}", err=True)
