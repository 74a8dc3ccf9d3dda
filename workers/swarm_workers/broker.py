"""Redis as Celery's broker: the URL and the keys as kombu wants them, and connections that give up soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import redis
from celery import Celery
from kombu.exceptions import KombuError

from swarm.errors import InputError
from swarm.settings import Settings
from swarm.store.connection import shown_cause, unavailable
from swarm.wire.keys import SwarmKeys


def kombu_url(url: str) -> str:
    """`url` of redis-py as kombu wants it: the same server, user, password, database and TLS options.

    kombu takes any other query option (`protocol`, `socket_timeout`, ...) for an argument of its own and
    fails, so they are dropped; and without `ssl_cert_reqs` it would not check the server's certificate,
    where redis-py does.

    >>> kombu_url("unix:///run/redis.sock?db=2")
    'redis+socket:///run/redis.sock?virtual_host=2'
    >>> kombu_url("rediss://:pw@redis.example:6390/1?protocol=3")
    'rediss://:pw@redis.example:6390/1?ssl_cert_reqs=required'
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    server = _credentials(parts.netloc, options) + parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        return f"redis+socket://{server}{parts.path}?virtual_host={options.get('db', '0')}"
    if parts.scheme not in ("redis", "rediss"):
        raise InputError(f"the Redis URL must begin with redis://, rediss:// or unix://, got {parts.scheme!r:.20}")
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    if parts.scheme == "rediss":
        tls.setdefault("ssl_cert_reqs", "required")
    database = options.get("db") or parts.path.strip("/") or "0"
    return f"{parts.scheme}://{server}/{database}" + (f"?{urlencode(tls)}" if tls else "")


def key_prefix(settings: Settings) -> str:
    """What every key of kombu begins with: the hash tag of the swarm, so that they share one slot."""
    return SwarmKeys(settings.name).broker_prefix


def queue_key(settings: Settings) -> str:
    """Key of the list that holds the waiting messages."""
    return SwarmKeys(settings.name).broker_queue


def impatient_connection(app: Celery, timeout_s: float) -> Any:
    """A lazy connection to the broker that fails after one try; kombu's own default is to try for ever."""
    return app.connection_for_write(
        transport_options={
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
            "interval_max": 0,
        }
    )


@contextmanager
def broker_errors(action: str) -> Iterator[None]:
    """Map every error of kombu and its transport inside the block; `action` says what could not be done.

    Raises
    ------
    StoreUnavailableError
        If the broker, which is the same Redis as the store, is away.
    """
    try:
        yield
    except (KombuError, redis.RedisError, OSError) as error:
        raise unavailable(action, error) from shown_cause(error)


def _credentials(netloc: str, options: dict[str, str]) -> str:
    # redis-py takes user and password from the query too; what stands before the host wins.
    given, _, _ = netloc.rpartition("@")
    if given:
        return given + "@"
    user, password = options.get("username", ""), options.get("password", "")
    return f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
