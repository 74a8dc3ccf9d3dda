"""What happens in a coding agent, in one form for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from swarm.errors import InputError

MAX_TEXT = 8_000
"""Characters of a prompt or an answer that are looked at; the rest is left out."""
MAX_ID = 200


class EventKind(StrEnum):
    """What an event is about."""

    SESSION_START = "session_start"
    SESSION_END = "session_end"
    PROMPT = "prompt"
    TOOL_START = "tool_start"
    TOOL_END = "tool_end"
    TOOL_FAILED = "tool_failed"
    AGENT_START = "agent_start"
    AGENT_END = "agent_end"
    TURN_END = "turn_end"
    MESSAGE = "message"
    """The agent said something; the last of it is its answer, where the end of a turn does not bring that."""
    OTHER = "other"
    """Nothing to learn from; counted only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEvent:
    """One event. What a client did not say is empty; `at_s` is seconds since the epoch.

    `id` tells it from every other one; a repeated event has the id of the first.
    """

    client: str
    name: str
    """As the client calls it."""
    kind: EventKind
    session: str
    id: str = ""
    at_s: float = 0.0
    agent_id: str = ""
    agent_type: str = ""
    """Of a sub-agent; both empty for the agent that the user talks to."""
    text: str = ""
    """The prompt, the last message, or why a tool failed."""
    tool: str = ""
    tool_use_id: str = ""
    tool_input: Mapping[str, Any] = field(default_factory=dict)
    tool_response: Any = None
    is_interrupt: bool = False
    duration_ms: float | None = None
    model: str = ""


def payload_of(body: object) -> Mapping[str, Any]:
    """A client's JSON, which must be an object.

    Raises
    ------
    InputError
        If it is anything else.
    """
    if not isinstance(body, dict):
        raise InputError(f"a hook's payload must be a JSON object, got {type(body).__name__}")
    return body


def text_of(payload: Mapping[str, Any], *names: str, most: int = MAX_TEXT) -> str:
    """The first of these fields that is a text and not empty, in Unicode that can be stored; else "".

    >>> text_of({"prompt": "a\\ud800b", "n": 1}, "n", "prompt")
    'a?b'
    """
    for name in names:
        value = payload.get(name)
        if isinstance(value, str) and value:
            return value[:most].encode("utf-8", "replace").decode()
    return ""


def id_of(payload: Mapping[str, Any], *names: str) -> str:
    """The first of these fields as an id: at most `MAX_ID` characters."""
    return text_of(payload, *names, most=MAX_ID)


def number_of(payload: Mapping[str, Any], name: str, most: float = 1e12) -> float | None:
    """A field that is a number in [0, most]; else None.

    >>> number_of({"a": 2, "b": True, "c": "3"}, "a"), number_of({"b": True}, "b"), number_of({"c": "3"}, "c")
    (2.0, None, None)
    """
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        return None
    return float(value)


def mapping_of(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A field that is an object; else an empty one."""
    value = payload.get(name)
    return value if isinstance(value, dict) else {}
