"""Rates per second, from the counters of successive states."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from swarm.services.status import SwarmStatus

WINDOW = 10.0
"""A rate is over so many seconds, or since the first look: workers consolidate in batches, not evenly."""
SAMPLES = 30
"""Rates that a curve shows, one for each look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Per second: outcomes accepted and consolidated, tasks submitted and succeeded."""

    accepted: float
    consolidated: float
    submitted: float
    succeeded: float

    def as_dict(self) -> dict[str, float]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Counters:
    """What only grows, by agent or role."""

    at_s: float
    accepted: Mapping[str, int]
    consolidated: Mapping[str, int]
    submitted: Mapping[str, int]
    succeeded: Mapping[str, int]

    @classmethod
    def of(cls, status: SwarmStatus, at_s: float) -> _Counters:
        return cls(
            at_s,
            {agent.name: agent.accepted for agent in status.agents},
            {agent.name: agent.consolidated for agent in status.agents},
            {tasks.role: tasks.submitted for tasks in status.tasks},
            {tasks.role: tasks.succeeded for tasks in status.tasks},
        )


class Pace:
    """Takes one state after the other; its rates are None before the second one."""

    def __init__(self) -> None:
        self._looks: deque[_Counters] = deque()
        self.recent: deque[Rates] = deque(maxlen=SAMPLES)
        """Between each look and the one before it, oldest first."""

    def add(self, status: SwarmStatus, at_s: float) -> None:
        """Take over a state as it was at `at_s`, by a clock that only goes forward."""
        look = _Counters.of(status, at_s)
        if self._looks and at_s <= self._looks[-1].at_s:
            return
        if self._looks:
            self.recent.append(_rates(self._looks[-1], look))
        self._looks.append(look)
        # The look at the edge of the window stays: from it the rate is counted.
        while len(self._looks) > 2 and self._looks[1].at_s <= at_s - WINDOW:
            self._looks.popleft()

    @property
    def rates(self) -> Rates | None:
        """Of the whole swarm."""
        return _rates(self._looks[0], self._looks[-1]) if len(self._looks) > 1 else None

    def of_agent(self, name: str) -> float:
        """Outcomes of one agent that were accepted per second."""
        if len(self._looks) < 2:
            return 0.0
        first, last = self._looks[0], self._looks[-1]
        return _grown(first.accepted, last.accepted, name) / (last.at_s - first.at_s)


def _rates(first: _Counters, last: _Counters) -> Rates:
    seconds = last.at_s - first.at_s
    names = ("accepted", "consolidated", "submitted", "succeeded")
    pairs = {name: (getattr(first, name), getattr(last, name)) for name in names}
    return Rates(
        **{name: sum(_grown(before, now, key) for key in now) / seconds for name, (before, now) in pairs.items()}
    )


def _grown(before: Mapping[str, int], now: Mapping[str, int], key: str) -> int:
    # An agent that was forgotten and came back counts from 0 again.
    return max(0, now.get(key, 0) - before.get(key, 0))
