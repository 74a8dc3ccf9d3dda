"""One worker of the swarm at a time tends the ledger of tasks and wakes the pools of roles with tasks waiting."""

from __future__ import annotations

from swarm.services.tasks import Tasks
from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import Client, redis_errors
from swarm.wire.keys import SwarmKeys
from swarm_workers.dispatch import Dispatcher
from swarm_workers.sweep import TURN

MAX_NUDGES = 32
"""So many nudges for one role may wait; each keeps a process busy until nothing waits."""


class TaskSweeper:
    """Leases that ran out, back-offs that are over, deadlines; then a nudge for each task that waits, up to a bound."""

    def __init__(self, settings: Settings, client: Client, dispatch: Dispatcher, worker: str) -> None:
        self._client = client
        self._keys = SwarmKeys(settings.name)
        self._tasks = Tasks(settings, client, AgentStore(client, self._keys))
        self._dispatch = dispatch
        self._worker = worker
        self._turn_ms = int(1000 * TURN * settings.sweep_interval)

    def sweep(self) -> int:
        """Tend the tasks if it is this worker's turn; how many nudges were sent."""
        with redis_errors("take a turn at the tasks"):
            # No agent can have this name, so it meets no agent's nudge.
            my_turn = self._client.set(self._keys.nudge(":tasks"), self._worker, nx=True, px=self._turn_ms)
        if not my_turn:
            return 0
        self._tasks.sweep()
        waiting = self._tasks.store.waiting().items()
        return sum(wake(self._client, self._keys, self._dispatch, role, number) for role, number in waiting)


def wake(client: Client, keys: SwarmKeys, dispatch: Dispatcher, role: str, wanted: int) -> int:
    """Send nudges for a role until so many wait, or `MAX_NUDGES`; how many were missing."""
    with redis_errors("count the nudges"):
        queued = int(client.llen(keys.broker_prefix + keys.role_queue(role)))
    missing = max(0, min(wanted, MAX_NUDGES) - queued)
    for _ in range(missing):
        dispatch("run", role)
    return missing
