"""Claude Code's hooks, and Codex's, which have the same shapes: their payloads read, and their answers worded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarm.errors import InputError
from swarm_gateway.hooks.events import EventKind, HookEvent, id_of, mapping_of, number_of, payload_of, text_of

KINDS = {
    "SessionStart": EventKind.SESSION_START,
    "SessionEnd": EventKind.SESSION_END,
    "UserPromptSubmit": EventKind.PROMPT,
    "PreToolUse": EventKind.TOOL_START,
    "PostToolUse": EventKind.TOOL_END,
    "PostToolUseFailure": EventKind.TOOL_FAILED,
    "SubagentStart": EventKind.AGENT_START,
    "SubagentStop": EventKind.AGENT_END,
    "Stop": EventKind.TURN_END,
}
"""Every other event (PreCompact, PostCompact, Setup, Notification, those to come) is counted only."""
ANSWERED = {EventKind.PROMPT, EventKind.AGENT_START}
"""Events into which text may be put, and is."""
_TEXTS = {EventKind.PROMPT: "prompt", EventKind.TOOL_FAILED: "error"}


def read(client: str, body: object, event_id: str, at_s: float) -> HookEvent:
    """A payload as an event. Unknown fields are passed over, and so is a field of another type than it should be.

    Raises
    ------
    InputError
        If it is no object, or says neither its session nor its event.
    """
    payload = payload_of(body)
    name, session = id_of(payload, "hook_event_name"), id_of(payload, "session_id")
    if not name or not session:
        raise InputError("a hook's payload must have session_id and hook_event_name")
    kind = KINDS.get(name, EventKind.OTHER)
    tool_use_id = id_of(payload, "tool_use_id")
    return HookEvent(
        client=client,
        name=name,
        kind=kind,
        session=session,
        id=f"{name}/{tool_use_id}" if tool_use_id else event_id,
        at_s=at_s,
        agent_id=id_of(payload, "agent_id"),
        agent_type=id_of(payload, "agent_type"),
        text=text_of(payload, _TEXTS.get(kind, "last_assistant_message")),
        tool=id_of(payload, "tool_name"),
        tool_use_id=tool_use_id,
        tool_input=mapping_of(payload, "tool_input"),
        tool_response=payload.get("tool_response"),
        is_interrupt=payload.get("is_interrupt") is True,
        duration_ms=number_of(payload, "duration_ms"),
        model=id_of(payload, "model"),
    )


def answer(event: HookEvent, context: str) -> Mapping[str, Any]:
    """What Claude Code is told: context for the agent, or nothing. Never a decision of any kind."""
    if not context or event.kind not in ANSWERED:
        return {}
    return {"hookSpecificOutput": {"hookEventName": event.name, "additionalContext": context}}
