"""Watches from outside whether every pool gets on with its work while things are killed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from swarm.errors import SwarmError
from swarm.services.swarm import Swarm

_LOOK_S = 0.25


@dataclass(slots=True)
class Stalls:
    """For each pool how long it has had work and done nothing of it, at most."""

    longest_s: dict[str, float] = field(default_factory=dict)
    _done: dict[str, int] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)

    def look(self, now: float, pools: dict[str, tuple[int, int]]) -> None:
        """`pools` says (how much waits, how much was done so far) of each."""
        for pool, (waiting, done) in pools.items():
            if waiting == 0 or done != self._done.get(pool):
                self._since[pool] = now
            self._done[pool] = done
            self.still(now, pool)

    def still(self, now: float, pool: str) -> None:
        """Nothing new is known of a pool: what it had to do it still has to do."""
        stalled = now - self._since.setdefault(pool, now)
        self.longest_s[pool] = max(self.longest_s.get(pool, 0.0), stalled)


class Watch:
    """Looks four times a second, in a thread; a Redis that does not answer is no excuse."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.stalls = Stalls()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            try:
                pools = work_of(self._swarm)
            except SwarmError:
                for pool in list(self.stalls.longest_s):
                    self.stalls.still(time.monotonic(), pool)
                continue
            self.stalls.look(time.monotonic(), pools)


def work_of(swarm: Swarm) -> dict[str, tuple[int, int]]:
    """For the background and each role: (what waits or runs, what was done)."""
    states = swarm.agents.states(swarm.agents.names()).values()
    found = {"background": (sum(state.pending for state in states), sum(state.processed for state in states))}
    for counts in swarm.tasks.counts():
        ended = counts.succeeded + counts.dead + counts.cancelled
        found[counts.role] = (counts.waiting + counts.retrying + counts.running, ended)
    return found
