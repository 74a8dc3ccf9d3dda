"""Callbacks on events: each has a thread of its own in this process, and its own place in the stream.

So a callback that is slow, raises or hangs holds up nothing: not the learning, which happens in other processes or
before it is told, and no other callback.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from swarm.errors import SwarmError
from swarm.services.follower import Follower
from swarm.store.events import Event
from swarm.telemetry.logs import told

logger = logging.getLogger(__name__)
Callback: TypeAlias = Callable[[Event], object]
_AGAIN_S = 1.0
"""Redis is asked again after so long when it was away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerHealth:
    """How a callback does. `position` is the last event that it was called with, or that was passed over."""

    name: str
    types: tuple[str, ...]
    position: str
    handled: int
    errors: int
    """Of `handled` calls so many raised; then the next event comes."""
    outages: int
    """How often Redis could not be asked."""
    fault: str
    """The last error, without content; empty if there was none."""
    is_busy: bool
    """Whether a call is under way."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class Listener:
    """A callback that is called with each event of some types, in order, until it is closed."""

    def __init__(self, follower: Follower, types: tuple[str, ...], callback: Callback) -> None:
        self._follower = follower
        self._types = types
        self._callback = callback
        self._name = getattr(callback, "__qualname__", type(callback).__name__)
        self._handled = self._errors = self._outages = 0
        self._fault = ""
        self._is_busy = False
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"events {self._name}", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._is_closed.is_set()

    def close(self) -> None:
        """Call it no more. A call that is under way goes on; this does not wait for it."""
        self._is_closed.set()
        self._follower.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def health(self) -> ListenerHealth:
        """How it does."""
        return ListenerHealth(
            name=self._name,
            types=self._types,
            position=self._follower.position,
            handled=self._handled,
            errors=self._errors,
            outages=self._outages,
            fault=self._fault,
            is_busy=self._is_busy,
        )

    def _run(self) -> None:
        while not self._is_closed.is_set():
            try:
                for event in self._follower:
                    self._call(event)
            except SwarmError as error:
                # Redis is away, or of a newer schema for a while: the place is kept.
                if not self._outages:
                    logger.warning("events cannot be read for callback %s: %s", self._name, told(error))
                self._outages += 1
                self._fault = told(error)
                self._is_closed.wait(_AGAIN_S)

    def _call(self, event: Event) -> None:
        if self._is_closed.is_set():
            return
        self._is_busy = True
        try:
            self._callback(event)
        except (Exception, SystemExit) as error:
            # All of them, on purpose: it is not ours, and the next event may go well. A thread that exits is no exit.
            self._errors += 1
            self._fault = told(error)
            logger.warning(
                "callback %s failed with event %s: %s",
                *(self._name, event.id, told(error)),
                extra={"content": str(error)},
            )
        finally:
            self._handled += 1
            self._is_busy = False
