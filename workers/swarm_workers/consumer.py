"""Celery's consumer, but back soon after Redis is."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer

_RETRY_INTERVAL = 1.0


class SwarmConsumer(Consumer):  # type: ignore[misc]  # celery ships no type information
    """Tries to connect once a second.

    Celery would wait longer and longer, up to half a minute: so long a worker would take no task and give no heartbeat
    after Redis has come back, and look as if it were stuck.
    """

    def ensure_connected(self, conn: Any) -> Any:
        """A connection to the broker, however long it takes."""
        ensure = conn.ensure_connection

        def ensure_steadily(*args: Any, **kwargs: Any) -> Any:
            interval = {"interval_start": _RETRY_INTERVAL, "interval_step": 0, "interval_max": _RETRY_INTERVAL}
            return ensure(*args, **{**kwargs, **interval})

        conn.ensure_connection = ensure_steadily
        return super().ensure_connected(conn)
