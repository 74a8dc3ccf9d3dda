"""The Celery app: every setting that keeps work from being lost, each with its reason."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from swarm.settings import Settings
from swarm.wire.keys import SwarmKeys
from swarm_workers.broker import key_prefix, kombu_url

CONSOLIDATE = "swarm.consolidate"
MERGE = "swarm.merge"
EXPIRE = "swarm.expire"
RUN = "swarm.run"
RESIZE = "swarm_resize"
"""The command of our own that workers obey, see `remote`."""

SOFT_TIME_LIMIT = 120.0
"""A task still running after so long gets an exception ..."""
TIME_LIMIT = 150.0
"""... and after so long its process is killed."""
VISIBILITY_TIMEOUT = 2 * TIME_LIMIT
"""An unacknowledged message is delivered again after so long. No task may run longer, or it would run twice."""
MAX_RETRIES = 2
"""A task that kills its process is tried so often again, and no more; the sweep finds its work anyway."""
RETRY_DELAY = 1.0
SOFT_SHUTDOWN_TIMEOUT = 10.0


class SwarmCelery(Celery):  # type: ignore[misc]  # celery ships no type information
    """A Celery app that knows the settings it was made from."""

    settings: Settings
    queue: str
    """The queue that its workers take from."""
    role: str
    """Whose tasks they do; empty for those of the background."""


def create_app(settings: Settings, role: str = "") -> Celery:
    """A Celery app for one swarm, or for the tasks of one role. It has no tasks and connects to nothing yet."""
    app = SwarmCelery("swarm", set_as_current=False)
    app.settings, app.role = settings, role
    keys = SwarmKeys(settings.name)
    app.queue = keys.role_queue(role)
    app.conf.update(_broker(settings) | _tasks(settings) | _worker())
    if role:
        app.conf.update(task_queues=[nudge_queue(app.queue)], task_default_queue=app.queue)
    return app


def nudge_queue(name: str) -> Queue:
    """A queue of nudges, whether or not this app takes from it."""
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]  # kombu leaves it untyped
    return Queue(name, exchange, routing_key=name)  # type: ignore[no-untyped-call]  # kombu leaves it untyped


def _broker(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": kombu_url(settings.broker_url),
        "result_backend": None,  # receipts are ours: a client's result backend can get stuck after a Redis restart
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # for ever: a worker outlives any outage of Redis
        "broker_transport_options": {
            "global_keyprefix": key_prefix(settings),
            "visibility_timeout": VISIBILITY_TIMEOUT,
            # kombu looks for overdue messages every interval x throttle seconds, 100 by default.
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            # Without it publishing to a frozen Redis would wait for ever.
            "socket_timeout": settings.socket_timeout,
            "socket_connect_timeout": min(2.0, settings.socket_timeout),
            "health_check_interval": 5,
        },
        "result_backend_transport_options": {"visibility_timeout": VISIBILITY_TIMEOUT},
        "visibility_timeout": VISIBILITY_TIMEOUT,
    }


def _tasks(settings: Settings) -> dict[str, Any]:
    return {
        "task_serializer": "msgpack",
        "result_serializer": "msgpack",
        "accept_content": ["msgpack"],  # never pickle; remote control is covered by `accept_content` too
        "result_accept_content": ["msgpack"],
        "task_ignore_result": True,
        "task_default_queue": SwarmKeys(settings.name).queue,
        "task_create_missing_queues": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_retry_on_worker_lost": True,  # counts the tries; rejecting alone would loop for ever
        "task_soft_time_limit": SOFT_TIME_LIMIT,
        "task_time_limit": TIME_LIMIT,
    }


def _worker() -> dict[str, Any]:
    return {
        "worker_consumer": "swarm_workers.consumer:SwarmConsumer",
        "worker_prefetch_multiplier": 1,
        # With remote control off a worker goes deaf after a Redis restart under load: its pub/sub socket is
        # what notices the lost connection.
        "worker_enable_remote_control": True,
        "worker_send_task_events": False,
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_TIMEOUT,
    }
