"""What the pre-task hook answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from swarm.services.hits import PatternHit
from swarm.services.route_advice import RouteAdvice
from swarm.sona.vectors import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAdvice:
    """Patterns, best first, and a route for a task. `trajectory_id` is passed to the post-task hook.

    `is_fresh` is False when Redis was away: the patterns are then those that this process last saw.
    """

    trajectory_id: str
    text: str
    task_type: str
    patterns: tuple[PatternHit, ...]
    route: RouteAdvice | None
    is_fresh: bool
    query: Vector = field(repr=False)
    """The embedding of the task in base space, of shape (d,) ..."""
    adapted: Vector = field(repr=False)
    """... and as the adapters bent it, which is what the patterns were ranked by; both are (0,) of what a gateway
    answered, where they stay."""

    @property
    def best(self) -> PatternHit | None:
        """The pattern that past outcomes speak for most."""
        return self.patterns[0] if self.patterns else None
