"""A small HTTP client over kept connections: what is measured is the gateway, not the client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.own_swarm import OwnSwarm
from swarm.errors import RuntimeSetupError
from swarm_cli.local.gateway import GatewayProcess, find_gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer; `ms` is how long it took by the clock. Status 0: the connection broke."""

    status: int
    body: Any
    ms: float


class Connection:
    """One connection to `url`, made anew when it broke."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answered:
        """One request."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        started = time.perf_counter()
        try:
            status, found = await self._send(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        except (OSError, asyncio.IncompleteReadError):
            self._reader = None
            status, found = 0, b""
        return Answered(
            status=status, body=json.loads(found) if found else None, ms=1e3 * (time.perf_counter() - started)
        )

    async def _send(self, request: bytes) -> tuple[int, bytes]:
        # A connection that nobody used for some seconds is closed by the server.
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(request)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        sizes = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
        return int(lines[0].split()[1]), await self._reader.readexactly(sizes[0]) if sizes else b""


def gateway_of(own: OwnSwarm) -> GatewayProcess:
    """The gateway that `swarm up` started.

    Raises
    ------
    RuntimeSetupError
        If none runs.
    """
    found = find_gateway(own.settings)
    if found is None:
        raise RuntimeSetupError("swarm up started no gateway")
    return found
