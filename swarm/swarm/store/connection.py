"""The connection to Redis, and the one place where its errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from swarm.errors import InputError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.redact import redact

Client: TypeAlias = redis.Redis
"""A client that answers bytes."""


def connect(settings: Settings) -> Client:
    """A lazy client; nothing is sent before its first command.

    A command that got no answer is tried once more on a fresh connection: every write of this project is
    idempotent or checked, so a doubled command has one effect.

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
        )
    except (ValueError, TypeError):
        raise InputError("redis_url must be a redis://, rediss:// or unix:// URL that redis-py can use") from None


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


def clock_s(client: Client) -> float:
    """The time by Redis's clock, in seconds since the epoch: the only one that all hosts share."""
    with redis_errors("read Redis's clock"):
        seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)
