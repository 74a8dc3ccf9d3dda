"""What must not change: other keys of the same Redis, and anything by a call that was refused."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys

LOOSE = (
    "loose",
    "{",
    "{fuzz",
    "{fuzzy}:agents",
    "fuzz",
    "{*}:agents",
    "agents",
    "{sentinel/x",
    "celery",
    "_kombu.binding.x",
)
"""Keys of nobody, some of them like ours."""


class Hung(BaseException):
    """A call took longer than it may. No `Exception`, so that nothing catches it."""


class Watch:
    """A Redis that only the fuzzed calls write to."""

    def __init__(self, client: Client, sentinel: Swarm) -> None:
        self._client = client
        self._sentinel = sentinel.keys
        sentinel.register("ada", "coder", SonaConfig(dim=32))
        sentinel.store_pattern("a task", "an answer")
        sentinel.submit("a task", role="coder")
        for key in LOOSE:
            client.set(key, f"value of {key}")
        self._foreign = self.foreign()

    def writes(self) -> int:
        """How many changes Redis has made since it started; it saves no snapshot, so the count is never reset."""
        return int(self._client.info("persistence")["rdb_changes_since_last_save"])

    def foreign(self) -> str:
        """Digest of all that belongs to somebody else."""
        keys = [
            key for pattern in self._sentinel.patterns for key in self._client.scan_iter(match=pattern, count=1_000)
        ]
        return self._digest([*keys, *(key.encode() for key in LOOSE)])

    def foreign_is_untouched(self) -> bool:
        return self.foreign() == self._foreign

    def others(self, *names: str) -> list[bytes]:
        """Keys that belong to nobody: none of these swarms', not the sentinel's, not the loose ones."""
        known = tuple(f"{{{name}{end}".encode() for name in (*names, self._sentinel.swarm) for end in ("}:", "/"))
        loose = {key.encode() for key in LOOSE}
        return [key for key in self._client.scan_iter(count=1_000) if not key.startswith(known) and key not in loose]

    def digest_of(self, keys: SwarmKeys) -> str:
        """Digest of a swarm but for its fences: whoever tries to take a lease counts there."""
        found = [key for pattern in keys.patterns for key in self._client.scan_iter(match=pattern, count=1_000)]
        return self._digest([key for key in found if not key.endswith(b":fence")])

    def _digest(self, keys: list[bytes]) -> str:
        made = hashlib.sha256()
        for key in sorted(keys):
            made.update(b"%d %b" % (len(key), key))
            made.update(self._client.dump(key) or b"")
        return made.hexdigest()


@contextmanager
def time_bound(seconds: float) -> Iterator[None]:
    """Raise `Hung` in the block after so long; in the main thread only."""

    def ring(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
