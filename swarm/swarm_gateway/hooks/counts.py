"""What became of hooks: counted by event and outcome, with how long the answers took."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds of the buckets of durations, in seconds; the last bucket has none."""
OUTCOMES = ("answered", "silent", "late", "bypassed", "failed", "bad", "dropped")
"""answered: with context. silent: nothing to say. late: the deadline came first; it was recorded behind it. bypassed:
the breaker was open; recorded, too. failed: refused, see the last errors. bad: no payload of a hook. dropped: too many
waited, so the command of a hook keeps it for later."""
_MOST_ERRORS = 5


class HookCounts:
    """Counts of one gateway since it began. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hooks: Counter[tuple[str, str, str]] = Counter()
        """(client, event, outcome) -> hooks; see `OUTCOMES`."""
        self.buckets: dict[tuple[str, str], list[int]] = {}
        """(client, event) -> hooks by duration, a number for each of `BOUNDS_S` and one for those above."""
        self.seconds: dict[tuple[str, str], float] = {}
        """(client, event) -> sum of durations."""
        self.work: Counter[str] = Counter()
        """What was done: begun, steps, outcomes, abandoned, words, replayed, repeated, ..."""
        self._errors: deque[str] = deque(maxlen=_MOST_ERRORS)

    def hook(self, client: str, event: str, outcome: str, duration_s: float) -> None:
        """Count an answer."""
        with self._lock:
            self.hooks[client, event, outcome] += 1
            row = self.buckets.setdefault((client, event), [0] * (len(BOUNDS_S) + 1))
            row[bisect_left(BOUNDS_S, duration_s)] += 1
            self.seconds[client, event] = self.seconds.get((client, event), 0.0) + duration_s

    def did(self, what: str, n: int = 1) -> None:
        """Count work."""
        with self._lock:
            self.work[what] += n

    def error(self, error: Exception) -> None:
        """Keep an error among the last ones."""
        with self._lock:
            self._errors.append(f"{type(error).__name__}: {error}"[:300])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        with self._lock:
            rows = [
                {"client": client, "event": event, "outcome": outcome, "hooks": n}
                for (client, event, outcome), n in sorted(self.hooks.items())
            ]
            times = [
                {
                    "client": client,
                    "event": event,
                    "hooks": sum(row),
                    "seconds": round(self.seconds[client, event], 6),
                    "p50_ms": 1_000.0 * quantile(row, 0.5),
                    "p99_ms": 1_000.0 * quantile(row, 0.99),
                }
                for (client, event), row in sorted(self.buckets.items())
            ]
            return {"hooks": rows, "durations": times, "work": dict(self.work), "last_errors": list(self._errors)}


def quantile(row: Sequence[int], share: float) -> float:
    """About how long `share` of the hooks of a row of buckets took at most, in seconds: straight within its bucket.

    >>> quantile([0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.5)
    0.00175
    """
    rank, below, lower = share * sum(row), 0, 0.0
    for count, upper in zip(row, BOUNDS_S, strict=False):
        if count and below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below, lower = below + count, upper
    return lower
