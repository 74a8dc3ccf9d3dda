"""Clients of every kind behind the one plain interface, and a server that answers what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from swarm_agents.client import AsyncSwarmClient, SwarmClient


class Blocking:
    """An async client, called from plain functions: what it has, a `SwarmClient` has."""

    def __init__(self, portal: BlockingPortal, client: AsyncSwarmClient) -> None:
        self._portal = portal
        self.client = client

    @property
    def name(self) -> str:
        return self.client.name

    def task(self, text: str, **options: Any) -> AbstractContextManager[Any]:
        return self._portal.wrap_async_context_manager(self.client.task(text, **options))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)
        return lambda *args, **options: self._portal.call(lambda: method(*args, **options))


@contextmanager
def blocking(open_client: Callable[[], AsyncSwarmClient]) -> Iterator[SwarmClient]:
    """The async client that `open_client` makes, on an event loop of its own."""

    async def opened() -> AsyncSwarmClient:
        return open_client()

    with start_blocking_portal() as portal:
        client = portal.call(opened)
        with portal.wrap_async_context_manager(client):
            yield cast(SwarmClient, Blocking(portal, client))


@dataclass
class Script:
    """Answers in their order, the last one for ever: (status, body), or None for none. `asked` is what came."""

    answers: list[tuple[int, Any] | None]
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def scripted_server(*answers: tuple[int, Any] | None) -> Iterator[Script]:
    """A real server on a free port that answers by a script."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            script.asked.append(f"{self.command} {self.path}")
            found = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            self.close_connection = True
            if found is None:
                return
            content = found[1] if isinstance(found[1], bytes) else json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
