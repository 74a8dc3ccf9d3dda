"""What is seen of a task becomes a quality, or nothing."""

from __future__ import annotations

import pytest

from swarm_gateway.hooks.rewards import Reading
from swarm_gateway.hooks.verdict import Evidence, is_continuation, word_of


def said(speaks: bool | None, check: str = "", *, is_interrupt: bool = False) -> Reading:
    return Reading(node="n", reward=None, speaks=speaks, check=check, is_interrupt=is_interrupt)


def quality(*readings: Reading) -> float | None:
    evidence = Evidence()
    for reading in readings:
        evidence.add(reading)
    return evidence.quality()


def test_nothing_that_speaks_is_no_quality() -> None:
    assert quality() is None
    assert quality(said(None), said(None)) is None


def test_the_last_run_of_each_check_counts() -> None:
    assert quality(said(False, "pytest"), said(True), said(True, "pytest")) == 0.95
    assert quality(said(True, "pytest"), said(False, "pytest")) == 0.1
    assert quality(said(True, "pytest"), said(False, "mypy")) == pytest.approx(0.525)


def test_commands_and_edits_move_it_little() -> None:
    assert quality(said(True)) == 0.7
    assert quality(said(False), said(True)) == 0.6
    assert quality(said(True), said(False)) == 0.3


def test_an_interruption_counts_unless_the_work_went_on() -> None:
    stopped = said(None, is_interrupt=True)
    assert quality(said(True, "pytest"), stopped) == 0.2
    assert quality(stopped) == 0.2
    assert quality(said(False, "pytest"), stopped) == 0.1
    assert quality(stopped, said(True)) == 0.7


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("no, use UTC", 0.1),
        ("No. That is the wrong file", 0.1),
        ("that's wrong", 0.1),
        ("That\N{RIGHT SINGLE QUOTATION MARK}s not right, look again", 0.1),
        ("it still fails with the same error", 0.1),
        ("this doesn't work", 0.1),
        ("still broken", 0.1),
        ("revert that", 0.1),
        ("you broke the build", 0.1),
        ("it works", 0.9),
        ("Perfect, now add tests", 0.9),
        ("great, that works!", 0.9),
        ("lgtm", 0.9),
        ("thanks", None),
        ("thanks, now write the docs", None),
        ("no need for that", None),
        ("no longer support Python 3.8", None),
        ("notify the user", None),
        ("that works but only on Linux", None),
        ("works only if the file exists; fix it", None),
        ("fix the test that is wrong", None),
        ("it works like this: first ...", None),
        ("perfectly align the columns", None),
        ("undo support in the editor", None),
        ("wrongly parsed dates: fix them", None),
        ("", None),
    ],
)
def test_only_words_without_doubt_judge_the_work_before(prompt: str, word: float | None) -> None:
    assert word_of(prompt) == word


@pytest.mark.parametrize(
    ("prompt", "is_one"),
    [
        ("continue", True),
        ("yes, please go ahead.", True),
        ("ok", True),
        ("next", True),
        ("continue with the parser", False),
    ],
)
def test_a_prompt_that_names_no_task_goes_on_with_the_one_before(prompt: str, is_one: bool) -> None:
    assert is_continuation(prompt) is is_one
