"""What one run of a trainer has seen so far, and tells after each round."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from swarm.services.events import Events
from swarm.services.training import Round
from swarm.wire.event_types import BatchComplete
from swarm.wire.training_records import FileProgress
from swarm_agents.training.profiles import Profile
from swarm_agents.training.rejects import Reject
from swarm_agents.training.report import BatchReport, TrainReport

_SHOWN = 10
"""So many lines that cannot be used are named by the report; all are in the side file."""


class Run:
    """Counts, tells, calls `on_batch`: the one place where a round is complete. It began at `since`, monotonic time."""

    def __init__(
        self,
        agent: str,
        file: str,
        total: int,
        since: float,
        events: Events,
        on_batch: Callable[[BatchReport], object] | None,
    ) -> None:
        self._agent, self._file, self._total = agent, file, total
        self._events, self._on_batch = events, on_batch
        self._begun = since
        self._since = time.monotonic()
        self.promoted = 0
        self.weights_refused = 0
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
        self.weights_refused += consolidation is not None and consolidation.update == "refused"
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
        self._events.publish(
            BatchComplete(
                agent=self._agent,
                batch=done.progress.rounds,
                batches=0,
                total=done.progress.lines - before.lines,
                success=report.trained,
                seconds=report.seconds,
            )
        )
        if self._on_batch is not None:
            self._on_batch(report)

    def report(
        self,
        profile: Profile,
        first: FileProgress,
        last: FileProgress,
        generation: int,
        embedded_here: int,
        rejected: Path,
    ) -> TrainReport:
        """The report of a run that led from `first` to `last`."""
        seconds = time.monotonic() - self._begun
        return TrainReport(
            agent=self._agent,
            file=self._file,
            profile=profile.name,
            epochs=profile.epochs,
            batch_size=profile.batch_size,
            lines=last.lines,
            trained=last.trained,
            held_out=last.held_out,
            filtered=last.filtered,
            duplicates=last.duplicates,
            rejected=last.rejected,
            refused=last.refused,
            rounds=last.rounds,
            promoted=self.promoted,
            weights_refused=self.weights_refused,
            generation=generation,
            resumed_at=first.lines,
            was_learned=first.is_done,
            seconds=seconds,
            lines_per_s=(last.lines - first.lines) / seconds,
            embedded_here=embedded_here,
            rejections=tuple(self.rejections),
            rejected_file=str(rejected) if last.rejected else "",
            left_out=dict(last.left_out),
            before=dict(last.before),
            after=dict(last.after),
        )
