"""The coding agents whose hooks are understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from swarm_gateway.hooks import claude_code, cursor
from swarm_gateway.hooks.events import EventKind, HookEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """How one of them speaks. `answered` are the events into which text may be put."""

    name: str
    read: Callable[[str, object, str, float], HookEvent]
    answer: Callable[[HookEvent, str], Mapping[str, Any]]
    answered: Set[EventKind]


CLIENTS = {
    client.name: client
    for client in (
        Client(
            name="claude-code",
            read=claude_code.read,
            answer=claude_code.answer,
            answered=frozenset(claude_code.ANSWERED),
        ),
        # Codex took over Claude Code's shapes.
        Client(
            name="codex", read=claude_code.read, answer=claude_code.answer, answered=frozenset(claude_code.ANSWERED)
        ),
        Client(name="cursor", read=cursor.read, answer=cursor.answer, answered=frozenset(cursor.ANSWERED)),
    )
}
