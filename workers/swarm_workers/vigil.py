"""Whether a worker whose process lives works, too: it may be frozen, stuck, or deaf."""

from __future__ import annotations

from swarm_workers.limits import Limits
from swarm_workers.poolstate import PoolState


class Vigil:
    """Watches one worker after another. What counts is what was seen by this clock, while Redis answered.

    A worker cannot beat without Redis, and a supervisor that was itself frozen has seen nothing: `forgive` begins anew.
    Children that hang are no matter of this: an attempt has its own time limit.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process = (0, 0.0)
        self._last_beat_s = 0.0
        self._beat_at = 0.0
        self._done = 0
        self._stuck_s: float | None = None

    def forgive(self, now: float) -> None:
        """Count all bounds from now."""
        self._beat_at, self._stuck_s = now, None

    def look(self, state: PoolState, queued: int, now: float) -> str:
        """What is wrong with it; empty when nothing is, or not for long enough. `queued` nudges wait for it."""
        if self._process != (process := (state.pid, state.started_s)):
            self._process, self._last_beat_s, self._done = process, 0.0, 0
            self.forgive(now)
        if state.beat_s > self._last_beat_s:
            self._last_beat_s, self._beat_at = state.beat_s, now
        return self._silence(now) or self._deafness(state, queued)

    def _silence(self, now: float) -> str:
        limit = self._limits.silent_s if self._last_beat_s else self._limits.starting_s
        silent_s = now - self._beat_at
        return f"no heartbeat for {silent_s:.0f} s, though its process lives" if silent_s > limit else ""

    def _deafness(self, state: PoolState, queued: int) -> str:
        has_moved = state.done != self._done
        self._done = state.done
        is_waited_for = queued > 0 or state.status == "draining"
        if has_moved or state.active > 0 or not state.beat_s or not is_waited_for:
            self._stuck_s = None
            return ""
        if self._stuck_s is None:
            self._stuck_s = state.beat_s
        # By the worker's own beats: an old one says nothing about what it does now.
        deaf_s = state.beat_s - self._stuck_s
        if deaf_s <= self._limits.deaf_s:
            return ""
        return f"deaf: it has taken nothing for {deaf_s:.0f} s, with {queued} messages waiting and nothing to do"
