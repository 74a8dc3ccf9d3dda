"""Serving: uvicorn on a TCP socket, and on a Unix socket that only this user can reach."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm_gateway.app import create_app
from swarm_gateway.gateway import Gateway
from swarm_gateway.protocol import BoundedProtocol

BACKLOG = 2_048
_SWITCH_S = 0.001
"""A thread that computes gives way after so long. With Python's 5 ms a hook waits that long, several times over, for
whoever reads the bank beside it."""
GRACE_S = 5
"""So long requests under way may take when the process is told to end."""


def serve(settings: Settings, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT.

    Parameters
    ----------
    ready : is called with the URL once requests are answered

    Raises
    ------
    RuntimeSetupError
        If it cannot listen there.
    """
    sys.setswitchinterval(_SWITCH_S)
    with _listening(settings) as (tcp, unix):
        host, port = tcp.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        gateway = Gateway(settings)
        config = uvicorn.Config(
            create_app(gateway),
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn ends the server on them, and raises them once more when it is done: then we still have to tidy up.
            signal.signal(number, lambda *_: None)
        server = _Server(config, lambda: ready(f"http://{name}:{port}"), gateway.begin_close)
        server.run(sockets=[tcp, unix])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._closing = closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Those who wait, or listen, would else be waited for.
        self._closing()
        await super().shutdown(sockets)


@contextmanager
def _listening(settings: Settings) -> Iterator[tuple[socket.socket, socket.socket]]:
    with _tcp(settings.http_host, settings.http_port) as tcp, _unix(settings.gateway_socket) as unix:
        yield tcp, unix


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise RuntimeSetupError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): set SWARM_HTTP_PORT to another port, "
            "or 0 for any free one"
        ) from error


@contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    """A listening socket that only this user can reach; the file of a process that is gone is taken over."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            _remove_dead(path)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise RuntimeSetupError(f"cannot listen on {path}: {error.strerror or error}") from error
    mine = path.stat().st_ino
    try:
        yield listener
    finally:
        listener.close()
        with suppress(OSError):
            # A later gateway may have put its own in place.
            if path.stat().st_ino == mine:
                path.unlink()


def _remove_dead(path: Path) -> None:
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise RuntimeSetupError(f"{path} is no socket: move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise RuntimeSetupError(f"a gateway of this swarm serves {path} already")
