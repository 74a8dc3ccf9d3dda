"""One worker of the swarm at a time looks for due work."""

from __future__ import annotations

from functools import cached_property

from swarm.services.background import Background
from swarm.settings import Settings
from swarm.store.connection import Client, redis_errors
from swarm.wire.keys import SwarmKeys
from swarm_workers.broker import queue_key
from swarm_workers.dispatch import Dispatcher

MAX_QUEUED = 1000
"""With so many messages waiting the workers are busy for long: the sweep adds none until there are fewer."""
TURN = 0.9
"""Part of the interval for which a sweep keeps others off; less than all of it, or timers that fire a
moment early would skip every second turn."""


class Sweeper:
    """Runs `Background.sweep` when no other worker has done so within the interval."""

    def __init__(self, settings: Settings, client: Client, dispatch: Dispatcher, worker: str) -> None:
        self._settings = settings
        self._client = client
        self._dispatch = dispatch
        self._worker = worker
        # No agent can have this name, so it meets no agent's nudge.
        self._turn_key = SwarmKeys(settings.name).nudge(":sweep")

    @cached_property
    def _background(self) -> Background:
        return Background(self._settings, self._client)

    def sweep(self) -> int:
        """Send nudges for all due work if it is this worker's turn; returns how many."""
        with redis_errors("take a turn at the sweep"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set(self._turn_key, self._worker, nx=True, px=int(1000 * TURN * self._settings.sweep_interval))
            pipeline.llen(queue_key(self._settings))
            my_turn, queued = pipeline.execute()
        if not my_turn or queued >= MAX_QUEUED:
            return 0
        return self._background.sweep(self._dispatch)
