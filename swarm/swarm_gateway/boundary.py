"""What every request passes before its route: its Host, its Origin, and its size.

A page that somebody looks at may ask its browser to call this machine's gateway, where no token is needed. The Origin
tells; and the Host, should the page have had its own name point here (DNS rebinding).
"""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

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
        self._origins = frozenset(settings.origins)

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
        await _Bounded(scope, receive, send).run(self._app)

    def _refused(self, headers: Headers, *, is_socket: bool) -> str | None:
        host = headers.get("host", "")
        name = _split(f"//{host}").hostname or ""
        if self._is_local and not is_socket and not (is_loopback(name) or name == self._host):
            return f"host must be one of this machine's own, got {host!r:.80}"
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and _split(origin).netloc != host:
            return f"origin must be the gateway's own or one of SWARM_HTTP_ORIGINS, got {origin!r:.80}"
        if origin is None and _is_of_a_page_elsewhere(headers):
            return "sec-fetch-site must be same-origin or none"
        return None


def _is_of_a_page_elsewhere(headers: Headers) -> bool:
    """Whether a page embeds what is here, such as an image: browsers tell no origin then. A link to here is none."""
    site = headers.get("sec-fetch-site", "none")
    return site not in ("same-origin", "none") and headers.get("sec-fetch-mode") != "navigate"


def is_unix_socket(scope: Scope) -> bool:
    """Whether a request came over the Unix socket, which only this user can reach."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _declared(headers: Headers) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


def _split(url: str) -> SplitResult:
    """The parts of a URL; none of what is no URL."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


class _Bounded:
    """One request whose body has a bound. What the application answers to one that was cut is not sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._size = 0
        self._has_begun = False

    @property
    def _is_too_large(self) -> bool:
        return self._size > MAX_BODY_BYTES

    async def run(self, app: ASGIApp) -> None:
        with suppress(_TooLarge):
            await app(self._scope, self._counted, self._noted)
        if self._is_too_large and not self._has_begun:
            await _too_large()(self._scope, self._receive, self._send)

    async def _counted(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._is_too_large:
            raise _TooLarge
        return message

    async def _noted(self, message: Message) -> None:
        if self._has_begun or not self._is_too_large:
            self._has_begun = True
            await self._send(message)


def _too_large() -> ASGIApp:
    return failure(413, "CapacityError", f"a request's body may have {MAX_BODY_BYTES} bytes at most")
