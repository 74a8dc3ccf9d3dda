"""A lock between processes of one user on one machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swarm.errors import RuntimeSetupError
from swarm_workers.processes import private_directory

_POLL = 0.05


@contextmanager
def file_lock(path: Path, timeout_s: float, what: str) -> Iterator[None]:
    """Hold the lock file `path`; the system lets go of it when this process ends, however it ends.

    Raises
    ------
    RuntimeSetupError
        If another process holds it for longer than `timeout_s`; `what` says what cannot be done.
    """
    deadline = time.monotonic() + timeout_s
    descriptor = _open(path)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise RuntimeSetupError(f"cannot {what}: another process has been at it for {timeout_s:g} s ({path})")
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def lock_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` if nobody else does; whether it is held."""
    descriptor = _open(path)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    private_directory(path.parent)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
