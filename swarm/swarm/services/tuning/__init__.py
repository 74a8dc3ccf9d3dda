"""Hyper-parameter tuning of an agent: search by replay, and applying what was found behind a gate."""

from swarm.services.tuning.apply import Applied, apply_tuning
from swarm.services.tuning.report import Gate, Objective, Trial, TuningReport
from swarm.services.tuning.tune import MIN_OUTCOMES, tune

__all__ = ["MIN_OUTCOMES", "Applied", "Gate", "Objective", "Trial", "TuningReport", "apply_tuning", "tune"]
