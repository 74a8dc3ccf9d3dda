"""What comes before any route has bounds: headers that do not end, and requests that never come."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn
from rest_support import RunningGateway, served
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from swarm_gateway import protocol
from swarm_gateway.protocol import MAX_HEAD_BYTES, BoundedProtocol

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server) as made:
        yield made


def test_headers_that_do_not_end_are_refused_and_long_ones_are_not(gateway: RunningGateway) -> None:
    address = (urlsplit(gateway.url).hostname, urlsplit(gateway.url).port)
    with socket.create_connection(address, timeout=30.0) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ")
        # The rest meets a closed connection.
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(b"x" * 64 * 2**20)
    assert gateway.http.get("/health/live", headers={"X": "x" * (MAX_HEAD_BYTES // 2)}).status_code == 200


@asynccontextmanager
async def serving() -> AsyncIterator[Callable[[], Awaitable[Streams]]]:
    """A server that answers the size of what it was sent; gives what connects to it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            await PlainTextResponse(str(len(await request.body())))(scope, receive, send)
        except ClientDisconnect:
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(answer, http=BoundedProtocol, lifespan="off", log_config=None))
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listener])
        try:
            yield lambda: asyncio.open_connection(*listener.getsockname())
        finally:
            await server.shutdown([listener])


@pytest.mark.parametrize("sent", [b"", b"POST / HT", HEAD, HEAD + b"Content-Length: 9\r\n\r\nhalf"])
def test_a_request_that_does_not_come_is_waited_for_no_longer(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_S", 0.2)

    async def left_alone() -> bytes:
        async with serving() as connect:
            reader, writer = await connect()
            writer.write(sent)
            said = await asyncio.wait_for(reader.read(), 10.0)
            writer.close()
            return said

    assert asyncio.run(left_alone()) == b""


def test_whoever_has_asked_may_ask_again_and_is_waited_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_S", 0.2)

    async def asked_twice() -> bytes:
        async with serving() as connect:
            reader, writer = await connect()
            writer.write(HEAD + b"Content-Length: 2\r\n\r\nok")
            first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n2"), 10.0)
            assert first.startswith(b"HTTP/1.1 200")
            writer.write(HEAD)
            said = await asyncio.wait_for(reader.read(), 10.0)
            writer.close()
            return said

    assert asyncio.run(asked_twice()) == b""
