"""Sessions of coding agents: the tasks under way in them, in memory, and in Redis for the next gateway.

Texts are here in memory alone. A gateway that starts anew knows which trajectories are open and what was seen of them;
what the tasks were is in the trajectories.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeVar

from swarm.errors import RecordError, StoreUnavailableError, SwarmError
from swarm.store.hook_sessions import HookSessionStore
from swarm.wire.hook_records import MAX_SEEN, SEEN_BYTES, SessionRecord, TurnRecord
from swarm_agents.breaker import Breaker
from swarm_gateway.hooks.verdict import Evidence

_K = TypeVar("_K")
_V = TypeVar("_V")

MAX_SESSIONS = 2_000
"""Sessions in memory; the one not heard of for longest is let go, and comes back from Redis."""
ECHO_S = 2.0
MAX_WAITING = 64
"""Calls of one session that have begun and not ended; tasks of it that were handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A pattern that the agent was told of, and the words of its answer."""

    pattern_id: str
    words: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Turn:
    """The task of one agent of a session, and what was seen of it; see `TurnRecord`."""

    agent: str
    role: str = ""
    trajectory_id: str = ""
    began_s: float = 0.0
    evidence: Evidence = field(default_factory=Evidence)
    steps: int = 0
    tokens: int = 0
    part: int = 1
    delegation: str = ""
    is_ended: bool = False
    is_reported: bool = False
    text: str = ""
    """What the task is."""
    message: str = ""
    """What the agent said last."""
    offered: tuple[Offered, ...] = ()
    unsaid: str = ""
    """What is known, for an agent that can be told only later."""

    def record(self) -> TurnRecord:
        """What is kept of it."""
        seen = self.evidence
        return TurnRecord(
            agent=self.agent,
            role=self.role,
            trajectory_id=self.trajectory_id,
            began_s=self.began_s,
            checks=dict(seen.checks),
            well=seen.well,
            badly=seen.badly,
            last_failed=seen.last_failed,
            is_interrupted=seen.is_interrupted,
            steps=self.steps,
            tokens=self.tokens,
            part=self.part,
            delegation=self.delegation,
            is_ended=self.is_ended,
            is_reported=self.is_reported,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A task that is handed to a sub-agent of a type."""

    agent_type: str
    text: str


@dataclass(slots=True, kw_only=True)
class HookSession:
    """One session. Only whoever has it open may touch it."""

    client: str
    session: str
    model: str = ""
    at_s: float = 0.0
    turns: dict[str, Turn] = field(default_factory=dict)
    delegations: OrderedDict[str, Delegation] = field(default_factory=OrderedDict)
    """By the id of the call, until a sub-agent takes it up."""
    starts: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """When a call began, by its id."""
    seen: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    prompted: tuple[str, float] = ("", 0.0)
    """The last prompt and its time, until something else happens."""
    is_changed: bool = False
    is_over: bool = False

    def is_repeated(self, event_id: str) -> bool:
        """Whether an event had its effect before; from now on it had."""
        digest = blake2b(event_id.encode(), digest_size=SEEN_BYTES).digest()
        if digest in self.seen:
            return True
        bounded(self.seen, MAX_SEEN)[digest] = None
        return False

    def is_echo(self, prompt: str, at_s: float) -> bool:
        """Whether a prompt is the one just heard: hooks that are installed twice tell it twice, without a name."""
        before, self.prompted = self.prompted, (prompt, at_s)
        return bool(prompt) and before[0] == prompt and abs(at_s - before[1]) < ECHO_S

    def record(self) -> SessionRecord:
        """What is kept of it."""
        return SessionRecord(
            client=self.client,
            session=self.session,
            model=self.model,
            at_s=self.at_s,
            turns={agent_id: turn.record() for agent_id, turn in self.turns.items()},
            seen=tuple(self.seen),
        )


