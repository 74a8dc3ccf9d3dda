"""What a forgetting answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from swarm.services.rewind_report import Dependent, RewoundAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What came of it. `kind` is trajectory, pattern or agent; `agents` says what was taken out of each agent.

    `erased` counts outcomes that were erased from streams, `traces` other records (decisions of the router, verdicts
    of executions, documents of a forgotten agent). `patterns` and `bank_version` are those of the bank after it.
    """

    kind: str
    id: str
    at_s: float
    agents: tuple[RewoundAgent, ...]
    dependents: tuple[Dependent, ...]
    erased: int
    traces: int
    patterns: int
    bank_version: str

    @property
    def outcomes(self) -> int:
        """How many outcomes were taken back."""
        return sum(agent.outcomes for agent in self.agents)

    @property
    def lost(self) -> int:
        """How many others had to go with them."""
        return sum(agent.lost for agent in self.agents)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "outcomes": self.outcomes, "lost": self.lost}
