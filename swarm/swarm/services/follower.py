"""Following the events of a swarm from a place in them, by as many as want to, each at its own pace.

for event in swarm.events.follow("learn:complete"): ...           # in a thread
async for event in swarm.events.follow("learn:complete"): ...     # in an event loop

Each follower reads the stream by itself and keeps its own place; nothing is sent to it, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator

from swarm.store.events import BEGINNING, PAGE, Event, EventStore
from swarm.store.reply import stream_position
from swarm.wire.event_types import NOTICES, Gap

POLL_S = 0.1
"""Between two looks when there is nothing new."""


class Follower:
    """The events behind a place, oldest first; an iterator, and an asynchronous one.

    Of what was trimmed before it was read a `Gap` says how much that was; it comes whatever types are followed.

    Parameters
    ----------
    types : only these, and what a follower says by itself; empty for all
    position : behind which event
    patience_s : the iteration ends when there was nothing to give for so long; None for never
    """

    def __init__(
        self,
        store: EventStore,
        types: Collection[str] = (),
        position: str = BEGINNING,
        patience_s: float | None = None,
    ) -> None:
        self._store = store
        self._types = frozenset(types) | NOTICES.keys() if types else frozenset[str]()
        self._patience_s = patience_s
        self._ready: deque[Event] = deque()
        self._given = self._read_to = position
        self._is_closed = threading.Event()

    @property
    def position(self) -> str:
        """Up to which event this has given them: to go on there later, or in another process."""
        return self._given if self._ready else self._read_to

    def read(self) -> list[Event]:
        """What is there now, a page of it at most; an empty list says that nothing is, for now.

        Raises
        ------
        StoreUnavailableError
            If Redis is away; the place is kept.
        """
        self._fill()
        found = list(self._ready)
        self._ready.clear()
        return found

    def close(self) -> None:
        """End the iteration, from any thread."""
        self._is_closed.set()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        end = self._end()
        while not self._is_closed.is_set():
            if self._fill():
                return self._give()
            if time.monotonic() >= end:
                break
            self._is_closed.wait(POLL_S)
        raise StopIteration

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> Event:
        end = self._end()
        while not self._is_closed.is_set():
            if len(self._ready) or await asyncio.to_thread(self._fill):
                return self._give()
            if time.monotonic() >= end:
                break
            await asyncio.sleep(POLL_S)
        raise StopAsyncIteration

    def _end(self) -> float:
        return math.inf if self._patience_s is None else time.monotonic() + self._patience_s

    def _give(self) -> Event:
        event = self._ready.popleft()
        self._given = event.id
        return event

    def _fill(self) -> bool:
        """Read on until something is ready, or there is no more; whether something is."""
        while not self._ready and (page := self._store.read_after(self._read_to, PAGE)):
            for event in page:
                if (gap := _gap(self._read_to, event)) is not None:
                    self._ready.append(gap)
                if not self._types or event.type in self._types:
                    self._ready.append(event)
                self._read_to = event.id
        return bool(self._ready)


def _gap(position: str, event: Event) -> Event | None:
    """What is missing between a place and the first event that was found behind it."""
    missed = event.number - stream_position(position)[1] - 1
    if missed == 0:
        return None
    # Its id is the place before that event: whoever goes on behind it is not told again.
    at_ms = stream_position(event.id)[0]
    return Event(id=f"{at_ms}-{event.number - 1}", body=Gap(missed=missed if missed > 0 else None))
