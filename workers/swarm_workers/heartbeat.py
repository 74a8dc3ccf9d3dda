"""The heartbeat and the sweep, both driven by the timer of the consumer loop.

A worker has been seen alive and deaf, so that a running process proves nothing: what counts is that the loop
which takes tasks from the queue still turns. It says so here about once a second, and looks for due work.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import psutil
from celery import Celery, bootsteps
from celery.worker import state
from celery.worker.consumer.control import Control
from celery.worker.consumer.tasks import Tasks

from swarm.store.connection import connect
from swarm.store.workers import WorkerBeat, WorkerRegistry, pool_name
from swarm.wire.keys import SwarmKeys
from swarm_workers.dispatch import Dispatcher
from swarm_workers.guard import Guard
from swarm_workers.reclaim import Reclaim
from swarm_workers.sweep import Sweeper
from swarm_workers.task_sweep import TaskSweeper
from swarm_workers.wakeups import Wakeups

BEAT_INTERVAL = 1.0
PRUNE_INTERVAL = 60.0
LOOP_TIMEOUT = 0.3
"""How long one call to Redis may hold the consumer loop up; it is made twice at most."""
DEAF_AFTER = 5.0
_FIRST_BEAT_DELAY = 0.1


class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]  # celery ships no type information
    """Bootstep of the consumer; it is started and stopped anew with every connection to the broker."""

    requires = (Tasks, Control)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        settings = consumer.app.settings.model_copy(update={"socket_timeout": LOOP_TIMEOUT})
        client = connect(settings)
        self._registry = WorkerRegistry(client, SwarmKeys(settings.name))
        dispatch = Dispatcher(consumer.app, LOOP_TIMEOUT)
        self._sweeper = Sweeper(settings, client, dispatch, consumer.hostname)
        self._task_sweeper = TaskSweeper(settings, client, dispatch, consumer.hostname)
        self._wakeups = Wakeups(settings, client, dispatch, consumer.app.role) if consumer.app.role else None
        self._beating, self._sweeping, self._pruning = Guard("heartbeat"), Guard("sweep"), Guard("pruning")
        self._tending, self._reclaiming = Guard("sweep of the tasks"), Guard("reclaiming of tasks")
        self._reclaim = Reclaim(settings, client, consumer.hostname)
        self._started_s = psutil.Process().create_time()
        self._stuck_since: float | None = None
        self._timers: list[Any] = []

    def start(self, consumer: Any) -> None:
        """Begin to beat. The first beat waits until the loop turns and listens to remote control."""
        timer, interval = consumer.timer, consumer.app.settings.sweep_interval
        self._stuck_since = None
        self._timers = [
            timer.call_after(_FIRST_BEAT_DELAY, self._beat, (consumer,)),
            timer.call_repeatedly(BEAT_INTERVAL, self._beat, (consumer,)),
            timer.call_repeatedly(interval, self._tending.run, (self._task_sweeper.sweep,)),
            timer.call_repeatedly(PRUNE_INTERVAL, self._pruning.run, (self._prune,)),
        ]
        if consumer.app.role:
            self._timers.append(timer.call_repeatedly(BEAT_INTERVAL, self._reclaiming.run, (self._reclaim.run,)))
        else:
            # Where only pools of roles run, nobody would take the nudges for the background.
            self._timers.append(timer.call_repeatedly(interval, self._sweeping.run, (self._sweeper.sweep,)))

    def stop(self, consumer: Any) -> None:
        """The connection is lost, or the worker begins to end; then it beats on until its tasks are finished."""
        self._cancel(consumer)
        if not _is_running(consumer):
            self._timers = [consumer.timer.call_repeatedly(BEAT_INTERVAL, self._beat, (consumer,))]

    def shutdown(self, consumer: Any) -> None:
        """The worker has ended in good order."""
        self._cancel(consumer)
        self._beating.run(lambda: self._registry.forget(consumer.hostname))

    def _cancel(self, consumer: Any) -> None:
        if self._wakeups is not None:
            self._wakeups.close(consumer)
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def _beat(self, consumer: Any) -> None:
        if self._wakeups is not None and _is_consuming(consumer):
            self._wakeups.listen(consumer)
        self._beating.run(lambda: self._registry.beat(self._observe(consumer)))
        self._reconnect_when_deaf(consumer)

    def _observe(self, consumer: Any) -> WorkerBeat:
        host = consumer.hostname.partition("@")[2]
        active = len(state.active_requests)
        return WorkerBeat(
            name=consumer.hostname,
            pool=pool_name(consumer.hostname),
            host=host or socket.gethostname(),
            pid=os.getpid(),
            concurrency=_children(consumer),
            active=active,
            reserved=len(state.reserved_requests),
            done=state.all_total_count[0] - active,
            consuming=_is_consuming(consumer),
            started_s=self._started_s,
            beat_s=time.time(),
            reconnects=consumer.restart_count,
            outages=max(self._beating.outages, self._sweeping.outages, self._tending.outages),
            fault=self._sweeping.fault or self._tending.fault,
            role=consumer.app.role,
        )

    def _prune(self) -> None:
        self._registry.prune(time.time())

    def _reconnect_when_deaf(self, consumer: Any) -> None:
        """End the connection when the prefetch count is full of messages that nobody works on.

        That is how a worker goes deaf: acknowledgements failed while Redis restarted, so their messages count
        as taken for ever, and the queue is never read again.
        """
        idle = not state.reserved_requests and not state.scheduled_requests
        if not (_is_consuming(consumer) and idle and not consumer.task_consumer.channel.qos.can_consume()):
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = time.monotonic()
        elif time.monotonic() - self._stuck_since > DEAF_AFTER:
            # The loop takes this for a lost connection and makes a new one, with an empty prefetch count.
            raise ConnectionResetError("the prefetch count is full and no task runs: reconnecting")


def register(app: Celery) -> None:
    """Give the workers of `app` their heartbeat and sweep."""
    app.steps["consumer"].add(Heartbeat)


def _is_consuming(consumer: Any) -> bool:
    return bool(consumer.task_consumer and consumer.task_consumer.consuming_from(consumer.app.queue))


def _is_running(consumer: Any) -> bool:
    """Whether the worker means to go on; while it reconnects it does."""
    return bool(consumer.blueprint.state == bootsteps.RUN)


def _children(consumer: Any) -> int:
    """Child processes; when their number was changed, have the pool see to it now and not within five seconds."""
    pool = consumer.pool
    if _is_running(consumer) and pool.num_processes != len(pool.info["processes"]):
        pool.maintain_pool()
    return len(pool.info["processes"])
