"""Whether MCP's package is there: without it the gateway runs all the same, and says so in `/health`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm_gateway.gateway import Gateway
    from swarm_gateway.mcp.http import McpEndpoint

REMEDY = "pip install 'sona-swarm[mcp]'"


def has_mcp() -> bool:
    """Whether MCP's package is installed."""
    return find_spec("mcp") is not None


def find_mcp(gateway: Gateway) -> McpEndpoint | None:
    """The endpoint of a gateway; None without MCP's package."""
    if not has_mcp():
        return None
    # Here, because its package is an extra.
    from swarm_gateway.mcp.http import McpEndpoint

    return McpEndpoint(gateway)
