"""The engines of agents that live outside of Python: kept here by name, the ones not used for longest let go.

Nothing is lost by letting go: open trajectories and outcomes are in Redis or in the agent's spool, and an agent that
comes back learns what was not consolidated yet from its stream.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from swarm.errors import CapacityError, RecordError, StoreUnavailableError, SwarmError
from swarm.services.swarm import Swarm
from swarm.telemetry.logs import told
from swarm.wire.keys import check_name
from swarm_agents.agent import Agent

logger = logging.getLogger(__name__)
_CLOSE_S = 0.2
"""How long an agent that is let go may take to send its spool; what is left waits there."""
_LOOK_S = 2.0
"""A hook looks by itself at what changed if nobody has for so long; `refresh` does so every second."""
_RECENT_S = 10.0
"""An agent that was used within so long is kept up to date; another one looks by itself when it is used again."""


@dataclass(slots=True)
class _Seat:
    """One agent's place. `lock` is held while the agent is made, so that it is made once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    agent: Agent | None = None
    users: int = 0
    used_at: float = 0.0


class Engines:
    """Agents by name, `capacity` of them at most. Safe to use from several threads.

    Parameters
    ----------
    swarm : the swarm that all of them share, with its replica
    capacity : agents in memory; when all of them are at work, the next one is refused
    """

    def __init__(self, swarm: Swarm, capacity: int) -> None:
        self._swarm = swarm
        self._capacity = capacity
        self._seats: OrderedDict[str, _Seat] = OrderedDict()
        self._going: set[str] = set()
        self._lock = threading.Lock()
        self.let_go = 0

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def names(self) -> list[str]:
        """The agents in memory, the one not used for longest first."""
        with self._lock:
            return list(self._seats)

    @property
    def spooled(self) -> int:
        """Outcomes of the agents in memory that wait for Redis."""
        return sum(agent.health().spooled for agent in self._agents())

    @property
    def redis_failures(self) -> int:
        """How often the agents in memory found Redis away."""
        return sum(agent.breaker.failures for agent in self._agents())

    @property
    def open_breakers(self) -> int:
        """Agents in memory that leave Redis alone now, because it was away a moment ago."""
        return sum(agent.breaker.is_open for agent in self._agents())

    @contextmanager
    def use(self, name: str, role: str | None = None) -> Iterator[Agent]:
        """The agent of this name, for as long as the block lasts; it is not let go meanwhile.

        Parameters
        ----------
        role : for an agent that is not in memory yet, as for `Agent`

        Raises
        ------
        CapacityError
            If as many agents as there is room for are at work.
        """
        seat = self._take(check_name(name, "agent"))
        try:
            with seat.lock:
                if seat.agent is None:
                    seat.agent = Agent(name, role=role, swarm=self._swarm, refresh_interval=_LOOK_S)
            yield seat.agent
        finally:
            with self._lock:
                seat.users -= 1
                if seat.agent is None and not seat.users:
                    self._seats.pop(name, None)

    def role_of(self, name: str) -> str | None:
        """The role of an agent in memory; None if it is not there."""
        with self._lock:
            seat = self._seats.get(name)
        return None if seat is None or seat.agent is None else seat.agent.role

    @contextmanager
    def forgetting(self, name: str) -> Iterator[None]:
        """Let an agent go that is forgotten in the block, and do not tend it meanwhile: that would make it known again.

        Whoever uses it when the block ends works with an agent that is known anew by that.
        """
        with self._lock:
            self._going.add(name)
        try:
            yield
            self._let_go(name)
        finally:
            with self._lock:
                self._going.discard(name)

    def refresh(self) -> None:
        """Let go of who was forgotten; for those that were used just now, send what is spooled, and pick up what was
        learned elsewhere.

        An agent with something in its spool or in its memory alone counts as such. This is no use: who was used
        longest ago stays so.
        """
        with suppress(StoreUnavailableError, RecordError):
            self._let_forgotten_go()
        for seat in self._stirring():
            try:
                if seat.agent is not None:
                    seat.agent.refresh()
            finally:
                with self._lock:
                    seat.users -= 1

    def drop_expired(self) -> None:
        """Let go of tasks that nobody ends, also of agents that were not used for long."""
        for agent in self._agents():
            agent.drop_expired()

    def close(self) -> None:
        """Let all of them go."""
        with self._lock:
            seats, self._seats = self._seats, OrderedDict()
        for name, seat in seats.items():
            _close(name, seat)

    def _take(self, name: str) -> _Seat:
        with self._lock:
            seat = self._seats.get(name)
            gone = self._make_room() if seat is None else None
            if seat is None:
                seat = self._seats[name] = _Seat()
            self._seats.move_to_end(name)
            seat.users += 1
            seat.used_at = time.monotonic()
        if gone is not None:
            _close(*gone)
        return seat

    def _let_forgotten_go(self) -> None:
        """Somebody else may have had an agent forgotten: looking after it would make it known anew, empty."""
        known = self._swarm.roles()
        for agent in self._agents():
            if agent.name not in known and agent.is_forgotten:
                self._let_go(agent.name)

    def _let_go(self, name: str) -> None:
        with self._lock:
            seat = self._seats.get(name)
            gone = None if seat is None or seat.users else self._seats.pop(name)
        if gone is not None:
            _close(name, gone)

    def _make_room(self) -> tuple[str, _Seat] | None:
        if len(self._seats) < self._capacity:
            return None
        idle = next((name for name, seat in self._seats.items() if not seat.users and not _is_needed(seat)), None)
        if idle is None:
            raise CapacityError(f"max_engines is {self._capacity}: as many agents are at work here; try again")
        self.let_go += 1
        return idle, self._seats.pop(idle)

    def _stirring(self) -> Iterator[_Seat]:
        """Places of agents that are to be kept up to date, each taken: whoever gets one gives it back."""
        since = time.monotonic() - _RECENT_S
        for name in self.names:
            with self._lock:
                seat = self._seats.get(name)
                agent = None if seat is None else seat.agent
                if (
                    seat is None
                    or agent is None
                    or name in self._going
                    or not (seat.used_at > since or agent.has_unsent)
                ):
                    continue
                seat.users += 1
            yield seat

    def _agents(self) -> list[Agent]:
        with self._lock:
            return [seat.agent for seat in self._seats.values() if seat.agent is not None]


def _is_needed(seat: _Seat) -> bool:
    """Whether it knows of tasks under way that Redis, which is away, does not know."""
    return seat.agent is not None and seat.agent.unkept > 0


def _close(name: str, seat: _Seat) -> None:
    if seat.agent is None:
        return
    try:
        seat.agent.close(timeout_s=_CLOSE_S)
    except SwarmError as error:
        logger.warning("an agent cannot be let go in order: %s", told(error), extra={"agent": name})
