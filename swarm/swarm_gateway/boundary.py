"""What every request passes before its route: its Host, its Origin, and its size.

A page that somebody looks at may ask its browser to call this machine's gateway, where no token is needed. The Origin
tells; and the Host, should the page have had its own name point here (DNS rebinding).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swarm.settings import Settings
from swarm_gateway.addresses import is_loopback
from swarm_gateway.failures import failure

MAX_BODY_BYTES = 8 * 2**20


class _TooLarge(Exception):
    """More came than the Content-Length said, or than may come."""


class Boundary:
    """ASGI middleware that lets no foreign page and no boundless body in."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._is_local = is_loopback(settings.http_host)
        self._host = settings.http_host
        self._origins = frozenset(origin.strip() for origin in settings.http_origins.split(",") if origin.strip())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refused(headers, is_socket=is_unix_socket(scope))
        if refused is not None:
            await failure(403, "ForbiddenError", refused)(scope, receive, send)
            return
        if (size := _declared(headers)) is not None and size > MAX_BODY_BYTES:
            await _too_large()(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, _bounded(receive), noted)
        except _TooLarge:
            if not has_begun:
                await _too_large()(scope, receive, send)

    def _refused(self, headers: Headers, *, is_socket: bool) -> str | None:
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self._is_local and not is_socket and not (is_loopback(name) or name == self._host):
            return f"host must be one of this machine's own, got {host!r:.80}"
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and urlsplit(origin).netloc != host:
            return f"origin must be the gateway's own or one of SWARM_HTTP_ORIGINS, got {origin!r:.80}"
        return None


def is_unix_socket(scope: Scope) -> bool:
    """Whether a request came over the Unix socket, which only this user can reach."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _declared(headers: Headers) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


def _bounded(receive: Receive) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise _TooLarge
        return message

    return counted


def _too_large() -> ASGIApp:
    return failure(413, "CapacityError", f"a request's body may have {MAX_BODY_BYTES} bytes at most")
