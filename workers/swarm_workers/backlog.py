"""What waits for a role, or for the background, read from what is stored."""

from __future__ import annotations

import time

from swarm.services.due import due_agents
from swarm.services.tasks import Tasks
from swarm.services.watch import Watch
from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import Client, clock_s
from swarm.store.tasks import read_counts
from swarm.wire.keys import SwarmKeys
from swarm_workers.scaling import Demand

_SHARE = 0.05
"""With very many agents, to look for due ones takes a while: it may take this part of the time."""


class Backlog:
    """The demand on the pools of one swarm."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._keys = SwarmKeys(settings.name)
        self._agents = AgentStore(client, self._keys)
        self._tasks = Tasks(settings, client, self._agents)
        self._watch = Watch(self._agents)
        self._of_background, self._next_at = Demand(), 0.0

    def read(self, roles: set[str]) -> dict[str, Demand]:
        """The demand on each of these roles; "" is the background."""
        found = {}
        if roles - {""}:
            for counts in read_counts(self._client, self._keys):
                found[counts.role] = Demand(waiting=counts.waiting, oldest_s=counts.oldest_waiting_s or 0.0)
        if "" in roles:
            found[""] = self._background_demand()
        return {role: found.get(role, Demand()) for role in roles}

    def tend_tasks(self) -> None:
        """What workers do with the ledger of tasks, for when there are none: else nothing would wake a pool up."""
        self._tasks.sweep()

    def _background_demand(self) -> Demand:
        begun = time.monotonic()
        if begun >= self._next_at:
            self._of_background = self._read_background()
            ended = time.monotonic()
            self._next_at = ended + (ended - begun) / _SHARE
        return self._of_background

    def _read_background(self) -> Demand:
        waits = due_agents(self._settings, self._watch.look(), clock_s(self._client))
        # Outcomes wait for a while by design.
        late_s = max(waits.values(), default=0.0) - self._settings.consolidate_delay
        return Demand(waiting=len(waits), oldest_s=max(0.0, late_s))
