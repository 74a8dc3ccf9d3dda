"""How long to wait before what failed is started again."""

from __future__ import annotations

FIRST, LONGEST = 1.0, 60.0


class Backoff:
    """1, 2, 4 ... 60 seconds; from the beginning after it ran well for `settled_s`, and all is forgotten after
    `forget_s`. Times are monotonic seconds.

    >>> backoff = Backoff(settled_s=10.0, forget_s=60.0)
    >>> [backoff.failed(0.0), backoff.failed(0.0), backoff.failed(0.0)]
    [1.0, 2.0, 4.0]
    >>> backoff.ran_well(100.0), backoff.ran_well(110.0), backoff.failed(110.0), backoff.failures
    (False, False, 1.0, 4)
    >>> backoff.ran_well(200.0), backoff.ran_well(260.0), backoff.failures
    (False, True, 0)
    """

    def __init__(self, settled_s: float, forget_s: float) -> None:
        self._settled_s = settled_s
        self._forget_s = forget_s
        self._well_since: float | None = None
        self._in_a_row = 0
        self.failures = 0
        self.next_at = 0.0
        """When to try again."""

    def failed(self, now: float) -> float:
        """Count a failure; the seconds to wait."""
        # The exponent is bounded, too: a crash loop may go on for months.
        pause = min(LONGEST, FIRST * 2.0 ** min(self._in_a_row, 10))
        self._in_a_row += 1
        self.failures += 1
        self.next_at = now + pause
        self._well_since = None
        return pause

    def ran_well(self, now: float) -> bool:
        """Note that it runs well; whether the failures before are forgotten by that."""
        if not self.failures:
            return False
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since >= self._settled_s:
            self._in_a_row = 0
        if now - self._well_since < self._forget_s:
            return False
        self.failures = 0
        return True
