"""Lineages: which generations a version comes from, and how to get rid of what some of them learned."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarm.services.lineage import Plan, holds, lineage, plan_without
from swarm.store.versions import LogEntry, Span


def an_entry(
    number: int, *, kind: str = "", parent: int | None = None, spans: tuple[Span, ...] | None = None
) -> LogEntry:
    """Generation N, which learned the outcomes N0-0 < id <= (N+1)0-0 if it is a consolidation."""
    own: tuple[Span, ...] = ((f"{10 * number}-0", f"{10 * number + 10}-0"),) if not kind else ()
    return LogEntry(
        generation=number,
        at_ms=1000 * number,
        kind=kind,
        parent=number - 1 if parent is None else parent,
        spans=own if spans is None else spans,
        cause="",
        figures={"outcomes": 10},
    )


LEARNED = [an_entry(number) for number in range(1, 6)]
ROLLED = [*LEARNED, an_entry(6, kind="rollback", parent=2), an_entry(7)]


def among(*numbers: int) -> Callable[[LogEntry], bool]:
    return lambda entry: entry.generation in numbers


def numbers(entries: list[LogEntry]) -> list[int]:
    return [entry.generation for entry in entries]


def test_without_rollbacks_a_version_comes_from_all_before_it() -> None:
    assert numbers(lineage(LEARNED, 4)) == [1, 2, 3, 4]
    assert lineage(LEARNED, 0) == []


def test_what_was_rolled_away_is_no_part_of_what_follows() -> None:
    assert numbers(lineage(ROLLED, 7)) == [1, 2, 6, 7]
    assert numbers(lineage(ROLLED, 5)) == [1, 2, 3, 4, 5]


def test_a_lineage_ends_where_the_log_ends() -> None:
    assert numbers(lineage(LEARNED[2:], 5)) == [3, 4, 5]


@pytest.mark.parametrize(
    ("field", "held"),
    [
        ("31-0", True),
        ("40-0", True),
        ("30-0", False),
        ("40-1", False),
        ("<=30-1", True),
        ("<=99-0", True),
        ("<=30-0", False),
    ],
)
def test_a_generation_holds_an_outcome_that_is_in_its_span(field: str, held: bool) -> None:
    assert holds(an_entry(3), {field: ""}) is held
    assert holds(an_entry(3), {"1-0": "", field: ""}) is held


def test_from_the_generation_that_settled_it_on_none_holds_an_outcome() -> None:
    entry = an_entry(3)
    assert holds(entry, {"35-0": "4"})
    assert not holds(entry, {"35-0": "3"})
    assert not holds(entry, {"35-0": "3 done"})
    assert not holds(entry, {})


@pytest.mark.parametrize(
    ("reachable", "tainted", "base", "again", "since"),
    [
        ([0, 1, 2, 3, 4], (3,), 2, [3, 4, 5], 2),
        ([0, 1, 2, 3, 4], (1,), 0, [1, 2, 3, 4, 5], 0),
        ([2, 3, 4], (3,), 2, [3, 4, 5], 2),
        # What is clean cannot be read any more: all over again, and nothing to return to.
        ([3, 4], (3,), 0, [1, 2, 3, 4, 5], None),
        ([], (3, 4), 0, [1, 2, 3, 4, 5], None),
        ([0, 1, 2, 3, 4], (), 5, [], 5),
    ],
)
def test_a_plan_builds_on_the_newest_version_that_is_clean_and_can_be_read(
    reachable: list[int], tainted: tuple[int, ...], base: int, again: list[int], since: int | None
) -> None:
    plan = plan_without(LEARNED, reachable, 5, among(*tainted))
    assert (plan.base, numbers(list(plan.again)), plan.since, plan.is_whole) == (base, again, since, True)
    assert plan.outcomes == 10 * len(again)


def test_a_version_that_was_rolled_away_is_cut_although_the_content_is_clean() -> None:
    plan = plan_without(ROLLED, [0, 1, 2, 3, 4, 5, 6], 7, among(4))
    assert plan == Plan(base=7, again=(), since=3, is_whole=True)


def test_what_the_log_does_not_reach_back_to_is_no_whole_plan() -> None:
    plan = plan_without(LEARNED[2:], [3, 4], 5, among(3))
    assert (plan.base, numbers(list(plan.again)), plan.since, plan.is_whole) == (0, [3, 4, 5], None, False)
