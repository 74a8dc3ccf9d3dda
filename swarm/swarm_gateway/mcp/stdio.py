"""MCP over stdin and stdout, for a client that starts this process."""

from __future__ import annotations

import anyio
from mcp.server.stdio import stdio_server

from swarm.settings import Settings
from swarm_gateway.gateway import Gateway
from swarm_gateway.mcp.caller import Caller
from swarm_gateway.mcp.server import build_server


def serve_stdio(settings: Settings, token: str | None, name: str) -> None:
    """Serve until stdin ends; the swarm as `token` may use it, as the agent `name`.

    Raises
    ------
    TokenError
        If the token is none of this swarm's, or has expired.
    """
    with Gateway(settings) as gateway:
        caller = Caller(gateway=gateway, swarm=gateway.guarded(token), name=name)
        anyio.run(_serve, caller)


async def _serve(caller: Caller) -> None:
    server = build_server(lambda _: caller)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
