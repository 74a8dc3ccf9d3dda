"""The SDK's own client of MCP, called from plain functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from forked import fork_server
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent, Tool
from swarm_support import environment

from swarm.settings import Settings

Era = Literal["legacy", "2026-07-28"]
"""What the client speaks: `initialize` and the versions of 2025, or the stateless protocol."""
OLD: Era = "legacy"
NEW: Era = "2026-07-28"


@dataclass(frozen=True)
class McpClient:
    """A client that is connected."""

    portal: BlockingPortal
    client: Client

    def tools(self) -> list[Tool]:
        """What the server offers, in its order."""
        return self.portal.call(self.client.list_tools).tools

    def raw(self, name: str, **arguments: object) -> CallToolResult:
        """The whole answer of a tool."""
        return cast("CallToolResult", self.portal.call(self.client.call_tool, name, arguments))

    def call(self, name: str, **arguments: object) -> dict[str, Any]:
        """What a tool answers; its text must be the same."""
        answer = self.raw(name, **arguments)
        assert not answer.is_error, answer.content
        values = answer.structured_content
        assert json.loads(text_of(answer)) == values
        return cast("dict[str, Any]", values)

    def error(self, name: str, **arguments: object) -> str:
        """What a tool that fails says."""
        answer = self.raw(name, **arguments)
        assert answer.is_error
        return text_of(answer)


def text_of(answer: CallToolResult) -> str:
    """The text of an answer that has one."""
    [content] = answer.content
    assert isinstance(content, TextContent)
    return content.text


@contextmanager
def over_http(url: str, era: Era, token: str | None = None) -> Iterator[McpClient]:
    """A client of the endpoint at `url`."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with start_blocking_portal() as portal:
        http = portal.call(lambda: _http(headers))
        with (
            portal.wrap_async_context_manager(http),
            portal.wrap_async_context_manager(
                Client(streamable_http_client(url, http_client=http), mode=era)
            ) as client,
        ):
            yield McpClient(portal, client)


async def _http(headers: dict[str, str]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers=headers, timeout=30.0)


@contextmanager
def over_stdio(settings: Settings, era: Era, token: str | None = None, *options: str) -> Iterator[McpClient]:
    """A client that has started `swarm mcp`."""
    variables = environment(settings) | ({} if token is None else {"SWARM_TOKEN": token})
    server = StdioServerParameters(command=str(fork_server().bin / "swarm"), args=["mcp", *options], env=variables)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(server, mode=era)) as client,
    ):
        yield McpClient(portal, client)
