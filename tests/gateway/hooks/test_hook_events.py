"""Payloads as clients send them, whole and broken, become events or are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hook_support import recorded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.errors import InputError
from swarm_gateway.hooks.clients import CLIENTS
from swarm_gateway.hooks.events import EventKind, HookEvent

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *("session_id", "conversation_id", "hook_event_name", "prompt", "tool_name", "tool_input", "tool_response"),
        *("tool_use_id", "agent_id", "agent_type", "error", "is_interrupt", "duration_ms", "model", "status"),
    ]
)


def read(client: str, payload: object) -> HookEvent:
    return CLIENTS[client].read(client, payload, "event-1", 5.0)


KINDS = {
    "claude-code": [
        *(EventKind.SESSION_START, EventKind.PROMPT, EventKind.TOOL_START, EventKind.TOOL_FAILED, EventKind.TOOL_END),
        *(EventKind.TOOL_START, EventKind.AGENT_START, EventKind.TOOL_END, EventKind.AGENT_END, EventKind.TOOL_END),
        *(EventKind.OTHER, EventKind.OTHER, EventKind.TURN_END, EventKind.SESSION_END),
    ],
    "codex": [
        *(EventKind.SESSION_START, EventKind.PROMPT, EventKind.TOOL_START, EventKind.TOOL_END, EventKind.TURN_END),
    ],
    "cursor": [
        *(EventKind.SESSION_START, EventKind.PROMPT, EventKind.TOOL_START, EventKind.TOOL_END, EventKind.TOOL_FAILED),
        *(EventKind.MESSAGE, EventKind.TURN_END, EventKind.SESSION_END),
    ],
}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_recorded_event_is_understood(client: str) -> None:
    found = [read(client, payload) for _, payload in recorded(client)]
    assert [event.kind for event in found] == KINDS[client]
    assert len({event.session for event in found}) == 1


def test_what_an_event_says_is_read_from_its_own_fields() -> None:
    payloads = dict(recorded("claude-code"))
    failed = read("claude-code", payloads["claude-code.04-post-tool-use-failure-bash"])
    assert (failed.id, failed.tool, failed.tool_input["command"]) == (
        "PostToolUseFailure/toolu_01bash",
        "Bash",
        "pytest -q tests/test_parser.py",
    )
    assert (failed.text.splitlines()[0], failed.duration_ms, failed.is_interrupt) == ("Exit code 1", 812.0, False)
    inside = read("claude-code", payloads["claude-code.08-post-tool-use-in-subagent"])
    assert (inside.agent_id, inside.agent_type) == ("a1b2c3d4", "test-runner")
    prompt = read("claude-code", payloads["claude-code.02-user-prompt-submit"])
    assert (prompt.id, prompt.at_s) == ("event-1", 5.0)


def test_a_result_that_cursor_wrote_as_text_is_what_it_was() -> None:
    event = read("cursor", dict(recorded("cursor"))["cursor.4-post-tool-use"])
    assert (event.tool, event.tool_response["exitCode"], event.duration_ms) == ("Bash", 0, 5400.0)
    cut = read("cursor", {"conversation_id": "c", "hook_event_name": "postToolUse", "tool_output": '{"exit'})
    assert cut.tool_response == '{"exit'


@pytest.mark.parametrize("payload", [None, [], "text", 3, {}, {"session_id": "s"}, {"hook_event_name": "Stop"}])
def test_what_says_neither_session_nor_event_is_refused(payload: object) -> None:
    for client in CLIENTS:
        with pytest.raises(InputError):
            read(client, payload)


def test_fields_of_another_type_count_as_missing_and_unknown_ones_are_passed_over() -> None:
    event = read(
        "claude-code",
        {
            "session_id": "s",
            "hook_event_name": "PostToolUse",
            "tool_name": ["Bash"],
            "tool_input": "ls",
            "tool_use_id": 7,
            "duration_ms": "fast",
            "model": None,
            "is_interrupt": "yes",
            "novelty": {"a": [1]},
        },
    )
    assert (event.tool, event.tool_input, event.tool_use_id, event.duration_ms) == ("", {}, "", None)
    assert (event.model, event.is_interrupt, event.id) == ("", False, "event-1")


def test_a_prompt_keeps_what_unicode_can_store_and_is_cut() -> None:
    payload = json.loads('{"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "a\\ud800\\u00e9"}')
    assert read("claude-code", payload).text == "a?é"
    assert len(read("claude-code", payload | {"prompt": "x" * 100_000}).text) == 8_000


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(client=st.sampled_from(list(CLIENTS)), payload=st.dictionaries(FIELDS, JSON))
def test_no_payload_does_anything_but_become_an_event_or_be_refused(client: str, payload: dict[str, Any]) -> None:
    try:
        event = read(client, payload)
    except InputError:
        return
    assert event.session
    assert event.name
