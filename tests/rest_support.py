"""`swarm serve` as a process of its own, asked over HTTP as anybody would ask it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from forked import Forked, start_swarm
from support import wait_until
from swarm_support import EMBEDDER, environment

from swarm.services.background import Background
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys
from swarm_cli.local.gateway import find_gateway

START_S = 60.0


class RunningGateway:
    """A gateway of one swarm while the context is open; `http` is a client of it.

    Parameters
    ----------
    variables : more settings, as in the environment without SWARM_
    """

    def __init__(self, settings: Settings, variables: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self._variables = {"HTTP_PORT": "0", **(variables or {})}
        self.process: Forked | subprocess.Popen[bytes] | None = None
        self.http = httpx.Client()
        self.url = ""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        given = {f"SWARM_{name}": value for name, value in self._variables.items()}
        self.settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.settings.state_dir / "gateway.log").open("ab") as log:
            self.process = start_swarm(["serve"], environment(self.settings) | given, output=log, errors=log)
        pid = self.process.pid
        found = wait_until(lambda: self._found(pid), START_S, f"the gateway ({self.log()})")
        self.url = found
        self.http.close()
        self.http = httpx.Client(base_url=found, timeout=70.0, trust_env=False)

    def _found(self, pid: int) -> str:
        found = find_gateway(self.settings)
        return found.url if found is not None and found.pid == pid else ""

    def log(self) -> str:
        """What it wrote."""
        return (self.settings.state_dir / "gateway.log").read_text(errors="replace")

    def kill(self) -> None:
        """As a power cut would end it (kill -9)."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end, and wait for that; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60.0)

    def restart(self) -> None:
        """Another one after this one has ended."""
        self.start()

    def post(self, path: str, body: Mapping[str, Any] | None = None, code: int = 200, **options: Any) -> Any:
        """POST JSON; the answer must have this status."""
        return self.call("POST", path, code, json=body, **options)

    def get(self, path: str, code: int = 200, **options: Any) -> Any:
        """GET; the answer must have this status."""
        return self.call("GET", path, code, **options)

    def delete(self, path: str, code: int = 200, **options: Any) -> Any:
        """DELETE; the answer must have this status."""
        return self.call("DELETE", path, code, **options)

    def call(self, method: str, path: str, code: int, **options: Any) -> Any:
        """The JSON of an answer, None if it has none."""
        answer = self.http.request(method, path, **options)
        assert answer.status_code == code, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.http.close()
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.end(signal.SIGKILL)


@contextmanager
def short_settings(redis_url: str, **values: object) -> Iterator[Settings]:
    """Settings of a new swarm whose state directory is short enough for a socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="swarm-gw-"))
    try:
        yield Settings(
            name=f"t-{uuid.uuid4().hex[:12]}",
            redis_url=redis_url,
            state_dir=folder,
            embedder=EMBEDDER,
            **values,  # type: ignore[arg-type]  # pydantic checks them
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def served(redis_url: str, variables: Mapping[str, str] | None = None, **values: object) -> Iterator[RunningGateway]:
    """A swarm that nobody else knows, and its gateway; afterwards its keys are removed."""
    with short_settings(redis_url, **values) as settings, connect(settings) as client:
        try:
            with RunningGateway(settings, variables) as gateway:
                yield gateway
        finally:
            erase_swarm(client, SwarmKeys(settings.name))


def consolidate_all(settings: Settings, client: Client | None = None) -> None:
    """What workers do, here and now."""
    if client is not None:
        Background(settings, client).drain(time.time())
        return
    with connect(settings) as made:
        Background(settings, made).drain(time.time())


@contextmanager
def consolidating(settings: Settings) -> Iterator[None]:
    """What workers do, in a thread, for as long as the block lasts."""
    stop = threading.Event()

    def work() -> None:
        with connect(settings) as client:
            background = Background(settings, client)
            while not stop.wait(0.1):
                background.drain(time.time())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
