"""Publishing nudges from the consumer loop without ever holding the loop up."""

from __future__ import annotations

from typing import Any

from celery import Celery

from swarm.errors import StoreUnavailableError
from swarm.wire.keys import SwarmKeys
from swarm_workers.app import CONSOLIDATE, EXPIRE, MERGE, RUN, nudge_queue
from swarm_workers.broker import broker_errors, impatient_connection
from swarm_workers.messages import headers_of, sending


class Dispatcher:
    """Sends tasks by name over a connection of its own, which gives up after a short time."""

    def __init__(self, app: Celery, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._producer: Any = None

    def __call__(self, task: str, whose: str) -> None:
        """Publish a nudge: `task` is "consolidate" or "expire" with an agent, "merge", or "run" with a role.

        Raises
        ------
        StoreUnavailableError
            If the broker is away.
        """
        try:
            self._send(task, whose)
        except StoreUnavailableError:
            # After a restart of Redis the first command on the old socket fails; a nudge may go out twice.
            self.close()
            self._send(task, whose)

    def close(self) -> None:
        """Drop the connection; the next nudge makes a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with broker_errors("close the connection"):
                producer.connection.release()

    def _send(self, task: str, whose: str) -> None:
        name = {"consolidate": CONSOLIDATE, "merge": MERGE, "expire": EXPIRE, "run": RUN}[task]
        args = () if task == "merge" else (whose,)
        keys = SwarmKeys(self._app.settings.name)
        queue = nudge_queue(keys.role_queue(whose) if task == "run" else keys.queue)
        with broker_errors(f"send task {name}"), sending(name, queue.name) as sent:
            if self._producer is None:
                connection = impatient_connection(self._app, self._timeout_s)
                self._producer = self._app.amqp.Producer(connection, auto_declare=False)
            self._app.send_task(
                name, args=args, queue=queue, producer=self._producer, retry=False, headers=headers_of(sent)
            )
