"""Cursor's hooks: camelCase events around `conversation_id`; its shell and its MCP tools have events of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from swarm.errors import InputError
from swarm_gateway.hooks.events import EventKind, HookEvent, id_of, mapping_of, number_of, payload_of, text_of

KINDS = {
    "sessionStart": EventKind.SESSION_START,
    "sessionEnd": EventKind.SESSION_END,
    "beforeSubmitPrompt": EventKind.PROMPT,
    "preToolUse": EventKind.TOOL_START,
    "postToolUse": EventKind.TOOL_END,
    "postToolUseFailure": EventKind.TOOL_FAILED,
    "afterAgentResponse": EventKind.MESSAGE,
    "subagentStart": EventKind.AGENT_START,
    "subagentStop": EventKind.AGENT_END,
    "stop": EventKind.TURN_END,
}
ANSWERED = {EventKind.TOOL_END}
"""A prompt's hook may add no text in Cursor, so what is known follows with the first tool's result."""


def read(client: str, body: object, event_id: str, at_s: float) -> HookEvent:
    """A payload as an event; see `claude_code.read`.

    Raises
    ------
    InputError
        If it is no object, or says neither its conversation nor its event.
    """
    payload = payload_of(body)
    name = id_of(payload, "hook_event_name")
    session = id_of(payload, "conversation_id", "session_id")
    if not name or not session:
        raise InputError("a hook's payload must have conversation_id and hook_event_name")
    tool_use_id = id_of(payload, "tool_use_id")
    duration_ms = number_of(payload, "duration_ms")
    return HookEvent(
        client=client,
        name=name,
        kind=KINDS.get(name, EventKind.OTHER),
        session=session,
        id=f"{name}/{tool_use_id}" if tool_use_id else event_id,
        at_s=at_s,
        agent_id=id_of(payload, "subagent_id", "agent_id"),
        agent_type=id_of(payload, "subagent_type", "agent_type"),
        text=text_of(payload, "prompt", "text", "last_assistant_message", "task", "error_message"),
        tool={"Shell": "Bash"}.get(tool := id_of(payload, "tool_name"), tool),
        tool_use_id=tool_use_id,
        tool_input=mapping_of(payload, "tool_input"),
        tool_response=_result(payload.get("tool_output", payload.get("tool_response"))),
        # "aborted" is the user's doing; "error" is the model's or the network's, and says nothing of the work.
        is_interrupt=payload.get("is_interrupt") is True or payload.get("status") == "aborted",
        duration_ms=number_of(payload, "duration") if duration_ms is None else duration_ms,
        model=id_of(payload, "model"),
    )


def _result(output: object) -> object:
    """A tool's output; what Cursor wrote into a text as JSON, as what it was."""
    if not isinstance(output, str) or not output.startswith("{"):
        return output
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return output


def answer(event: HookEvent, context: str) -> Mapping[str, Any]:
    """What Cursor is told: context for the agent, or nothing. Never a permission."""
    if not context or event.kind not in ANSWERED:
        return {}
    return {"additional_context": context}
