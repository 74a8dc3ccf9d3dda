"""The address of Redis: checked before anything uses it, and as it may be shown."""

from __future__ import annotations

import redis

from swarm.errors import InputError
from swarm.settings import Settings


def check_redis_url(url: str | None) -> None:
    """Refuse a URL that redis-py cannot use; none, or an empty one, means the embedded Redis.

    Raises
    ------
    InputError
        The message never quotes the URL: it may hold a password.
    """
    if not url:
        return
    try:
        client = redis.Redis.from_url(url)
        # Makes the object and connects to nothing; it is where an unknown option of the URL is noticed.
        client.connection_pool.make_connection()
    except (ValueError, TypeError):
        # `from None`: the message of the cause may quote a part of the URL.
        raise InputError(
            "SWARM_REDIS_URL must be redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], the same with rediss://, or "
            "unix:///PATH; reserved characters in a password are percent-encoded"
        ) from None


def shown_url(settings: Settings) -> str:
    """Where Redis is, without user, password and options.

    >>> shown_url(Settings(redis_url="redis://me:s3cret@db.example:6380/1?protocol=3"))
    'redis://db.example:6380/1'
    """
    if not settings.redis_url:
        return str(settings.socket_path)
    parts = redis.Redis.from_url(settings.redis_url).get_connection_kwargs()
    if "path" in parts:
        return f"unix://{parts['path']}"
    scheme = settings.redis_url.partition("://")[0]
    host = str(parts.get("host", "localhost"))
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{parts.get('port', 6379)}/{parts.get('db', 0)}"
