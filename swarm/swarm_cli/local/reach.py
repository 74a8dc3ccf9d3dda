"""What a command that needs Redis says when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from swarm.errors import StoreUnavailableError
from swarm.settings import Settings


@contextmanager
def reachable(settings: Settings) -> Iterator[None]:
    """Add to an error about Redis inside the block what to do about it.

    Raises
    ------
    StoreUnavailableError
        The same error, with the remedy.
    """
    try:
        yield
    except StoreUnavailableError as error:
        reason = str(error).rstrip(".")
        if settings.redis_url:
            message = f"{reason}: is SWARM_REDIS_URL right? `swarm doctor` says more"
        elif settings.socket_path.exists():
            message = f"{reason}: `swarm up` mends it"
        else:
            message = f"no Redis runs under {settings.state_dir}: start it with `swarm up`"
        raise StoreUnavailableError(message) from error
