"""Commands to one running worker, over Celery's remote control."""

from __future__ import annotations

from typing import Any

from celery import Celery

from swarm_workers.app import RESIZE
from swarm_workers.broker import broker_errors, impatient_connection

_REPLY_TIMEOUT = 2.0
"""A worker that listens answers within milliseconds."""


class WorkerControl:
    """Sends commands to one worker. A command is lost if the worker does not listen: look at its heartbeat after.

    Every method raises `StoreUnavailableError` when the broker is away, and returns whether the worker
    has answered that it obeys.
    """

    def __init__(self, app: Celery, worker: str, timeout_s: float) -> None:
        self._app = app
        self._worker = worker
        self._timeout_s = timeout_s

    def resize(self, n: int) -> bool:
        """Have `n` child processes; busy ones that are too many go on, until this is sent again."""
        return self._send(RESIZE, n=n)

    def pause(self, queue: str) -> bool:
        """Take no more tasks from `queue`."""
        return self._send("cancel_consumer", queue=queue)

    def resume(self, queue: str) -> bool:
        """Take tasks from `queue` again."""
        return self._send("add_consumer", queue=queue)

    def _send(self, command: str, **arguments: Any) -> bool:
        with (
            broker_errors(f"send {command} to {self._worker}"),
            impatient_connection(self._app, self._timeout_s) as connection,
        ):
            replies = self._app.control.broadcast(
                command,
                arguments=arguments,
                destination=[self._worker],
                connection=connection,
                reply=True,
                timeout=min(_REPLY_TIMEOUT, self._timeout_s),
            )
        return any("ok" in answer for reply in replies or [] for answer in reply.values())
