"""`swarm hook`."""

from __future__ import annotations

import click

from swarm_cli import hook_shim


@click.command("hook", short_help="Pass one event of a coding agent on, as its settings ask.")
@click.argument("client", type=click.Choice(hook_shim.CLIENTS))
@click.argument("socket", required=False)
@click.argument("agent", required=False)
def command(client: str, socket: str | None, agent: str | None) -> None:
    """Pass one event of a coding agent on: from stdin to the gateway, its answer to stdout.

    Settings files call this; `swarm hooks install` writes them. It ends with code 0 within 250 ms whatever happens:
    with no gateway at SOCKET the event waits beside it in a file, and the answer is empty. Without SOCKET, or with '',
    it is this machine's. AGENT is who the agent is; SWARM_AGENT or the client's name without it.
    """
    given = [one for one in (socket, agent) if one is not None]
    hook_shim.main([client, *given])
