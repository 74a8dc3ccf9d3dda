"""One attempt at one task: hooks around it, the lease under it, its limits above it."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from swarm.errors import CapacityError, InputError, StoreUnavailableError
from swarm.services.tasks import ClaimedTask, Tasks
from swarm.store.tasks import Hold
from swarm.telemetry.about import about
from swarm.telemetry.logs import told
from swarm.wire.task_records import encode_result
from swarm_workers.handlers import Handler, Permanent, Retry, Stopped, Task
from swarm_workers.hooks import Agents, Hooks
from swarm_workers.messages import invoking

logger = logging.getLogger(__name__)
_INSIST_POLL = 0.2


class Attempt:
    """Runs a handler on a task that this process has claimed, and ends the task by what comes of it.

    A thread renews the lease while the handler runs. When the time limit is over the attempt has failed, and `kill` is
    called, because nothing else ends a function for sure; so it is when the handler goes on for another lease after the
    task was cancelled or lost.

    Parameters
    ----------
    agent : who does it
    kill : ends this process and does not return
    """

    def __init__(
        self,
        tasks: Tasks,
        claimed: ClaimedTask,
        handler: Handler,
        agents: Agents,
        agent: str,
        *,
        lease: float,
        kill: Callable[[], object],
    ) -> None:
        self._tasks, self._claimed, self._handler = tasks, claimed, handler
        self._agents, self._agent = agents, agent
        self._lease = lease
        self._kill = kill
        self._hold = Hold.RUNNING
        self._done = threading.Event()
        # Whoever takes it ends the attempt: the thread that runs the handler, or the one that keeps the lease.
        self._end = threading.Lock()
        self._hooks: Hooks | None = None
        self._task: Task | None = None
        self._span = invoking(tasks.swarm, agent, claimed)

    def run(self) -> None:
        """Do it. What the handler raises ends here, but for a request to end this process."""
        keeper = threading.Thread(target=self._keep, name=f"lease {self._claimed.id}", daemon=True)
        keeper.start()
        try:
            with self._span, about(agent=self._agent, task_id=self._claimed.id, trajectory_id=self._claimed.report_key):
                self._run()
        finally:
            self._done.set()
            keeper.join()

    def _run(self) -> None:
        record, claimed = self._claimed.record, self._claimed
        self._hooks = Hooks(self._agents, self._agent, claimed)
        self._task = task = Task(
            id=claimed.id,
            role=record.role,
            text=record.text,
            payload=record.payload,
            agent=self._agent,
            attempt=claimed.attempts,
            advice=self._hooks.before(),
            tell=self._tell,
        )
        try:
            result = self._handler(task)
        except Stopped as error:
            self._failed(error, retry=True)
        except Permanent as error:
            self._failed(error, retry=False)
        except Retry as error:
            self._failed(error, retry=True, delay=error.delay)
        except Exception as error:
            content = {"content": _why(error)}
            logger.warning("task %s, attempt %d failed", claimed.id, claimed.attempts, exc_info=True, extra=content)
            self._failed(error, retry=True)
        except BaseException as error:
            self._failed(error, retry=True)
            raise
        else:
            self._succeeded(task, result)

    def _succeeded(self, task: Task, result: Any) -> None:
        try:
            encode_result(result)
        except (InputError, CapacityError) as error:
            # Made once more it would be no better.
            self._failed(error, retry=False)
            return
        if not self._end.acquire(blocking=False):
            return
        self._renew()
        assert self._hooks is not None
        if self._hold is Hold.RUNNING:
            # First the outcome, then the result: if this process dies between them, the task runs again, and its
            # outcome has the same key. The other way round it would be lost.
            self._hooks.report(task, 1.0 if task.quality is None else task.quality, result)
        else:
            self._hooks.abandon()
        self._insist(lambda: self._tasks.succeed(self._claimed, result))
        self._hooks.flush(self._lease)

    def _failed(self, error: BaseException, *, retry: bool, delay: float | None = None) -> bool:
        """End a failed attempt; False if it has come to another end already."""
        if not self._end.acquire(blocking=False):
            return False
        self._span.failed(type(error).__name__)
        self._renew()
        if self._hooks is not None:
            is_last = not retry or self._claimed.attempts >= self._claimed.record.max_attempts
            if is_last and self._hold is Hold.RUNNING and self._task is not None:
                self._hooks.report(self._task, 0.0)
            else:
                self._hooks.abandon()
        self._insist(lambda: self._tasks.fail(self._claimed, _why(error), retry=retry, delay=delay))
        if self._hooks is not None:
            self._hooks.flush(self._lease)
        return True

    def _tell(self, fraction: float, note: str) -> bool:
        if self._hold is Hold.RUNNING:
            # While Redis is away nobody reads it, and nobody can have cancelled anything.
            with suppress(StoreUnavailableError):
                self._hold = self._tasks.progress(self._claimed, self._lease, fraction, note)
        return self._hold is Hold.RUNNING

    def _renew(self) -> None:
        with suppress(StoreUnavailableError):
            self._hold = self._tasks.renew(self._claimed, self._lease)

    def _keep(self) -> None:
        """Hold the lease while the handler runs; end the process when it runs on though it must not."""
        record = self._claimed.record
        limit, stop_at = time.monotonic() + record.time_limit, math.inf
        while not self._done.wait(max(0.0, min(self._lease / 3.0, limit - time.monotonic()))):
            now = time.monotonic()
            if now >= limit:
                if self._failed(_OverTime(f"time limit of {record.time_limit:g} s"), retry=True):
                    break
                # It has just come to its end by itself, and is about to say so.
                limit = math.inf
            elif self._hold is Hold.RUNNING:
                self._renew()
            elif now >= (stop_at := min(stop_at, now + self._lease)):
                break
        else:
            return
        about_it = {"task_id": self._claimed.id, "agent": self._agent}
        logger.error("it runs on though it must not: ending process %d", os.getpid(), extra=about_it)
        self._kill()

    def _insist(self, call: Callable[[], object]) -> None:
        deadline = time.monotonic() + self._lease
        while True:
            try:
                call()
                return
            except StoreUnavailableError as error:
                if time.monotonic() >= deadline:
                    logger.warning("the task cannot be ended, it will run again: %s", told(error))
                    return
                time.sleep(_INSIST_POLL)


class _OverTime(Exception):
    """Stands for an attempt that took too long."""


def _why(error: BaseException) -> str:
    if isinstance(error, Stopped):
        return "stopped"
    kind = "" if isinstance(error, Permanent | Retry | _OverTime) else f"{type(error).__name__}: "
    return f"{kind}{error}"
