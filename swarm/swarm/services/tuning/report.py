"""What a search for better settings came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from swarm.sona.config import SonaConfig

Objective = Literal["mrr", "loss"]
"""What counts: the mean reciprocal rank of what worked, or the log-likelihood of all outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One configuration, cross-validated. `label` is "present" or "default" for those that are always tried, else "".

    `difference` is what it gains over the present one in the objective, the mean over the outcomes, and `error` the
    standard error of that.
    """

    number: int
    label: str
    config: SonaConfig
    mrr: float
    loss: float
    difference: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The chosen configuration beside the present one on `n` outcomes that nothing was searched on or learned from.

    `difference` and `error` as of a trial, over the `counted` ones of them that the objective is about.
    """

    n: int
    counted: int
    difference: float
    error: float
    passed: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningReport:
    """What a search came to.

    `best` is the trial of the largest objective. `is_better`: its difference is larger than `z` standard errors, which
    the luckiest of so many equals reaches in one search of twenty; only then there is a `gate`. `stopped_by` says which
    bound ended the search. Nothing was changed by it.
    """

    agent: str
    objective: Objective
    outcomes: int
    folds: int
    trials: tuple[Trial, ...]
    best: Trial
    present: Trial
    is_better: bool
    z: float
    gate: Gate | None
    stopped_by: Literal["trials", "budget"]
    took_s: float

    @property
    def changes(self) -> dict[str, tuple[object, object]]:
        """What the best configuration has otherwise: name -> (present, best)."""
        before, after = self.present.config.as_dict(), self.best.config.as_dict()
        return {name: (before[name], value) for name, value in after.items() if value != before[name]}

    @property
    def why(self) -> str:
        """In a sentence, what to make of it."""
        if self.best is self.present:
            return "the present settings were the best"
        if not self.is_better:
            return (
                f"no better than the present settings: {self.best.difference:+.4f} is within {self.z:.1f} "
                f"standard errors of {self.best.error:.4f}"
            )
        assert self.gate is not None
        return f"better by {self.best.difference:+.4f} ± {self.best.error:.4f}; {self.gate.why}"

    @property
    def may_be_applied(self) -> bool:
        return self.gate is not None and self.gate.passed

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **asdict(self),
            "changes": {name: {"present": old, "best": new} for name, (old, new) in self.changes.items()},
            "why": self.why,
            "may_be_applied": self.may_be_applied,
        }
