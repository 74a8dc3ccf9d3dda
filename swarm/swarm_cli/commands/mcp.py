"""`swarm mcp`."""

from __future__ import annotations

import click

from swarm.errors import RuntimeSetupError
from swarm.telemetry.logs import log_to_stderr
from swarm.wire.keys import check_name
from swarm_cli.local.statedir import prepare_state_dir
from swarm_cli.options import cli_settings, given_token, swarm_option
from swarm_gateway.mcp.presence import REMEDY, has_mcp


@click.command("mcp", short_help="Serve the swarm as MCP tools over stdin and stdout.")
@click.option("--agent", metavar="NAME", default="", help="Who uses them, if a call does not say.")
@swarm_option
def command(agent: str, name: str | None) -> None:
    """Serve the swarm as MCP tools over stdin and stdout, for a client that starts this command.

    It needs Redis and no gateway. With SWARM_TOKEN set, the tools do what the token allows. A gateway serves the same
    tools at /mcp.
    """
    settings = cli_settings(name)
    if agent:
        check_name(agent, "agent")
    if not has_mcp():
        raise RuntimeSetupError(f"MCP's package is not installed: {REMEDY}")
    prepare_state_dir(settings)
    log_to_stderr(settings, "swarm_gateway")
    # Here, because its package is an extra.
    from swarm_gateway.mcp.stdio import serve_stdio

    serve_stdio(settings, given_token(), agent)
