"""A circuit breaker: after a failure Redis is left alone for a moment, so that hooks stay quick."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Breaker:
    """Closed while Redis answers; open after each failure, for `pause_s` at first and twice as long each time.

    Counts what it saw.
    """

    pause_s: float = 1.0
    longest_s: float = 8.0
    failures: int = 0
    last_error: str = ""
    _in_a_row: int = field(default=0, repr=False)
    _retry_at: float = field(default=0.0, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether Redis should be left alone now."""
        return time.monotonic() < self._retry_at

    def failed(self, error: Exception) -> None:
        """Count a failure and open."""
        self.noted(error)
        pause_s = max(self.pause_s, min(self.longest_s, self.pause_s * 2.0**self._in_a_row))
        self._in_a_row = min(self._in_a_row + 1, 30)
        self._retry_at = time.monotonic() + pause_s

    def noted(self, error: Exception) -> None:
        """Count a failure that says nothing about Redis, so stay closed."""
        self.failures += 1
        self.last_error = str(error)

    def succeeded(self) -> None:
        """Close."""
        self._in_a_row = 0
        self._retry_at = 0.0
