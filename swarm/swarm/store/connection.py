"""The connection to Redis, and the one place where its errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from swarm.errors import InputError, RecordError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.redact import redact
from swarm.wire.keys import SwarmKeys
from swarm.wire.schema import RESTORING_FIELD, SCHEMA_FIELD, refuse_unreadable

Client: TypeAlias = redis.Redis
"""A client that answers bytes."""


class _Greeting:
    """What a client does with each new connection: greet as usual, look whether the swarm can be read, and count."""

    def __init__(self, keys: SwarmKeys | None) -> None:
        self._keys = keys
        self.count = 0

    def __call__(self, connection: AbstractConnection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        if self._keys is not None:
            _refuse_unreadable(self._keys, connection)
        self.count += 1


def connect(settings: Settings, *, is_checked: bool = True) -> Client:
    """A lazy client; nothing is sent before its first command.

    A command that got no answer is tried once more on a fresh connection: every write of this project is
    idempotent or checked, so a doubled command has one effect. A swarm of a newer schema is refused with every new
    connection, before any other command (`NewerRecordError`), and so is one that is half restored, unless `is_checked`
    is False: then the caller looks for itself.

    Raises
    ------
    InputError
        If the URL cannot be used; it is not shown, because it may hold a password.
    """
    try:
        return redis.Redis.from_url(
            settings.broker_url,
            socket_timeout=settings.socket_timeout,
            socket_connect_timeout=min(2.0, settings.socket_timeout),
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[redis.ConnectionError],
            redis_connect_func=_Greeting(SwarmKeys(settings.name) if is_checked else None),
        )
    except (ValueError, TypeError):
        raise InputError("redis_url must be a redis://, rediss:// or unix:// URL that redis-py can use") from None


def _refuse_unreadable(keys: SwarmKeys, connection: Any) -> None:
    connection.send_command("HMGET", keys.meta, SCHEMA_FIELD, RESTORING_FIELD)
    schema, restoring = connection.read_response()
    try:
        refuse_unreadable(keys.swarm, schema, restoring)
    except RecordError:
        # redis-py takes a connection that has a socket for one that is ready.
        connection.disconnect()
        raise


@contextmanager
def redis_errors(action: str) -> Iterator[None]:
    """Map every error of redis-py inside the block; `action` says what could not be done.

    Raises
    ------
    StoreUnavailableError
        If Redis is away, too slow, loading, read-only or full.
    """
    try:
        yield
    except redis.RedisError as error:
        raise unavailable(action, error) from shown_cause(error)


def unavailable(action: str, error: Exception) -> StoreUnavailableError:
    """The error for what another library raised while `action` was tried, without secrets."""
    return StoreUnavailableError(redact(f"cannot {action}: {type(error).__name__}: {error}"))


def shown_cause(error: Exception) -> Exception | None:
    """The error as the cause of ours; None if a traceback would show secrets by it."""
    link: BaseException | None = error
    while link is not None:
        if redact(str(link)) != str(link):
            return None
        link = link.__cause__ or link.__context__
    return error


def connections_made(client: Client) -> int:
    """How many connections a client of `connect` has made: as long as this stays, its Redis was not restarted.

    redis-py connects anew by itself, so nothing else tells.
    """
    greeting = client.connection_pool.connection_kwargs.get("redis_connect_func")
    return greeting.count if isinstance(greeting, _Greeting) else 0


def clock_s(client: Client) -> float:
    """The time by Redis's clock, in seconds since the epoch: the only one that all hosts share."""
    with redis_errors("read Redis's clock"):
        seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)
