"""What reaches the terminal holds no secret of this process's environment; see `swarm.store.redact`."""

from __future__ import annotations

import os

from swarm.store import redact as secrets

HIDDEN = secrets.HIDDEN


def redact(text: str, url: str | None = None) -> str:
    """`text` without secrets; the URL is by default that of the environment.

    >>> redact("cannot reach redis://:s3cret@host", "redis://:s3cret@host")
    'cannot reach redis://:***@host'
    """
    return secrets.redact(text, url if url is not None else os.environ.get("SWARM_REDIS_URL", ""))
