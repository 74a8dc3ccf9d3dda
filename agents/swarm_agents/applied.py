"""A pattern that is being applied to a task under way."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.services.applying import Application
from swarm_agents.advice import TaskAdvice


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPattern:
    """What to do for a task, by a pattern. Its outcome, told by `trajectory_id`, counts for the pattern."""

    advice: TaskAdvice
    """What is known beside it, and the route."""
    pattern_id: str
    action: str
    application: Application | None
    """The pattern's response made to fit the task; None of a pattern that names its action only."""

    @property
    def trajectory_id(self) -> str:
        """For `Agent.after_task`, which needs no `used` then."""
        return self.advice.trajectory_id

    @property
    def text(self) -> str:
        """What to do."""
        return self.action if self.application is None else self.application.text

    @property
    def prompt(self) -> str:
        """Task and answer in one text, for whoever carries it out."""
        hit = next((hit for hit in self.advice.patterns if hit.pattern_id == self.pattern_id), None)
        proof = "" if hit is None else f" (outcomes: {hit.outcomes:.0f}, mean quality {hit.mean_quality:.2f})"
        lines = [f"Task: {self.advice.text}", f"What worked for such tasks{proof}: {self.text}"]
        if hit is not None and hit.examples:
            lines.append(f"It was done for: {hit.examples[0].text}")
        return "\n".join(lines)
