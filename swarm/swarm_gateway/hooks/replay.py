"""Events that the command of a hook kept in a file, because no gateway was there to take them.

A line is `1 ID CLIENT AGENT TIME BASE64`; see `swarm_cli.hook_shim.keep`. The file is taken away under the lock that
writers take, and what was taken stays on disk until all of it has had its effect. Killed in between, it is read once
more: an event that comes again has no effect.
"""

from __future__ import annotations

import binascii
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)
SUFFIX = ".hooks"
TAKEN = ".taken"
MAX_BYTES = 64 * 2**20
"""A file that is larger was written by nobody of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEvent:
    """One event as it came. `at_s` is seconds since the epoch."""

    id: str
    client: str
    agent: str
    at_s: float
    body: bytes


def spool_path(socket: Path) -> Path:
    """The file of events beside a gateway's socket."""
    return socket.with_name(socket.name + SUFFIX)


def waiting_bytes(path: Path) -> int:
    """How much waits."""
    return sum(one.stat().st_size for one in (path, _taken(path)) if one.exists())


def is_waiting(path: Path) -> bool:
    """Whether anything waits, or did when somebody was killed."""
    return path.exists() or _taken(path).exists()


def take(path: Path) -> Path | None:
    """Take the waiting events away from the writers; the file they are in now, None if there are none.

    What was taken before and not `done` comes first.
    """
    taken = _taken(path)
    if taken.exists():
        return taken
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.rename(path, taken)
    finally:
        os.close(file)
    return taken


def events(taken: Path) -> Iterator[WaitingEvent | None]:
    """The events of a file, in order; None for a line that cannot be used."""
    if taken.stat().st_size > MAX_BYTES:
        logger.error("%s: larger than %d bytes, left out", taken.name, MAX_BYTES)
        return
    with taken.open("rb") as file:
        for line in file:
            if line.strip():
                yield _event(line)


def done(taken: Path) -> None:
    """All of it had its effect."""
    with suppress(FileNotFoundError):
        taken.unlink()


def _event(line: bytes) -> WaitingEvent | None:
    try:
        version, event_id, client, agent, at_s, body = line.decode("ascii").split()
        if version != "1":
            return None
        return WaitingEvent(
            id=event_id,
            client=client,
            agent="" if agent == "-" else agent,
            at_s=float(at_s),
            body=binascii.a2b_base64(body, strict_mode=True),
        )
    except (ValueError, UnicodeDecodeError):
        return None


def _taken(path: Path) -> Path:
    return path.with_name(path.name + TAKEN)
