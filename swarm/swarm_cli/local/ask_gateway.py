"""Ask the gateway of this machine over its Unix socket: it has the bank and the embedder loaded already."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any

from swarm.settings import Settings

TIMEOUT_S = 10.0


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket, whatever the host says."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask_gateway(
    settings: Settings,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    token: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, Any] | None:
    """Status and body of its answer; None if there is no gateway, or it does not answer within `timeout_s`."""
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    connection = _UnixConnection(str(settings.gateway_socket), timeout_s)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
