"""A pattern's response is made to fit a new task: what is filled in is marked, and what is not known stays open."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.errors import InputError, TextError, UnknownIdError
from swarm.services.applying import Application, Gap, apply_pattern
from swarm.services.applying.alignment import MOST, align
from swarm.services.applying.tokens import Kind, tokens_of
from swarm.services.background import Background
from swarm.services.hits import Example
from swarm.services.swarm import Swarm
from swarm_cli.commands.apply import command


def example(text: str, quality: float = 1.0) -> Example:
    return Example(text=text, quality=quality, agent="ada", trajectory_id=text, at_s=1.0)


def applied(response: str, examples: list[str], task: str) -> Application:
    return apply_pattern("p", response, [example(text) for text in examples], task)


CASES = [
    # What names something: paths, numbers, quoted text, names, in the case that the response writes them in.
    ("mv /srv/a.csv /srv/b.csv", ["move /srv/a.csv to /srv/b.csv"], "move /x.csv to ~/y.csv now", "mv /x.csv ~/y.csv"),
    ("head -n 20 report.csv", ["show 20 rows of report.csv"], "show the 35 rows of sales.csv", "head -n 35 sales.csv"),
    ("echo 'all done'", ["say 'all done'"], 'say "not yet"', "echo 'not yet'"),
    ("class Invoice:  # invoice", ["add a model Invoice"], "add a model Customer", "class Customer:  # customer"),
    ("curl http://a.org/x", ["fetch http://a.org/x."], "fetch http://b.org/y.", "curl http://b.org/y"),
    # In another order it is still the only one of its kind.
    ("wc -l report.csv", ["count the lines of report.csv"], "of sales.csv count the lines", "wc -l sales.csv"),
    # A plain word, because it changes between words that stay, ...
    ("RENAME foo TO bar", ["rename column foo to bar in sql"], "rename column x to y in sql", "RENAME x TO y"),
    # ... or because further tasks with this answer show that it varies.
    ("key=lambda i: i.name", ["sort by name", "sort by age"], "sort it by size", "key=lambda i: i.size"),
    # A word that says what is to be done is none, and neither is a part of somebody else's name.
    ("items.sort()", ["sort a list"], "order a list", "items.sort()"),
    ("json.loads(text)", ["decode a JSON document"], "decode an XML document", "json.loads(text)"),
    # The longer of two that overlap.
    ("cp a.txt b/a.txt", ["copy a.txt to b/a.txt"], "copy c.txt to d/e.txt", "cp c.txt d/e.txt"),
]


@pytest.mark.parametrize(("response", "examples", "task", "expected"), CASES)
def test_what_differs_between_the_tasks_is_filled_in(
    response: str, examples: list[str], task: str, expected: str
) -> None:
    found = applied(response, examples, task)
    assert found.text == expected
    assert found.unfilled == ()
    assert found.is_unchanged == (response == expected)
    for one in found.filled:
        assert found.text[one.start : one.end] == one.value
    # Taken back one by one, what was filled in leads to the response again.
    text = found.text
    for one in reversed(found.filled):
        text = text[: one.start] + one.example + text[one.end :]
    assert text == response


def test_what_the_task_has_no_value_for_stays_open_and_is_listed() -> None:
    found = applied("mv /srv/a.csv /srv/b.csv", ["move /srv/a.csv to /srv/b.csv"], "move /x.csv somewhere")
    assert found.text == "mv /x.csv {path_2}"
    [gap] = found.unfilled
    assert (gap.slot, gap.kind, gap.example) == ("path_2", "path", "/srv/b.csv")
    assert found.text[gap.start : gap.end] == "{path_2}"


def test_a_value_that_the_new_task_has_twice_and_differently_stays_open() -> None:
    found = applied("rm a.txt", ["back up a.txt and remove a.txt"], "back up b.txt and remove c.txt")
    assert found.text == "rm {path}"


def test_the_callers_function_is_asked_for_what_is_open_and_only_for_that() -> None:
    asked: list[Gap] = []

    def fill(gap: Gap) -> str | None:
        asked.append(gap)
        return "/y.csv" if gap.slot == "path_2" else None

    response, task = "mv /srv/a.csv /srv/b.csv /srv/b.csv && stat 0640", "move /x.csv somewhere"
    found = apply_pattern("p", response, [example("move /srv/a.csv to /srv/b.csv as 0640")], task, fill)
    assert found.text == "mv /x.csv /y.csv /y.csv && stat {number}"
    assert [gap.slot for gap in asked] == ["path_2", "number"]
    assert [one.source for one in found.filled] == ["place", "fill", "fill"]


def test_a_slot_is_not_called_what_the_response_has_in_braces_itself() -> None:
    assert applied("f'{path}' a.txt", ["print a.txt"], "print it").text == "f'{path}' {path_2}"


def test_words_that_stay_though_the_task_does_not_say_them_are_named() -> None:
    assert applied("items.sort()", ["sort a list"], "order a list").kept == ("sort",)
    assert applied("items.sort()", ["sort a list"], "sort a tuple").kept == ()


def test_every_step_of_a_plan_is_filled() -> None:
    task = "keep 35 rows of sales.csv"
    found = applied("1. open report.csv\n2. keep 20 rows\n", ["keep 20 rows of report.csv"], task)
    assert found.steps == ("open sales.csv", "keep 35 rows")


def test_a_plan_in_json_stays_json_whatever_is_filled_in() -> None:
    response = json.dumps(["open 'a file'", "close"])
    found = applied(response, ["open 'a file' and close"], 'open `a "b" \\ c` and close')
    assert found.steps == ("open 'a \"b\" \\ c'", "close")
    assert json.loads(found.text) == list(found.steps)


def test_without_an_example_the_response_stays_as_it_is() -> None:
    found = applied("do it", [], "a task")
    assert (found.text, found.is_unchanged, found.example) == ("do it", True, "")


@pytest.mark.parametrize(
    ("response", "task", "fill", "error", "message"),
    [
        ("", "a task", None, InputError, "pattern 'p' names no response"),
        ("do it", " ", None, TextError, "new_task must hold more than white space"),
        ("do it", "a task", 3, InputError, "fill must be a callable or None, got int"),
        ("cat a.txt", "a task", lambda gap: 3, InputError, "fill must answer a text or None for slot path, got int"),
    ],
)
def test_what_cannot_be_applied_is_refused(
    response: str, task: str, fill: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        apply_pattern("p", response, [example("print a.txt")], task, fill)  # type: ignore[arg-type]  # wrong on purpose


WORDS = st.sampled_from(
    [
        "move",
        "the",
        "table",
        "users",
        "users_2",
        "a.txt",
        "/srv/x",
        "42",
        "1",
        "'old name'",
        "Berlin",
        "A@b.org",
        "(",
        ".",
    ]
)
TEXTS = st.one_of(st.lists(WORDS, min_size=1, max_size=12).map(" ".join), st.text(min_size=1, max_size=40))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(TEXTS.filter(str.strip), TEXTS, st.lists(TEXTS, max_size=3))
def test_applied_to_its_own_example_it_is_the_response_as_it_was(task: str, response: str, others: list[str]) -> None:
    found = apply_pattern("p", response, [example(task), *(example(text, 0.5) for text in others)], task)
    again = apply_pattern(
        "p", response, [example(task), *(example(text, 0.5) for text in others)], found.example or task
    )
    assert again.text == response
    assert again.is_unchanged
    assert again.unfilled == ()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(TEXTS, TEXTS)
def test_tokens_are_parts_of_the_text_and_an_alignment_keeps_their_order(one: str, other: str) -> None:
    first, second = tokens_of(one), tokens_of(other)
    assert all(one[token.start : token.end] == token.text for token in first)
    places = [place for place in align(first, second) if place is not None]
    assert places == sorted(set(places))
    assert align(first, first) == list(range(len(first)))


def test_long_texts_are_answered_soon() -> None:
    task = " ".join(f"word{number}" for number in range(2_000))
    began = time.process_time()
    found = applied(task, [task], task.replace("word1000", "other1000"))
    assert found.text == task.replace("word1000", "other1000")
    far = applied(task, [task], " ".join(f"x{number}" for number in range(MOST * 2)))
    assert far.unfilled
    assert time.process_time() - began < 20.0


def test_kinds_are_told_by_how_a_thing_is_written() -> None:
    text = "Ask Ada about /srv/a.csv, b.txt, http://x.org/y?z=1, a@b.org, 3.5%, 2026-11-30, users_2, camelCase, `q r`."
    kinds = {token.text: token.kind for token in tokens_of(text)}
    assert kinds["Ask"] is Kind.WORD
    assert kinds["Ada"] is Kind.NAME
    assert [kinds[path] for path in ("/srv/a.csv", "b.txt")] == [Kind.PATH] * 2
    assert (kinds["http://x.org/y?z=1"], kinds["a@b.org"]) == (Kind.URL, Kind.EMAIL)
    assert [kinds[number] for number in ("3.5%", "2026-11-30")] == [Kind.NUMBER] * 2
    assert [kinds[name] for name in ("users_2", "camelCase")] == [Kind.IDENTIFIER] * 2
    assert kinds["q r"] is Kind.QUOTED


def test_a_swarm_applies_what_it_knows(swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("show 20 rows of report.csv", "head -n 20 report.csv")
    swarm.store_pattern("delete all rows", "rm -rf /", success=False)
    background.drain(0.0)
    [hit] = [hit for hit in swarm.query("show 35 rows of sales.csv") if hit.response.startswith("head")]
    for pattern in (hit, hit.pattern_id):
        assert swarm.apply(pattern, "show 35 rows of sales.csv").text == "head -n 35 sales.csv"
    assert swarm.apply(hit, hit.examples[0].text).is_unchanged
    with pytest.raises(UnknownIdError, match="'nope' is not in the bank"):
        swarm.apply("nope", "a task")
    [failed] = [one.pattern_id for one in swarm.patterns().patterns if not one.positive]
    with pytest.raises(InputError, match="of what failed"):
        swarm.apply(failed, "a task")


def test_the_command_marks_what_was_filled_in_and_what_is_open(swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("move /srv/a.csv to /srv/b.csv by sync", "sync /srv/a.csv\x1b /srv/b.csv")
    background.drain(0.0)
    [hit] = swarm.query("move a file")
    environment = {
        "SWARM_NAME": swarm.settings.name,
        "SWARM_REDIS_URL": swarm.settings.redis_url or "",
        "SWARM_EMBEDDER": swarm.settings.embedder,
        "COLUMNS": "80",
    }
    words = [hit.pattern_id, "--task", "move /x.csv somewhere"]
    shown = CliRunner().invoke(command, words, env=environment, catch_exceptions=False).stdout
    assert "sync /x.csv  {path_2}" in shown
    assert "open: the task says nothing for /srv/b.csv" in shown
    assert "kept      sync: the task does not say so" in shown
    assert "\x1b" not in shown
    ended = CliRunner().invoke(command, [*words, "--json"], env=environment, catch_exceptions=False)
    found = json.loads(ended.stdout)
    assert found["filled"][0]["from"] == "place"
    assert found == {"swarm": swarm.settings.name, "task": words[2], **swarm.apply(hit, words[2]).as_dict()}
