"""What every request is counted and traced by: its route's template, never its path."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swarm.telemetry.spans import TRACEPARENT, Span, SpanKind, span
from swarm_gateway.metrics.instruments import Instruments

UNKNOWN_ROUTE = "unknown"
HOOKS: Mapping[tuple[str, str], str] = {
    ("POST", "/v1/trajectories"): "begin",
    ("POST", "/v1/trajectories/{trajectory_id}/steps"): "step",
    ("POST", "/v1/trajectories/{trajectory_id}/end"): "end",
    ("DELETE", "/v1/trajectories/{trajectory_id}"): "abandon",
}
"""Routes that are hooks, and what event each stands for."""
_OUTCOMES = {2: "ok", 4: "refused"}


class Observed:
    """ASGI middleware: a SERVER span around each request, in the trace of its `traceparent`, and its counters."""

    def __init__(self, app: ASGIApp, instruments: Instruments) -> None:
        self._app = app
        self._instruments = instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # What ends without an answer is answered 500 further out.
        status, begun = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        parent = Headers(scope=scope).get(TRACEPARENT, "")
        with span(scope["method"], SpanKind.SERVER, parent=parent) as server:
            try:
                await self._app(scope, receive, noted)
            finally:
                route = _route_of(scope)
                self._count(scope["method"], route, status, time.perf_counter() - begun)
                _describe(server, scope["method"], route, status)

    def _count(self, method: str, route: str, status: int, duration_s: float) -> None:
        self._instruments.answered(route, method, status)
        if (event := HOOKS.get((method, route))) is not None:
            outcome = _OUTCOMES.get(status // 100, "failed")
            self._instruments.hook_seconds.labels(event, outcome).observe(duration_s)


def _describe(server: Span, method: str, route: str, status: int) -> None:
    server.rename(f"{method} {route}")
    server.set("http.request.method", method)
    server.set("http.route", route)
    server.set("http.response.status_code", status)
    if status >= 500:
        server.failed(str(status))


def _route_of(scope: Mapping[str, Any]) -> str:
    """The template of the route that took a request; one name for all that none took."""
    return getattr(scope.get("route"), "path", None) or UNKNOWN_ROUTE
