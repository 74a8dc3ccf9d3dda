"""A Redis for one benchmark, in memory alone, that is gone afterwards."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from swarm.errors import RuntimeSetupError, StoreUnavailableError
from swarm.settings import Settings, load_settings
from swarm.store.connection import clock_s, connect
from swarm_cli.local.redis_program import find_program

_START_S = 20.0


class ScratchRedis:
    """Runs while the context is open. Nothing is on disk: what is measured is not how fast it writes."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="swarm-scale-"))
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, name: str) -> Settings:
        """Settings of one swarm in it."""
        return load_settings(
            name=name, redis_url=f"unix://{self._folder / 'redis.sock'}", state_dir=self._folder, embedder="hashed:256"
        )

    def __enter__(self) -> Self:
        options = ["--port", "0", "--unixsocket", str(self._folder / "redis.sock"), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [str(find_program().path), *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_S
        with connect(self.settings("start")) as client:
            while True:
                try:
                    clock_s(client)
                    return self
                except StoreUnavailableError:
                    if time.monotonic() > deadline:
                        raise RuntimeSetupError(f"Redis in {self._folder} does not answer") from None
                    time.sleep(0.02)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
