"""A task under `Agent.task`, and what counts as its quality."""

from __future__ import annotations

import numpy as np

from swarm.errors import InputError, shown
from swarm.services.hits import PatternHit
from swarm.sona.vectors import check_number
from swarm_agents.advice import TaskAdvice


class Task:
    """What a block under `Agent.task` can say about itself; all of it may be left out."""

    __slots__ = ("advice", "cost", "output", "pattern", "quality", "route")

    def __init__(self, advice: TaskAdvice) -> None:
        self.advice = advice
        self.pattern: PatternHit | None = None
        self.output = ""
        self.quality: float | None = None
        self.route = ""
        self.cost = 0.0

    def used(self, pattern: PatternHit | None) -> None:
        """Name the pattern that was followed."""
        self.pattern = pattern


def quality_of(success: bool | None, quality: float | None) -> float:
    """The quality in [0, 1] of an outcome that is told as one of the two.

    >>> quality_of(True, None), quality_of(None, 0.7)
    (1.0, 0.7)
    """
    if (success is None) == (quality is None):
        raise InputError("give exactly one of success and quality")
    if success is None:
        return check_number(quality, "quality", 0.0, 1.0)
    if not isinstance(success, bool | np.bool_):
        raise InputError(f"success must be True or False, got {shown(success, 40)}")
    return 1.0 if success else 0.0
