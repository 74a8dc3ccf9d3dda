"""What a line of a training file says, and why a line cannot be used."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import InputError
from swarm_agents.training.lines import Example, parse_line

VECTOR = [3.0, 4.0, 0.0, 0.0]


def parsed(**values: Any) -> Example:
    return parse_line(json.dumps(values).encode(), 4)


def test_a_vector_with_what_the_context_calls_the_task_is_an_outcome_of_that_action() -> None:
    found = parsed(
        embedding=VECTOR,
        hiddenStates=[1.0],
        attention=[0.5],
        quality=0.95,
        context={"task": "code", "language": "python", "tries": 2},
    )
    assert found.vector is not None
    np.testing.assert_allclose(found.vector, [0.6, 0.8, 0.0, 0.0])
    assert (found.quality, found.response, found.text) == (0.95, "code", "")
    assert found.context == {"task": "code", "language": "python", "tries": "2"}
    assert sorted(found.left_out) == ["attention", "hiddenStates"]


def test_a_task_with_its_output_and_reward_is_an_outcome() -> None:
    found = parsed(task="parse a date", output="strptime", reward=0.4, latencyMs=20, cost=0.1, route="small", at_s=5)
    assert (found.vector, found.text, found.response, found.quality) == (None, "parse a date", "strptime", 0.4)
    assert (found.route, found.latency_ms, found.cost, found.at_s) == ("small", 20.0, 0.1, 5.0)


@pytest.mark.parametrize(
    ("values", "response"),
    [
        ({"text": "a", "output": "b", "context": {"task": "c"}}, "b"),
        ({"text": "a", "context": {"label": "b", "task": "c"}}, "b"),
        ({"text": "a", "context": {"task": "c"}}, "c"),
        ({"context": {"task": "a", "output": "b"}}, "b"),
        ({"context": {"task": "a"}}, ""),
    ],
)
def test_what_was_done_is_named_by_the_first_that_says_it(values: dict[str, Any], response: str) -> None:
    found = parsed(quality=1, **values)
    assert (found.text, found.response) == ("a", response)


def test_without_a_quality_the_output_is_scored_by_what_was_expected() -> None:
    assert parsed(task="capital of France", output="Paris.", expected="paris").quality == 1.0
    assert parsed(task="capital of France", output="London", expected="Paris").quality == 0.0
    assert parsed(task="capital of France", output="London", success=True).quality == 1.0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "a line must be a JSON object, got list"),
        ('{"prompt": "a", "completion": "b"}', "has prompt, completion; wants task or text or embedding"),
        ("{}", "has no fields; wants task or text or embedding"),
        (json.dumps(dict.fromkeys("abcdefghij", 1)), "has a, b, c, d, e, f, g, h, ...; wants task"),
        ('{"text": "a"}', "has text; wants quality or reward or success, or output and expected"),
        ('[{"text": "a"}]', "a line must be a JSON object, got list (an array of objects must be one object a line"),
        ("[", "not JSON (an array of objects must be one object a line: jq -c '.[]' FILE): "),
        ("{", "not JSON (an object must stand on one line: jq -c . FILE): "),
        ("task,output,reward", "not JSON (CSV? each row must be a JSON object: its columns as fields): "),
        ('{"text": "a", "quality": 2}', "quality must be in 0..1, got 2"),
        ('{"text": "a", "reward": "1"}', "reward must be"),
        ('{"text": " ", "quality": 1}', "text must hold more than white space"),
        ('{"text": 5, "quality": 1}', "text must be text (str), got int"),
        ('{"embedding": [1, 2], "quality": 1}', "embedding must be 4 numbers, got 2"),
        ('{"embedding": "x", "quality": 1}', "embedding must be 4 numbers, got str"),
        ('{"embedding": [1, "2", 3, 4], "quality": 1}', "embedding must be 4 numbers: must be real number, not str"),
        ('{"embedding": [0, 0, 0, 0], "quality": 1}', "embedding must be 1e-06 to 1e+06 long, got length 0"),
        ('{"embedding": [1e300, 0, 0, 0], "quality": 1}', "embedding must be 1e-06 to 1e+06 long, got length inf"),
        ('{"text": "a", "quality": 1, "context": "x"}', "context must be an object, got str"),
        (json.dumps({"text": "a", "quality": 1, "route": "x" * 2_000}), "route may have 1024 bytes of UTF-8 at most"),
        (json.dumps({"text": "a", "quality": 1, "context": {"x": "y" * 70_000}}), "context may have 65536 characters"),
        ('{"text": "a", "quality": 1, "context": {"x": ' + "[" * 400 + "]" * 400 + "}}", "context cannot be kept"),
        ('{"text": "a", "quality": 1, "cost": -1}', "cost must be in 0..1e+12, got -1"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(line: str, why: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_line(line.encode(), 4)
    assert str(refused.value).startswith(why)


_ODD = st.sampled_from([None, True, -1, 0.5, 2, 1e300, "", "a", "\ud83d", [], [1], VECTOR, ["a"] * 4, {}, {"task": 1}])
_NAMES = st.sampled_from(["embedding", "text", "task", "quality", "reward", "context", "output", "expected", "cost"])


@given(st.one_of(st.binary(max_size=40), st.dictionaries(_NAMES, _ODD).map(lambda values: json.dumps(values).encode())))
def test_no_line_is_another_error(line: bytes) -> None:
    try:
        found = parse_line(line, 4)
    except InputError:
        return
    assert 0.0 <= found.quality <= 1.0
