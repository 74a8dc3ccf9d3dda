"""Which generations the content of a version comes from, and which of them hold an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from swarm.store.forgotten import UP_TO, is_floor, settled_by
from swarm.store.reply import stream_position
from swarm.store.versions import LogEntry, Span

REWIND, RETRAIN, IMPORT, TUNED = "rewind", "retrain", "import", "tuned"
"""The kinds in the log of generations that were made again, of the agent itself and of one that learned from it; that
came from a file; that changed the settings."""


def lineage(log: Sequence[LogEntry], version: int) -> list[LogEntry]:
    """The generations that the content of `version` builds on, oldest first, as far as the log goes back.

    A rollback leads on to the version that it restored, so what came between is not among them.
    """
    by_number = {entry.generation: entry for entry in log}
    found = []
    number = version
    while (entry := by_number.get(number)) is not None:
        found.append(entry)
        number = entry.parent
    return found[::-1]


def holds(entry: LogEntry, marks: Mapping[str, str]) -> bool:
    """Whether a generation learned an outcome of `marks`, which are as in `Forgotten`.

    One that a mark is settled by, or that came later, is free of it.
    """
    return any(
        _covers(span, field)
        for field, state in marks.items()
        if not state or entry.generation < settled_by(state)
        for span in entry.spans
    )


def _covers(span: Span, field: str) -> bool:
    first, last = map(stream_position, span)
    if is_floor(field):
        return first < stream_position(field.removeprefix(UP_TO))
    return first < stream_position(field) <= last


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an agent gets rid of what some generations learned.

    It goes back to version `base` and learns the outcomes of the generations `again` once more. A rollback of the
    result leads to version `since`, None if there is none. `is_whole` unless older generations than those were
    needed, and the log does not know them any more.
    """

    base: int
    again: tuple[LogEntry, ...]
    since: int | None
    is_whole: bool

    @property
    def spans(self) -> list[Span]:
        return [span for entry in self.again for span in entry.spans]

    @property
    def outcomes(self) -> int:
        """How many outcomes those generations learned."""
        return sum(int(entry.figures.get("outcomes", 0)) for entry in self.again)


def plan_without(
    log: Sequence[LogEntry], reachable: Sequence[int], current: int, is_tainted: Callable[[LogEntry], bool]
) -> Plan:
    """The plan for `current` to come from no tainted generation, and for no version that does to stay reachable.

    It builds on the newest version that can be read and is clean, or on nothing, which is version 0.
    """
    entries = lineage(log, current)
    since = _newest_clean(log, reachable, current, is_tainted)
    first = next((row for row, entry in enumerate(entries) if is_tainted(entry)), None)
    if first is None:
        return Plan(base=current, again=(), since=since, is_whole=True)
    for row in range(first, -1, -1):
        if entries[row].parent in (0, *reachable):
            return Plan(base=entries[row].parent, again=tuple(entries[row:]), since=since, is_whole=True)
    return Plan(base=0, again=tuple(entries), since=since, is_whole=False)


def _newest_clean(
    log: Sequence[LogEntry], reachable: Sequence[int], current: int, is_tainted: Callable[[LogEntry], bool]
) -> int | None:
    """The newest version before all reachable ones that come from a tainted generation."""
    clean: int | None = None
    for version in [*reachable, current]:
        entries = lineage(log, version)
        is_unknown = version > 0 and not entries
        if is_unknown or any(map(is_tainted, entries)):
            return clean
        clean = version
    return clean
