"""MCP over streamable HTTP: one endpoint, `POST /mcp`, guarded like every other route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from swarm.errors import SwarmError
from swarm_gateway import failures
from swarm_gateway.boundary import MAX_BODY_BYTES
from swarm_gateway.gateway import Gateway
from swarm_gateway.identity import asker_of
from swarm_gateway.mcp.caller import Caller
from swarm_gateway.mcp.server import build_server

PATH = "/mcp"


class McpEndpoint:
    """The endpoint as an ASGI application. `?agent=NAME` in its URL names the agent that calls.

    Nothing is kept between requests, so that any process may answer the next one; hence there is nothing to GET or to
    DELETE. Host and Origin are the boundary's to check, as for all routes; the SDK's own check stays off.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._manager = StreamableHTTPSessionManager(
            build_server(self._caller), json_response=True, stateless=True, max_request_body_size=MAX_BODY_BYTES
        )

    def route(self) -> Route:
        """Where it is."""
        return Route(PATH, endpoint=self, methods=["POST"], include_in_schema=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers requests as long as this block lasts; once."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            request.state.asker = await asker_of(request)
        except SwarmError as error:
            await failures.answer(error)(scope, receive, send)
            return
        await self._manager.handle_request(scope, receive, send)

    def _caller(self, context: ServerRequestContext) -> Caller:
        request = context.request
        assert isinstance(request, Request)
        name = request.query_params.get("agent", "")
        return Caller(gateway=self._gateway, swarm=request.state.asker, name=name)
