"""Which hooks a client gets: over HTTP where it can, because that costs no process; by the command where it cannot."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from swarm_cli import hook_shim
from swarm_cli.options import TOKEN

Client = Literal["claude-code", "codex", "cursor"]
HTTP_TIMEOUT_S = 2
COMMAND_TIMEOUT_S = 5
_TOOLS = "Bash|Edit|Write|Agent|Task"
"""Tools of which the begin counts: how long they take, and what is handed to a sub-agent."""
_CLAUDE_CODE = {
    "SessionStart": "startup|resume|clear|compact",
    "UserPromptSubmit": None,
    "PreToolUse": _TOOLS,
    "PostToolUse": "*",
    "PostToolUseFailure": "*",
    "SubagentStart": None,
    "SubagentStop": None,
    "Stop": None,
    "SessionEnd": None,
}
"""Event -> matcher; None where there is none to give."""
_CODEX = {"SessionStart": None, "UserPromptSubmit": None, "PreToolUse": "*", "PostToolUse": "*", "Stop": None}
_CURSOR = (
    *("sessionStart", "beforeSubmitPrompt", "preToolUse", "postToolUse", "postToolUseFailure"),
    *("afterAgentResponse", "subagentStart", "subagentStop", "stop", "sessionEnd"),
)
_BY_COMMAND_ALONE = frozenset({"SessionStart"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where hooks go. `agent` is who the agent is, "" for the client's name."""

    url: str
    """Of the gateway."""
    command: str
    needs_token: bool = False
    agent: str = ""
    is_http: bool = True
    """Over HTTP where the client can; else by the command alone, which loses nothing while the gateway is away."""


def entries_of(client: Client, target: Target) -> Mapping[str, Any]:
    """Event -> the entry that is added to its list."""
    if client == "cursor":
        return {event: {"command": target.command, "timeout": COMMAND_TIMEOUT_S} for event in _CURSOR}
    matchers: Mapping[str, str | None] = _CODEX if client == "codex" else _CLAUDE_CODE
    is_http = target.is_http and client == "claude-code"
    return {
        event: {
            **({} if matcher is None else {"matcher": matcher}),
            "hooks": [_http(client, target) if is_http and event not in _BY_COMMAND_ALONE else _command(target)],
        }
        for event, matcher in matchers.items()
    }


def agent_of(client: Client, entries: Mapping[str, Any]) -> str:
    """Who the agent is, as entries of ours say; "" for the client's name."""
    for entry in entries.values():
        for handler in entry.get("hooks", [entry]):
            if agent := handler.get("headers", {}).get("X-Swarm-Agent"):
                return str(agent)
            words = shlex.split(handler.get("command", ""))
            if client in words:
                # After the client come the socket and the agent.
                return "".join(words[words.index(client) + 2 :][:1])
    return ""


def is_ours(client: Client, handler: object) -> bool:
    """Whether a handler in somebody's settings is one of ours, of whichever version, port or place."""
    if not isinstance(handler, dict):
        return False
    if isinstance(url := handler.get("url"), str) and url.partition("?")[0].endswith(f"/v1/hooks/{client}"):
        return True
    return isinstance(command := handler.get("command"), str) and _is_our_command(client, command)


def shim_command(client: Client, socket: Path, agent: str = "") -> str:
    """The command line for this machine: interpreter and shim by their paths, so that nothing is looked for."""
    python = os.path.realpath(sys.executable)
    return shlex.join([python, "-I", "-S", hook_shim.__file__, client, str(socket), *([agent] if agent else [])])


def portable_command(client: Client, agent: str = "") -> str:
    """The command line for files that other machines share: `swarm` must be on the PATH."""
    # The empty word is the socket's place: each machine has its own.
    return shlex.join(["swarm", "hook", client, *(["", agent] if agent else [])])


def _is_our_command(client: Client, command: str) -> bool:
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    if client not in words:
        return False
    before = words[: words.index(client)]
    programs = [word.rpartition("/")[2] for word in before]
    return bool(programs) and (programs[-1] == "hook_shim.py" or programs[-2:] == ["swarm", "hook"])


def _http(client: Client, target: Target) -> dict[str, Any]:
    headers = {}
    if target.agent:
        headers["X-Swarm-Agent"] = target.agent
    if target.needs_token:
        headers["Authorization"] = f"Bearer ${TOKEN}"
    return {
        "type": "http",
        "url": f"{target.url.rstrip('/')}/v1/hooks/{client}",
        "timeout": HTTP_TIMEOUT_S,
        **({"headers": headers} if headers else {}),
        **({"allowedEnvVars": [TOKEN]} if target.needs_token else {}),
    }


def _command(target: Target) -> dict[str, Any]:
    return {"type": "command", "command": target.command, "timeout": COMMAND_TIMEOUT_S}
