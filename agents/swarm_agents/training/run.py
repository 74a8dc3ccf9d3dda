"""What one run of a trainer has seen so far, and tells after each round."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from swarm.services.training import Round
from swarm.wire.training_records import FileProgress
from swarm_agents.training.rejects import Reject
from swarm_agents.training.report import BatchReport

_SHOWN = 10
"""So many lines that cannot be used are named by the report; all are in the side file."""


class Run:
    """Counts, and calls `on_batch`: the one place where a round is complete."""

    def __init__(self, agent: str, file: str, total: int, on_batch: Callable[[BatchReport], object] | None) -> None:
        self._agent, self._file, self._total, self._on_batch = agent, file, total, on_batch
        self._since = time.monotonic()
        self.promoted = 0
        self.rejections: list[tuple[int, str]] = []

    def rejected(self, rejects: Sequence[Reject]) -> None:
        """Note lines that cannot be used."""
        room = _SHOWN - len(self.rejections)
        self.rejections += [(reject.number, reject.why) for reject in rejects[:room]]

    def completed(self, before: FileProgress, done: Round) -> None:
        """A round is committed and searchable."""
        consolidation, now = done.consolidation, time.monotonic()
        promoted = consolidation is not None and consolidation.promoted
        self.promoted += promoted
        report = BatchReport(
            agent=self._agent,
            file=self._file,
            lines=done.progress.lines,
            total=self._total,
            trained=done.progress.trained - before.trained,
            generation=0 if consolidation is None else consolidation.generation,
            promoted=promoted,
            seconds=now - self._since,
        )
        self._since = now
        if self._on_batch is not None:
            self._on_batch(report)
