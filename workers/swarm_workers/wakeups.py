"""Wakes an idle pool of a role as soon as a task is submitted; the sweep, twice a second, finds what this misses.

The scripts of the ledger publish a message when a task begins to wait. The consumer loop hears it on a socket of its
own, and sends a nudge for every process that is idle. A message that is lost costs the time to the next sweep.
"""

from __future__ import annotations

from typing import Any

from celery.worker import state

from swarm.settings import Settings
from swarm.store.connection import Client, redis_errors
from swarm.store.tasks import TaskStore
from swarm.wire.keys import SwarmKeys
from swarm_workers.dispatch import Dispatcher
from swarm_workers.guard import Guard
from swarm_workers.task_sweep import wake


class Wakeups:
    """The ear of one worker for tasks of its role. It belongs to the consumer loop, and is used from there only."""

    def __init__(self, settings: Settings, client: Client, dispatch: Dispatcher, role: str) -> None:
        self._client, self._keys, self._role = client, SwarmKeys(settings.name), role
        self._store = TaskStore.of(settings, client)
        self._dispatch = dispatch
        self._guard = Guard("wake-ups")
        self._pubsub: Any = None
        self._socket: Any = None
        self._fd = -1

    def listen(self, consumer: Any) -> None:
        """Begin to listen, unless this worker does already, or its loop watches no sockets."""
        if self._pubsub is None and consumer.hub is not None:
            self._guard.run(lambda: self._subscribe(consumer))

    def close(self, consumer: Any) -> None:
        """Listen no more."""
        pubsub, fd = self._pubsub, self._fd
        self._pubsub, self._socket, self._fd = None, None, -1
        if fd >= 0:
            # By its number: redis-py may have closed the socket, which then has none any more.
            consumer.hub.remove(fd)
        if pubsub is not None:
            self._guard.run(pubsub.close)

    def _subscribe(self, consumer: Any) -> None:
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        try:
            with redis_errors(f"listen for tasks of {self._role}"):
                self._pubsub.subscribe(self._keys.wakeup(self._role))
            # As in kombu: redis-py has no public way to the socket that an event loop could watch.
            self._socket = self._pubsub.connection._sock
            self._fd = self._socket.fileno()
            consumer.hub.add_reader(self._fd, self._heard, consumer)
        except BaseException:
            self.close(consumer)
            raise

    def _heard(self, consumer: Any) -> None:
        """Something came in, or the connection is lost; whatever it is, the loop must not see an error."""
        self._guard.run(lambda: self._take(consumer))
        if self._guard.fault or self._pubsub.connection._sock is not self._socket:
            # The heartbeat makes a new connection within a second.
            self.close(consumer)

    def _take(self, consumer: Any) -> None:
        has_news = False
        with redis_errors(f"hear of tasks of {self._role}"):
            while self._pubsub.connection.can_read(timeout=0):
                has_news |= self._pubsub.get_message(timeout=0) is not None
        idle = consumer.pool.num_processes - len(state.reserved_requests)
        if has_news and idle > 0:
            waiting = self._store.waiting_of(self._role)
            wake(self._client, self._keys, self._dispatch, self._role, min(waiting, idle))
