"""Looks at a swarm again and again; what it saw last stays while Redis is away."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from swarm.errors import RateLimitError, StoreUnavailableError
from swarm.services.guard import GuardedSwarm
from swarm.services.status import SwarmStatus
from swarm.settings import Settings
from swarm_cli.top.gateway import GatewayLook, look_at_gateway
from swarm_cli.top.pace import Pace


@dataclass(slots=True)
class Watch:
    """A swarm as it was seen last, and the gateway of this machine."""

    settings: Settings
    swarm: GuardedSwarm
    status: SwarmStatus
    at_s: float
    """When it was so, in seconds since the epoch."""
    gateway: GatewayLook | None
    pace: Pace = field(default_factory=Pace)
    alarm: str = ""
    """Why the last look failed; empty when it did not."""

    @classmethod
    def begin(cls, settings: Settings, swarm: GuardedSwarm) -> Watch:
        """Look for the first time.

        Raises
        ------
        StoreUnavailableError
            If Redis cannot be reached: there is nothing to show.
        """
        watch = cls(settings, swarm, swarm.status(), time.time(), look_at_gateway(settings))
        watch.pace.add(watch.status, time.monotonic())
        return watch

    def look(self) -> None:
        """Look again. Redis that is away, or calls that are too many, are shown and not raised."""
        self.gateway = look_at_gateway(self.settings)
        try:
            self.status = self.swarm.status()
        except (StoreUnavailableError, RateLimitError) as error:
            self.alarm = f"as of {time.strftime('%H:%M:%S', time.localtime(self.at_s))}: {error}"
            return
        self.alarm, self.at_s = "", time.time()
        self.pace.add(self.status, time.monotonic())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: the state, with the rates per second, None before the second look."""
        rates = self.pace.rates
        return {
            "swarm": self.status.name,
            "at_s": self.at_s,
            "error": self.alarm or None,
            "gateway": None if self.gateway is None else self.gateway.as_dict(),
            "rates": None if rates is None else rates.as_dict(),
            "status": self.status.as_dict(),
        }
