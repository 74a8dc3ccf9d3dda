"""What changes in the swarm, as events: one reader for all who listen, from stored state alone.

While nobody listens nothing is read. Whoever joins gets a snapshot, or what was missed since the last event that was
seen, and then the changes.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from anyio import CancelScope, to_thread

from swarm.errors import QueueFullError, SwarmError
from swarm.services.swarm import Swarm
from swarm_gateway.schemas.events import Away, LiveEvent, Snapshot
from swarm_gateway.snapshots import changes, read_snapshot

logger = logging.getLogger(__name__)
READ_S = 1.0
"""Between two looks at what is stored."""
HEARTBEAT_S = 5.0
"""Whoever listens hears something at least so often."""
MAX_LISTENERS = 64
MAX_OF_ONE = 8
"""Listeners with one token: so that none has all the places."""
MAX_BEHIND = 256
"""Events that may wait for one listener: who is slower is let go, and may come back with the last id it has seen."""
REMEMBERED = 512
"""Events that are kept for those who come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An event with its number in this process."""

    id: str
    event: LiveEvent

    def encoded(self) -> bytes:
        """As server-sent events are written."""
        return f"id: {self.id}\nevent: {self.event.type}\ndata: {self.event.model_dump_json()}\n\n".encode()


@dataclass(slots=True, eq=False)
class Listener:
    """One who listens, by the token `who` or without one. `scope` is cancelled when it is let go; None is the end."""

    who: str = ""
    waiting: asyncio.Queue[Sent | None] = field(default_factory=lambda: asyncio.Queue(MAX_BEHIND))
    scope: CancelScope = field(default_factory=CancelScope)


class LiveFeed:
    """Reads the state of one swarm once a second while somebody listens. Everything here is for the event loop."""

    def __init__(self, swarm: Swarm, read_s: float = READ_S) -> None:
        self._swarm = swarm
        self._read_s = read_s
        self._name = uuid.uuid4().hex[:8]
        self._count = 0
        self._state: Snapshot | None = None
        self._is_away = False
        self._past: deque[Sent] = deque(maxlen=REMEMBERED)
        self._listeners: set[Listener] = set()
        self._reader: asyncio.Task[None] | None = None
        self._is_closed = False
        self.let_go = 0

    def __len__(self) -> int:
        return len(self._listeners)

    async def join(self, last_id: str | None = None, who: str = "") -> Listener:
        """A new listener; give it back by `leave`.

        Raises
        ------
        QueueFullError
            If `MAX_LISTENERS` listen, or `MAX_OF_ONE` by the same token.
        StoreUnavailableError
            If Redis is away, and nothing is known yet.
        """
        state = await self._known()
        if len(self._listeners) >= MAX_LISTENERS:
            raise QueueFullError(f"{MAX_LISTENERS} listen to events here, which is the bound", HEARTBEAT_S)
        if who and sum(listener.who == who for listener in self._listeners) >= MAX_OF_ONE:
            raise QueueFullError(f"{MAX_OF_ONE} listen to events here by this token, which is the bound", HEARTBEAT_S)
        listener = Listener(who=who)
        self._listeners.add(listener)
        for sent in self._missed(last_id) or [Sent(id=self._id(), event=state)]:
            self._offer(listener, sent)
        if self._is_closed:
            listener.waiting.put_nowait(None)
        elif self._reader is None:
            self._reader = asyncio.create_task(self._read())
            self._reader.add_done_callback(self._read_no_more)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener; after the last one nothing is read any more."""
        self._listeners.discard(listener)
        if not self._listeners and self._reader is not None:
            self._reader.cancel()
            self._reader = None
            # What is known grows old now.
            self._state = None
            self._past.clear()

    def close(self) -> None:
        """Send everybody home."""
        self._is_closed = True
        for listener in tuple(self._listeners):
            self._offer(listener, None)

    async def _known(self) -> Snapshot:
        if self._state is None:
            self._state = await to_thread.run_sync(read_snapshot, self._swarm)
        return self._state

    async def _read(self) -> None:
        while True:
            await asyncio.sleep(self._read_s)
            try:
                now = await to_thread.run_sync(read_snapshot, self._swarm)
            except SwarmError as error:
                if not self._is_away:
                    self._tell([Away(why=str(error))])
                self._is_away = True
                continue
            before, self._state = self._state, now
            # After an outage everything is said anew: what was missed cannot be known.
            self._tell([now] if self._is_away or before is None else changes(before, now))
            self._is_away = False

    def _read_no_more(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled() and (fault := reader.exception()) is not None:
            logger.error("nobody reads what changes any more", exc_info=fault)
            self.close()

    def _tell(self, events: Iterable[LiveEvent]) -> None:
        for event in events:
            self._count += 1
            sent = Sent(id=self._id(), event=event)
            self._past.append(sent)
            for listener in tuple(self._listeners):
                self._offer(listener, sent)

    def _offer(self, listener: Listener, sent: Sent | None) -> None:
        try:
            listener.waiting.put_nowait(sent)
        except asyncio.QueueFull:
            self.let_go += 1
            self._listeners.discard(listener)
            listener.scope.cancel()

    def _missed(self, last_id: str | None) -> list[Sent]:
        """What came after the event of that id, if all of it is still known; else nothing."""
        ids = [sent.id for sent in self._past]
        return list(self._past)[ids.index(last_id) + 1 :] if last_id in ids else []

    def _id(self) -> str:
        return f"{self._name}.{self._count}"
