"""A run beside an earlier one: which rows differ by more than both runs' own spread."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.suite_figures import Better, Row
from benchmarks.suite_result import Result

PLACES = {"machine": "machine", "python": "Python", "packages": "packages", "commit": "commit"}


class Verdict(enum.StrEnum):
    """What a difference is worth."""

    BETTER = "better"
    WORSE = "WORSE"
    SAME = "same"
    """The intervals overlap, or the figures are equal."""
    UNKNOWN = "?"
    """One of the two has no spread, because it was measured once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A row then and now."""

    earlier: float
    change: float | None
    """(now - then) / then; None where then was 0."""
    verdict: Verdict


def compare(row: Row, before: Row) -> Change:
    """`row` beside the same row of an earlier run. Intervals that do not overlap are a difference."""
    now, then = row.value, before.value
    change = (now - then) / abs(then) if then else None
    return Change(earlier=then, change=change, verdict=_verdict(row, before))


def _verdict(row: Row, before: Row) -> Verdict:
    if row.value == before.value:
        return Verdict.SAME
    if row.judged != before.judged or min(row.n, before.n) < 2:
        return Verdict.UNKNOWN
    if row.lo <= before.hi and before.lo <= row.hi:
        return Verdict.SAME
    is_more = row.value > before.value
    return Verdict.BETTER if is_more == (row.better is Better.MORE) else Verdict.WORSE


def changes(result: Result, earlier: Result) -> dict[str, Change]:
    """By the id of the row, for the rows that both runs have."""
    known = {row.id: row for row in earlier.rows}
    return {row.id: compare(row, known[row.id]) for row in result.rows if row.id in known}


def differences(result: Result, earlier: Result) -> list[str]:
    """What else differs between the two runs, each in a line: figures may differ because of it."""
    found = [
        f"another {name}: {earlier.place.get(key, 'unknown')} then, {result.place.get(key, 'unknown')} now"
        for key, name in PLACES.items()
        if earlier.place.get(key) != result.place.get(key)
    ]
    if earlier.size != result.size:
        found.append(f"another size: {earlier.size} then, {result.size} now")
    return found + _missing(result.rows, earlier.rows)


def _missing(rows: Sequence[Row], before: Sequence[Row]) -> list[str]:
    gone = {row.id for row in before} - {row.id for row in rows}
    new = {row.id for row in rows} - {row.id for row in before}
    said = ((len(gone), "then and not now"), (len(new), "now and not then"))
    return [f"{n} rows were measured {when}" for n, when in said if n]
