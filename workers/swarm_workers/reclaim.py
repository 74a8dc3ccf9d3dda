"""Tasks of a worker's processes that died: they need not wait until their leases run out.

A worker looks after its own name only: after its children, and after those of a worker of that name before it. Of
another host it cannot know who lives.
"""

from __future__ import annotations

import logging

import psutil

from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.tasks import TaskStore

logger = logging.getLogger(__name__)


class Reclaim:
    """Ends the leases of the tasks that a dead process of `worker` (its name, POOL@HOST) had."""

    def __init__(self, settings: Settings, client: Client, worker: str) -> None:
        self._worker = worker
        self._tasks = TaskStore.of(settings, client)

    def run(self) -> int:
        """Look once; how many tasks were given back."""
        given_back = 0
        for task, owner in self._tasks.running().items():
            name, _, pid = owner.rpartition("/")
            if name == self._worker and pid.isdecimal() and not _is_alive(int(pid)):
                logger.warning("process %s died with a task: it waits again", pid, extra={"task_id": task})
                given_back += self._tasks.disown(task, owner)
        return given_back


def _is_alive(pid: int) -> bool:
    try:
        # A child that was killed is there until its parent takes notice, which can take Celery seconds.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
