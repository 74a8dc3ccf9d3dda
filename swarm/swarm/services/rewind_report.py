"""What a rewind answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RewoundAgent:
    """What was taken out of one agent.

    `outcomes` were taken back. `generation` is the version that is free of them, 0 if none held them: they wait for
    consolidation, which passes them over. That version builds on version `base` and on `replayed` outcomes that
    were learned again. `lost` counts outcomes that had to go, too, because the stream does not hold them any more,
    and `unrepeated` the versions whose part could not be made again, because it came from no outcome.
    """

    agent: str
    outcomes: int
    generation: int = 0
    base: int = 0
    replayed: int = 0
    lost: int = 0
    unrepeated: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """An agent whose weights were trained while the bank held what is gone now.

    `generation` is the version whose weights were trained again; 0 if they were kept, and `why` says why.
    """

    agent: str
    generation: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """What came of a rewind; `patterns` and `bank_version` are those of the bank without what was taken back."""

    trajectory: str
    agents: tuple[RewoundAgent, ...]
    dependents: tuple[Dependent, ...]
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
