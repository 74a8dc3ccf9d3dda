"""The events of a swarm, for programs: what happened, in order, to be read, followed and called back with.

handle = swarm.events.on("learn:complete", lambda event: print(event.body.agent))
for event in swarm.events.follow(after="beginning", patience_s=1.0): ...
handle.close()
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection
from itertools import islice

from swarm.errors import CapacityError, InputError, StoreUnavailableError, shown
from swarm.services.follower import Follower
from swarm.services.listeners import Callback, Listener, ListenerHealth
from swarm.sona.vectors import check_count, check_names, check_number
from swarm.store.connection import Client
from swarm.store.events import BEGINNING, PAGE, Event, EventStore
from swarm.telemetry.logs import told
from swarm.wire.event_types import EVENTS, NOTICES, Body
from swarm.wire.keys import EVENTS_LENGTH, SwarmKeys

logger = logging.getLogger(__name__)
ALL = "*"
"""In the place of a type: every one."""
MAX_LISTENERS = 64
"""Callbacks in one process: each has a thread, and asks Redis ten times a second."""
_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class Events:
    """The events of one swarm. None of them holds a text of a task, an answer or an error: ids lead there."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._store = EventStore(client, keys)
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self.untold = 0
        """Events of this process that could not be published."""

    def publish(self, event: Body) -> str:
        """Tell of something that this process did; the id of the event.

        While Redis is away it is not told, and counted as `untold`: what was done stays done. Then the id is "".

        Raises
        ------
        InputError, CapacityError
            If it is no event, or too large.
        """
        try:
            return self._store.publish(event)
        except StoreUnavailableError as error:
            self.untold += 1
            logger.warning("event %s was not told: %s", event.type, told(error))
            return ""

    def latest(self, *types: str, count: int = 20) -> list[Event]:
        """The newest events, oldest of them first.

        Parameters
        ----------
        types : only these; none means all
        count : so many at most, 1..10,000
        """
        wanted, most = check_types(types), check_count(count, "count", 1, EVENTS_LENGTH)
        found: list[Event] = []
        position = ""
        while len(found) < most and (page := self._store.read_before(position, PAGE)):
            fitting = (event for event in page if not wanted or event.type in wanted)
            found += islice(fitting, most - len(found))
            position = page[-1].id
        return found[::-1]

    def follow(self, *types: str, after: str = "now", patience_s: float | None = None) -> Follower:
        """The events from some place on, as they come: an iterator, and an asynchronous one.

        Parameters
        ----------
        types : only these; none means all
        after : "now", "beginning" (of what is stored), or the id of an event
        patience_s : the iteration ends when nothing came for so long; by default never

        "now" is looked up by this call, and not by the first step of the iteration: what happens in between comes.

        Raises
        ------
        StoreUnavailableError
            If Redis is away; also from the iteration, which can be gone on with from its `position`.
        """
        wanted = check_types(types)
        patience = None if patience_s is None else check_number(patience_s, "patience_s", 0.0, 1e9)
        return Follower(self._store, wanted, self._place(after), patience)

    def on(self, types: str | Collection[str], callback: Callback, *, after: str = "now") -> Listener:
        """Call `callback` with each event of these types ("*" for all), in a thread of its own; the handle ends it.

        What it raises is counted and logged (`health`), and the next event comes. While Redis is away its place is
        kept. A call that never returns holds up itself alone.

        Raises
        ------
        CapacityError
            If `MAX_LISTENERS` callbacks are there.
        """
        wanted = check_types([types] if isinstance(types, str) else check_names(types, "types"))
        if not callable(callback):
            raise InputError(f"callback must be callable, got {shown(callback, 40)}")
        place = self._place(after)
        with self._lock:
            self._listeners = [listener for listener in self._listeners if not listener.is_closed]
            if len(self._listeners) >= MAX_LISTENERS:
                raise CapacityError(f"{MAX_LISTENERS} callbacks listen to events in this process, which is the bound")
            listener = Listener(Follower(self._store, wanted, place), wanted or (ALL,), callback)
            self._listeners.append(listener)
        return listener

    def health(self) -> list[ListenerHealth]:
        """How the callbacks of this process do."""
        with self._lock:
            return [listener.health() for listener in self._listeners if not listener.is_closed]

    def close(self) -> None:
        """End all callbacks."""
        with self._lock:
            for listener in self._listeners:
                listener.close()
            self._listeners = []

    def _place(self, after: object) -> str:
        if after == "now":
            return self._store.last_id()
        if after == "beginning":
            return BEGINNING
        if isinstance(after, str) and _ID.fullmatch(after):
            return after
        raise InputError(f"after must be now, beginning or the id of an event (ms-number), got {shown(after, 60)}")


def check_types(types: Collection[object]) -> tuple[str, ...]:
    """Types of events, none for all of them.

    Raises
    ------
    InputError
        If there is no such type.
    """
    known = {**EVENTS, **NOTICES}
    for one in types:
        if not isinstance(one, str) or (one != ALL and one not in known):
            raise InputError(f"type must be {ALL} or one of {', '.join(known)}, got {shown(one, 40)}")
    return () if ALL in types else tuple(dict.fromkeys(str(one) for one in types))
