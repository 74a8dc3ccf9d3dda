"""The benchmarks of the project: what each shows, how it is run small and full, and which figures count.

Small: about two minutes in all on two cores, on what every machine has. Full: as the figures in docs/results.md were
measured, hours of it. `python -m benchmarks` runs them, and `swarm bench`.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.suite_cost import COST
from benchmarks.suite_entry import Entry
from benchmarks.suite_faults import FAULTS
from benchmarks.suite_learning import LEARNING

SUITE: Sequence[Entry] = (*COST, *FAULTS, *LEARNING)
"""In the order in which they are begun and shown; chaos waits more than it works, so it comes first of its kind."""
