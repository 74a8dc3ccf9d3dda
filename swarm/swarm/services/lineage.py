"""Which generations the content of a version comes from, and which of them hold an outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarm.store.forgotten import is_floor_over
from swarm.store.reply import stream_position
from swarm.store.versions import LogEntry, Span


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
        if not state or entry.generation < int(state.split()[0])
        for span in entry.spans
    )


def _covers(span: Span, field: str) -> bool:
    first, last = map(stream_position, span)
    if is_floor_over(field, (first[0], first[1] + 1)):
        return True
    return not field.startswith("<=") and first < stream_position(field) <= last


def first_holding(entries: Sequence[LogEntry], marks: Mapping[str, str]) -> int | None:
    """The position of the first generation that learned an outcome of `marks`, or None."""
    return next((position for position, entry in enumerate(entries) if holds(entry, marks)), None)


def clean_version(
    log: Sequence[LogEntry], reachable: Sequence[int], current: int, marks: Mapping[str, str]
) -> int | None:
    """The newest version before every reachable one that holds an outcome of `marks`; `current` if none does.

    None if there is no such version.
    """
    clean: int | None = None
    for version in [*reachable, current]:
        entries = lineage(log, version)
        is_unknown = version > 0 and not entries
        if is_unknown or first_holding(entries, marks) is not None:
            return clean
        clean = version
    return clean
