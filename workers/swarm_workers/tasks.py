"""The three tasks, thin: the message is only a nudge, the work and its state are in the store.

A nudge that comes twice finds nothing to do; one that is lost costs delay, because the sweep sends another.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from celery import Celery

from swarm.errors import StaleWriterError, StoreUnavailableError, UnknownIdError
from swarm.services.background import Background
from swarm.settings import Settings
from swarm.telemetry.about import about
from swarm.telemetry.logs import told
from swarm_workers.app import CONSOLIDATE, EXPIRE, MAX_RETRIES, MERGE, RETRY_DELAY, SOFT_TIME_LIMIT, TIME_LIMIT
from swarm_workers.messages import processing

logger = logging.getLogger(__name__)


class BackgroundTasks:
    """The bodies of the tasks. Each child process has its copy of this object, and makes its own service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def background(self) -> Background:
        """Made at the first task, so after the fork: no two processes share a socket."""
        return Background(self._settings)

    def consolidate(self, task: Any, agent: str) -> None:
        """Consolidate what an agent has waiting."""
        # A message may come from anybody who can write to the queue.
        what = f"consolidation of {agent!r:.80}"
        with about(agent=str(agent)[:80]), processing(task), _dropped_when_unavailable(what):
            self.background.consolidate(agent, _owner(task), time.time())

    def merge(self, task: Any) -> None:
        """Merge the agents' clusters into the bank."""
        with processing(task), _dropped_when_unavailable("merge"):
            self.background.merge(_owner(task), time.time())

    def expire(self, task: Any, agent: str) -> None:
        """Let go of an agent's tasks that nobody has ended for too long."""
        what = f"expiry of tasks of {agent!r:.80}"
        with about(agent=str(agent)[:80]), processing(task), _dropped_when_unavailable(what):
            self.background.expire(agent)


def register(app: Celery) -> None:
    """Give `app` its tasks."""
    bodies = BackgroundTasks(app.settings)
    options: dict[str, Any] = {
        "bind": True,
        "shared": False,  # else Celery would give these tasks to every other app of the process
        "max_retries": MAX_RETRIES,
        "default_retry_delay": RETRY_DELAY,
        "soft_time_limit": SOFT_TIME_LIMIT,
        "time_limit": TIME_LIMIT,
    }

    # Celery wants functions: it copies attributes onto what it is given, which bound methods refuse.
    def consolidate(task: Any, agent: str) -> None:
        bodies.consolidate(task, agent)

    def merge(task: Any) -> None:
        bodies.merge(task)

    def expire(task: Any, agent: str) -> None:
        bodies.expire(task, agent)

    app.task(name=CONSOLIDATE, **options)(consolidate)
    app.task(name=MERGE, **options)(merge)
    app.task(name=EXPIRE, **options)(expire)


def _owner(task: Any) -> str:
    """Who holds the lease: one child process, not the whole worker."""
    return f"{task.request.hostname}/{os.getpid()}"


@contextmanager
def _dropped_when_unavailable(what: str) -> Iterator[None]:
    """Log and drop what the next sweep repairs: Redis is away, another worker was faster, or the agent is forgotten."""
    try:
        yield
    except UnknownIdError as error:
        # It shows the name of an agent and nothing else.
        logger.warning("%s dropped: %s", what, error)
    except (StoreUnavailableError, StaleWriterError) as error:
        logger.warning("%s dropped, the sweep comes again: %s", what, told(error))
