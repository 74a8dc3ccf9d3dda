"""One look at everything that is stored and counted, kept for a moment: many may ask for the same at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from swarm.errors import SwarmError
from swarm.services.status import SwarmStatus, read_status
from swarm.services.swarm import Swarm
from swarm.store.durations import Durations, DurationStore
from swarm.store.retention import RetentionStore
from swarm.store.tallies import Tallies, read_replayed, read_tallies

KEEP_S = 1.0
"""A look is good for so long ..."""
SHARE = 0.05
"""... and with very many agents for longer: looking takes this part of the time at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is stored of a swarm, in sums."""

    status: SwarmStatus
    tallies: Tallies
    replayed: Mapping[str, int]
    """Dead tasks that were let wait again, ever, by role."""
    decided: Mapping[tuple[str, str], int]
    """Decisions of the router, ever, by route and reason."""
    durations: Mapping[str, Durations]
    pinned: int
    expired: int


def read(swarm: Swarm) -> Reading:
    """Look at everything, in a few round trips.

    Raises
    ------
    StoreUnavailableError
        If Redis is away.
    RecordError
        If what is stored cannot be read.
    """
    client, keys = swarm.client, swarm.keys
    retention = RetentionStore(client, keys)
    return Reading(
        status=read_status(client, keys),
        tallies=read_tallies(client, keys),
        replayed=read_replayed(client, keys),
        decided=swarm.router.store.decided(),
        durations=DurationStore(client, keys).read(),
        pinned=len(retention.pins()),
        expired=retention.expired(),
    )


class Readings:
    """Looks at a swarm when it is asked, and not too often. Safe to use from several threads."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._lock = threading.Lock()
        self._last: Reading | None = None
        self._good_until = 0.0

    def last(self) -> Reading | None:
        """The present look; None if Redis is away, or holds what cannot be read."""
        with self._lock:
            begun = time.monotonic()
            if begun >= self._good_until:
                self._last = self._read()
                ended = time.monotonic()
                self._good_until = ended + max(KEEP_S, (ended - begun) / SHARE)
            return self._last

    def _read(self) -> Reading | None:
        try:
            return read(self._swarm)
        except SwarmError:
            return None
