"""The gateway of this machine as `swarm top` shows it: what it says of itself."""

from __future__ import annotations

import http.client
from dataclasses import asdict, dataclass
from typing import Any

from swarm.settings import Settings
from swarm_cli.local.checks_gateway import ask
from swarm_cli.local.gateway import find_gateway
from swarm_cli.output import count


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLook:
    """Where it is, the agents in its memory, the outcomes in their spools; `fault` is empty when it answers."""

    url: str
    engines: int = 0
    spooled: int = 0
    fault: str = ""

    def __str__(self) -> str:
        if self.fault:
            return f"gateway {self.url} does not answer: {self.fault}"
        waits = f", {count(self.spooled, 'outcome')} in spools" if self.spooled else ""
        return f"gateway {self.url}, {count(self.engines, 'agent')} in memory{waits}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def look_at_gateway(settings: Settings) -> GatewayLook | None:
    """Ask the gateway of this swarm on this machine; None if none runs."""
    if (found := find_gateway(settings)) is None:
        return None
    try:
        health = ask(found, "/health")
        return GatewayLook(url=found.url, engines=int(health["engines"]), spooled=int(health["spooled"]))
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        return GatewayLook(url=found.url, fault=f"{type(error).__name__}: {error}")
