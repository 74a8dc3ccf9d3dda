"""How often a call is tried, and when again."""

from __future__ import annotations

import time
from dataclasses import dataclass

from swarm.errors import GatewayUnavailableError, QueueFullError, RateLimitError, StoreUnavailableError, SwarmError
from swarm_agents.client.conversation import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that a hook, and anything else, may take in all, and how often the latter is tried again."""

    hook_timeout: float = 2.0
    timeout: float = 10.0
    retries: int = 3

    def of(self, call: Call) -> float:
        """How long this call may take."""
        return self.hook_timeout if call.is_hook else self.timeout + call.wait


DEFAULT_PATIENCE = Patience()


class Attempts:
    """The tries of one call."""

    def __init__(self, call: Call, patience: Patience) -> None:
        self._call = call
        self._left = 0 if call.is_hook else patience.retries
        self._deadline = time.monotonic() + patience.of(call)
        self._pause_s = 0.05

    @property
    def timeout(self) -> float:
        """How long the next one may take."""
        return max(0.001, self._deadline - time.monotonic())

    def pause(self, error: SwarmError) -> float:
        """Seconds until the next try after `error`, which is raised if there is to be none."""
        wait_s = self._wait(error)
        if wait_s is None or self._left == 0 or time.monotonic() + wait_s >= self._deadline:
            raise error
        self._left -= 1
        self._pause_s *= 2.0
        return wait_s

    def _wait(self, error: SwarmError) -> float | None:
        if isinstance(error, QueueFullError | RateLimitError):
            # Nothing was done, and it says when there is room.
            return max(self._pause_s, error.retry_after_s)
        if isinstance(error, GatewayUnavailableError) and not error.was_sent:
            return self._pause_s
        return self._pause_s if isinstance(error, StoreUnavailableError) and self._call.is_idempotent else None
