"""What came of a job: who did which step, under which task, who failed, and how that was handled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailure:
    """A member that did not do a step that it was given."""

    step: str
    agent: str
    task: str
    """Id of the task; `swarm task ID` shows it."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """A step, and who did it. `agent` and `task` are empty if nobody could."""

    step: str
    agent: str = ""
    task: str = ""
    result: Any = None
    failures: tuple[StepFailure, ...] = ()
    """Those who had it before, in order."""

    @property
    def is_done(self) -> bool:
        return self.agent != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What came of a job."""

    job: str
    topology: str
    result: Any
    steps: tuple[StepReport, ...]
    """In the order of their ends."""
    handled: tuple[str, ...]
    """How each failure of a member was handled, in words."""
    is_resumed: bool = False
    """Whether an earlier call had begun it."""

    @property
    def failures(self) -> tuple[StepFailure, ...]:
        """Every failure of a member."""
        return tuple(failure for step in self.steps for failure in step.failures)

    @property
    def did(self) -> dict[str, str]:
        """Step -> the agent that did it."""
        return {step.step: step.agent for step in self.steps if step.is_done}

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
