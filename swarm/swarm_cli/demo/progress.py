"""Where a running demo stands: what the run tells the view."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW = 500
"""Tasks over which the recent success is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """Share of tasks answered right, 0-1, by the frozen ranking and by what the swarm has learned."""

    frozen: float
    learned: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """One agent so far."""

    name: str
    tasks: int
    success: float
    """Share of its tasks that it answered right, 0-1."""
    generation: int
    """Of the weights that it works with."""
    patterns: int
    """Patterns in the bank that carry its tag."""
    from_others: float
    """Share of its answers that came from patterns which other agents had learned, 0-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProgress:
    """One moment of the stream; every figure comes from stored state or from the outcomes themselves."""

    tasks_done: int
    tasks_total: int
    overall: Success
    recent: Success
    """Over the last `WINDOW` tasks."""
    patterns: int
    consolidations: int
    merges: int
    pending: int
    """Outcomes that wait for consolidation."""
    agents: tuple[AgentRow, ...]


class Tally:
    """Counts right answers of both rankings, over all tasks and over the last `window`.

    >>> tally = Tally(window=2)
    >>> for learned_is_right in (False, True, True):
    ...     tally.add(frozen=False, learned=learned_is_right)
    >>> round(tally.overall.learned, 2), tally.recent.learned, tally.recent.frozen
    (0.67, 1.0, 0.0)
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._last: deque[tuple[bool, bool]] = deque(maxlen=window)
        self._tasks = self._frozen = self._learned = 0
        self._recent_frozen = self._recent_learned = 0

    @property
    def tasks(self) -> int:
        return self._tasks

    @property
    def overall(self) -> Success:
        tasks = max(self._tasks, 1)
        return Success(frozen=self._frozen / tasks, learned=self._learned / tasks)

    @property
    def recent(self) -> Success:
        tasks = max(len(self._last), 1)
        return Success(frozen=self._recent_frozen / tasks, learned=self._recent_learned / tasks)

    def add(self, *, frozen: bool, learned: bool) -> None:
        """Count one task: was the frozen ranking right, was the learned one?"""
        # Running sums, because this is called for every task and the window is long.
        if len(self._last) == self._last.maxlen:
            old_frozen, old_learned = self._last[0]
            self._recent_frozen -= old_frozen
            self._recent_learned -= old_learned
        self._last.append((frozen, learned))
        self._tasks += 1
        self._frozen += frozen
        self._learned += learned
        self._recent_frozen += frozen
        self._recent_learned += learned
