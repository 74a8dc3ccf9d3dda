"""A step of a job: what one member does, and who has it when that member fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarm.services.topologies.members import Member
from swarm.services.topologies.report import StepFailure

Choose = Callable[[Collection[str]], Member | None]
"""Called with the agents that had a step already; answers who has it next, or None if nobody is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that one member does."""

    name: str
    text: str
    payload: Mapping[str, Any]
    choose: Choose
    attempts: int = 1
    """How many processes may die of it, or fail, before the member has failed."""
    report: bool = True
    accept: Callable[[Any], bool] = lambda result: True
    """Whether a result counts; if not, the member has declined, and the next one is asked."""
    otherwise: str = "nobody is left"
    """What happens when it has failed with everybody, in words."""


@dataclass(slots=True)
class OpenStep:
    """A step under way."""

    step: Step
    member: Member | None = None
    task: str = ""
    failures: list[StepFailure] = field(default_factory=list)
    not_before: float = 0.0

    @property
    def tried(self) -> list[str]:
        return [failure.agent for failure in self.failures]