def bounded(mapping: OrderedDict[_K, _V], most: int) -> OrderedDict[_K, _V]:
    """`mapping` with room for one more: the oldest goes when it is full."""
    while len(mapping) >= most:
        mapping.popitem(last=False)
    return mapping


def session_of(record: SessionRecord) -> HookSession:
    """A session as an earlier gateway left it."""
    return HookSession(
        client=record.client,
        session=record.session,
        model=record.model,
        at_s=record.at_s,
        turns={agent_id: _turn_of(turn) for agent_id, turn in record.turns.items()},
        seen=OrderedDict.fromkeys(record.seen),
    )


def _turn_of(record: TurnRecord) -> Turn:
    evidence = Evidence(
        checks=dict(record.checks),
        well=record.well,
        badly=record.badly,
        last_failed=record.last_failed,
        is_interrupted=record.is_interrupted,
    )
    return Turn(
        agent=record.agent,
        role=record.role,
        trajectory_id=record.trajectory_id,
        began_s=record.began_s,
        evidence=evidence,
        steps=record.steps,
        tokens=record.tokens,
        part=record.part,
        delegation=record.delegation,
        is_ended=record.is_ended,
        is_reported=record.is_reported,
    )


@dataclass(slots=True)
class _Seat:
    """One session's place. `lock` is held while an event of it has its effect: they have it one by one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    session: HookSession | None = None
    users: int = 0


class Sessions:
    """Sessions by client and id. Safe to use from several threads."""

    def __init__(self, store: HookSessionStore) -> None:
        self._store = store
        self._seats: OrderedDict[tuple[str, str], _Seat] = OrderedDict()
        self._lock = threading.Lock()
        self.breaker = Breaker()

    def __len__(self) -> int:
        return len(self._seats)

    @contextmanager
    def open(self, client: str, session: str) -> Iterator[HookSession]:
        """A session, new if it is not known, for as long as the block lasts; kept in Redis after it if it changed."""
        name = (client, session)
        seat = self._take(name)
        try:
            with seat.lock:
                if seat.session is None or seat.session.is_over:
                    seat.session = self._recalled(client, session)
                try:
                    yield seat.session
                finally:
                    self._keep(seat.session)
        finally:
            with self._lock:
                seat.users -= 1
                if not seat.users and seat.session is not None and seat.session.is_over:
                    self._seats.pop(name, None)

    def idle(self, before_s: float, count: int) -> Sequence[tuple[str, str]]:
        """Client and id of sessions that nothing was heard of since `before_s`.

        Raises
        ------
        StoreUnavailableError
            If Redis is away.
        """
        return [(record.client, record.session) for record in self._store.idle(before_s, count)]

    def _take(self, name: tuple[str, str]) -> _Seat:
        with self._lock:
            if name not in self._seats and len(self._seats) >= MAX_SESSIONS:
                gone = next((one for one, seat in self._seats.items() if not seat.users), None)
                if gone is not None:
                    del self._seats[gone]
            seat = self._seats.setdefault(name, _Seat())
            self._seats.move_to_end(name)
            seat.users += 1
        return seat

    def _recalled(self, client: str, session: str) -> HookSession:
        if not self.breaker.is_open:
            try:
                if (record := self._store.get(client, session)) is not None:
                    return session_of(record)
                self.breaker.succeeded()
            except StoreUnavailableError as error:
                self.breaker.failed(error)
            except RecordError as error:
                self.breaker.noted(error)
        return HookSession(client=client, session=session)

    def _keep(self, session: HookSession) -> None:
        if self.breaker.is_open or not (session.is_changed or session.is_over):
            return
        try:
            if session.is_over:
                self._store.remove(session.client, session.session)
            else:
                self._store.put(session.record())
            session.is_changed = False
        except StoreUnavailableError as error:
            # Here it is known all the same, and kept with its next event.
            self.breaker.failed(error)
        except SwarmError as error:
            self.breaker.noted(error)
