"""The Celery task of a role's pool: a nudge that makes one process do what waits for the role.

The message says nothing but that something waits. Which task it is, the ledger says at the claim; a nudge that comes
twice finds nothing, and one that is lost is sent again by the sweep.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from functools import cached_property
from typing import Any

from celery import Celery

from swarm.errors import StoreUnavailableError
from swarm.services.tasks import Tasks
from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys
from swarm.wire.task_records import MAX_TIME_LIMIT
from swarm_workers.app import MAX_RETRIES, RETRY_DELAY, RUN, nudge_queue
from swarm_workers.attempt import Attempt
from swarm_workers.broker import broker_errors
from swarm_workers.handlers import Handler, find_handler
from swarm_workers.hooks import Agents, load_factory
from swarm_workers.messages import processing
from swarm_workers.plan import RolePlan
from swarm_workers.post_mortem import tell_agents

logger = logging.getLogger(__name__)
STINT = 5.0
"""After so many seconds a process looks for another nudge, so that a pool that drains ends."""


class RoleTasks:
    """What the processes of a role's pool do. Each has its copy of this object, and makes its own connections."""

    def __init__(self, settings: Settings, plan: RolePlan, handler: Handler) -> None:
        self._settings = settings
        self._plan = plan
        self._handler = handler

    @cached_property
    def tasks(self) -> Tasks:
        """Made at the first nudge, so after the fork: no two processes share a socket."""
        client = connect(self._settings)
        return Tasks(self._settings, client, AgentStore(client, SwarmKeys(self._settings.name)))

    @cached_property
    def agents(self) -> Agents:
        """The agents that this process plays."""
        return Agents(load_factory(self._plan.factory, self._settings))

    def run(self, worker: str) -> bool:
        """Do tasks until none waits, or for a stint; whether more may wait. Then say what ended in nobody's hands."""
        end = time.monotonic() + STINT
        while time.monotonic() < end:
            if not self.run_one(worker):
                tell_agents(self.tasks, self.agents, self._plan)
                return False
        return True

    def run_one(self, worker: str) -> bool:
        """Do the task whose turn it is; False if none waits."""
        lease = self._settings.lease_ttl
        claimed = self.tasks.claim(self._plan.role, worker, lease)
        if claimed is None:
            return False
        agent = claimed.record.agent or self._plan.agent_name
        Attempt(self.tasks, claimed, self._handler, self.agents, agent, lease=lease, kill=_end_this_process).run()
        return True


def register(app: Celery, plan: RolePlan) -> None:
    """Give `app` the task of the role; its handler is imported here, before any process is forked."""
    bodies = RoleTasks(app.settings, plan, find_handler(plan.role, plan.handlers))

    def run(task: Any, role: str) -> None:
        try:
            with processing(task):
                has_more = bodies.run(f"{task.request.hostname}/{os.getpid()}")
            if has_more:
                with broker_errors("send a nudge"):
                    task.apply_async((role,), queue=nudge_queue(app.queue), retry=False)
        except StoreUnavailableError as error:
            logger.warning("nudge for role %s dropped, the sweep comes again: %s", plan.role, error)

    app.task(
        name=RUN,
        bind=True,
        shared=False,  # else Celery would give this task to every other app of the process
        max_retries=MAX_RETRIES,
        default_retry_delay=RETRY_DELAY,
        # Each attempt has its own limit. The message may be delivered again meanwhile: it is only a nudge.
        soft_time_limit=None,
        time_limit=2 * MAX_TIME_LIMIT,
    )(run)


def _end_this_process() -> None:
    # By force: the handler may hold whatever an orderly end would wait for. The worker starts another one.
    os.kill(os.getpid(), signal.SIGKILL)
