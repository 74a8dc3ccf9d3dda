"""What a tool's result says: the reward of the step, and whether it speaks for or against the work.

| result | reward | speaks |
|---|---|---|
| a check (tests, types, style, a build) that passed, by exit code and by what it printed | 1 | for, strongly |
| a check that failed | 0 | against, strongly |
| another command that ended well; a file edited or written | 1 | for, weakly |
| another command, an edit that failed | 0 | against, weakly |
| a command whose exit code 1 is an answer (`grep`, `diff`, `test`) | 0.5 | not |
| something read, searched, fetched, or planned; a sub-agent that came back | 1 | not |
| any other tool that failed | 0 | not |
| a call that the user interrupted | none | against |

What an agent says of its own work counts nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from swarm_gateway.hooks.commands import ANSWERS_BY_CODE, check_of, program_of
from swarm_gateway.hooks.events import EventKind, HookEvent, text_of

SHELLS = frozenset({"Bash", "Shell", "shell", "local_shell", "exec_command"})
EDITORS = frozenset({"Edit", "Write", "MultiEdit", "NotebookEdit", "apply_patch", "StrReplace", "search_replace"})
DELEGATES = frozenset({"Agent", "Task"})
"""Tools that hand a task to a sub-agent."""
MAX_OUTPUT = 20_000
"""Characters of a check's output that are looked at, the last ones: results stand at the end."""
_NODE_SIGNS = re.compile(r"[^A-Za-z0-9_.:+-]")
_FAILED = re.compile(
    r"\b[1-9]\d* (?:failed|failing|errors?)\b|\bFAILED\b|^FAIL\b|^--- FAIL|\bBUILD FAILED\b|^npm (?:ERR!|error)"
    r"|^error(?:\[\w+\])?: |\bcould not compile\b|\bAssertionError\b|: error TS\d+",
    re.MULTILINE,
)
_NOT_RUN = (126, 127)
"""Exit codes of a shell that found no such program, or may not run it."""
_EXIT_CODE = re.compile(r"\b[Ee]xit(?:ed with)? (?:code|status):? (\d{1,3})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one result says. `reward` in [0, 1] is None if there is no step; `speaks` is None if it says nothing."""

    node: str
    reward: float | None
    speaks: bool | None = None
    check: str = ""
    """Which check it was, if it was one."""
    is_interrupt: bool = False


def read_result(event: HookEvent) -> Reading:
    """What the result of a tool says; `event` is the end of a call, good or bad."""
    response = event.tool_response
    if event.is_interrupt or _flag(response, "interrupted"):
        return Reading(node=_node(event), reward=None, is_interrupt=True)
    if event.tool in SHELLS:
        return _of_command(event)
    ok = event.kind is not EventKind.TOOL_FAILED and not _says_failed(response)
    return Reading(node=_node(event), reward=float(ok), speaks=ok if event.tool in EDITORS else None)


def _of_command(event: HookEvent) -> Reading:
    command = text_of(event.tool_input, "command", "cmd")
    code = _exit_code(event)
    ok = (
        code == 0
        if code is not None
        else event.kind is not EventKind.TOOL_FAILED and not _says_failed(event.tool_response)
    )
    node = _node(event, program_of(command))
    if (check := check_of(command)) and code not in _NOT_RUN:
        if "|" in command or ";" in command or isinstance(event.tool_response, str):
            # `pytest | tail` ends well whatever the tests say.
            ok = ok and not _FAILED.search(_printed(event.tool_response))
        return Reading(node=node, reward=float(ok), speaks=ok, check=check)
    if not ok and code in (None, 1) and program_of(command) in ANSWERS_BY_CODE:
        return Reading(node=node, reward=0.5)
    return Reading(node=node, reward=float(ok), speaks=ok)


def _node(event: HookEvent, program: str = "") -> str:
    """The tool, and of a shell the program: "Bash:pytest". Its arguments stay where they are: they may be secret."""
    name = f"{event.tool}:{program}" if program else event.tool
    return _NODE_SIGNS.sub("_", name)[:80]


def _exit_code(event: HookEvent) -> int | None:
    response = event.tool_response
    for name in ("exit_code", "exitCode", "returncode", "returnCode", "code"):
        if isinstance(response, dict) and isinstance(code := response.get(name), int) and not isinstance(code, bool):
            return code
    said = _EXIT_CODE.search(event.text if event.kind is EventKind.TOOL_FAILED else _printed(response)[:200])
    return int(said[1]) if said else None


def _printed(response: Any) -> str:
    """What a command printed, its last part."""
    if isinstance(response, str):
        return response[-MAX_OUTPUT:]
    if not isinstance(response, dict):
        return ""
    parts = (response.get(name) for name in ("output", "stdout", "stderr"))
    return "\n".join(part[-MAX_OUTPUT:] for part in parts if isinstance(part, str))


def _says_failed(response: Any) -> bool:
    if not isinstance(response, dict):
        return False
    is_bad = _flag(response, "is_error") or _flag(response, "isError") or response.get("success") is False
    return is_bad or response.get("status") in ("error", "failed")


def _flag(response: Any, name: str) -> bool:
    return isinstance(response, dict) and response.get(name) is True
