"""What somebody says of a route before it was tried: the published form {name, cost, quality, speed}."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.sona.routing.model import RoutePrior
from swarm.sona.routing.request import MAX_COST_USD, check_route
from swarm.sona.vectors import check_number

SLOWEST_MS = 10_000.0
"""What a speed of 0 stands for until a latency was measured; a speed of 1 stands for none at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredRoute:
    """A model, tool, prompt, agent or variant. Cost in USD per task; quality and speed in 0..1; None if unsaid."""

    name: str
    cost: float | None = None
    quality: float | None = None
    speed: float | None = None

    def prior(self) -> RoutePrior:
        """As what the router begins with; outcomes outweigh it soon.

        >>> DeclaredRoute(name="small", cost=0.01, quality=0.8, speed=0.95).prior().latency_ms
        500.0
        """
        latency_ms = None if self.speed is None else round(SLOWEST_MS * (1.0 - self.speed), 6)
        return RoutePrior(quality=self.quality, cost=self.cost, latency_ms=latency_ms)


def check_declared(declared: DeclaredRoute) -> DeclaredRoute:
    """The declaration, if its values are within their bounds.

    Raises
    ------
    InputError
        If one is not.
    """
    check_route(declared.name, "name")
    if declared.cost is not None:
        check_number(declared.cost, "cost", 0.0, MAX_COST_USD)
    if declared.quality is not None:
        check_number(declared.quality, "quality", 0.0, 1.0)
    if declared.speed is not None:
        check_number(declared.speed, "speed", 0.0, 1.0)
    return declared
