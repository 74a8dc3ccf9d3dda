"""Events as a token may see them: all of them, for everybody, because they hold names, ids and figures only."""

from __future__ import annotations

from swarm.services.follower import Follower
from swarm.services.gate import Gate
from swarm.services.swarm import Swarm
from swarm.store.events import Event


class GuardedEvents:
    """The operations of `Events` that a token allows; the others are for this machine's processes."""

    def __init__(self, swarm: Swarm, gate: Gate) -> None:
        self._events = swarm.events
        self._gate = gate

    def latest(self, *types: str, count: int = 20) -> list[Event]:
        """See `Events.latest`."""
        self._gate.enter("events.latest", types)
        return self._events.latest(*types, count=count)

    def follow(self, *types: str, after: str = "now", patience_s: float | None = None) -> Follower:
        """See `Events.follow`; it counts as one call."""
        self._gate.enter("events.follow", types, after)
        return self._events.follow(*types, after=after, patience_s=patience_s)
