"""Applying a pattern to a new task, without a language model: slots of its response, filled from the task."""

from swarm.services.applying.apply import Application, Fill, apply_pattern
from swarm.services.applying.template import Filled, Gap

__all__ = ["Application", "Fill", "Filled", "Gap", "apply_pattern"]
