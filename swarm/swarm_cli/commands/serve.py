"""`swarm serve`."""

from __future__ import annotations

import click
from rich.text import Text

from swarm_cli.local.gateway import note_gateway
from swarm_cli.local.statedir import prepare_state_dir
from swarm_cli.logs import log_to_stderr
from swarm_cli.options import cli_settings, swarm_option
from swarm_cli.output import NOTE, console
from swarm_gateway.addresses import is_loopback
from swarm_gateway.serving import serve


@click.command("serve", short_help="Serve hooks, REST, MCP, dashboard and metrics over HTTP.")
@click.option("--host", metavar="ADDRESS", help="Where to listen; SWARM_HTTP_HOST or 127.0.0.1 without it.")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65_535), help="SWARM_HTTP_PORT or 8787 without it.")
@swarm_option
def command(host: str | None, port: int | None, name: str | None) -> None:
    """Serve hooks, REST, MCP, dashboard and metrics over HTTP, in the foreground.

    `swarm up` starts one in the background. On loopback, and over its Unix socket, no token is needed; elsewhere each
    caller needs one of `swarm token create`.
    """
    settings = cli_settings(name, http_host=host, http_port=port)
    prepare_state_dir(settings)
    log_to_stderr("swarm_gateway")
    out = console()

    def ready(url: str) -> None:
        with_token = "" if is_loopback(settings.http_host) and not settings.http_require_token else ", token needed"
        note_gateway(settings, url)
        out.print(Text.assemble(f"swarm {settings.name}: {url}", (f"{with_token}  (Ctrl-C ends it)", NOTE)))

    serve(settings, ready)
