"""Tasks under way in coding agents, as their hooks tell of them: ids, times and counts, and no text.

What a user or an agent said is in the open trajectory, where it is forgotten with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from swarm.errors import InputError
from swarm.sona.vectors import check_count, check_number, check_text
from swarm.wire.codec import encode
from swarm.wire.keys import check_name
from swarm.wire.records import guarded

MAX_TURNS = 64
"""Agents under way in one session."""
MAX_SEEN = 512
SEEN_BYTES = 8
_LARGEST = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """The task of one agent of a session. `began_s` is seconds since the epoch."""

    agent: str
    role: str
    trajectory_id: str
    """"" if it is not known what the task is."""
    began_s: float
    checks: Mapping[str, bool]
    well: int
    badly: int
    last_failed: bool
    is_interrupted: bool
    steps: int
    tokens: int
    part: int
    """How often the task was taken up again after its outcome."""
    delegation: str
    """The call that it was handed over by, while its end is awaited."""
    is_ended: bool
    is_reported: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session of a coding agent. `turns`: agent id -> its task, "" for the agent that the user talks to."""

    client: str
    session: str
    model: str
    at_s: float
    turns: Mapping[str, TurnRecord] = field(default_factory=dict)
    seen: tuple[bytes, ...] = ()
    """Digests of the events that have had their effect, the last ones."""


def encode_session(record: SessionRecord) -> bytes:
    """A session.

    Raises
    ------
    InputError
        If a value is out of its bounds: what is encoded can be decoded.
    """
    _checked(record)
    payload = {
        "client": record.client,
        "session": record.session,
        "model": record.model,
        "at_s": record.at_s,
        "turns": {agent_id: asdict(turn) for agent_id, turn in record.turns.items()},
        "seen": list(record.seen),
    }
    return encode("hook_session", payload)


def decode_session(data: bytes) -> SessionRecord:
    """The inverse of `encode_session`."""
    return guarded("hook_session", data, _session)


def _session(payload: Mapping[str, Any]) -> SessionRecord:
    values = dict(payload)
    turns = {agent_id: TurnRecord(**turn) for agent_id, turn in values.pop("turns").items()}
    seen = tuple(values.pop("seen"))
    return _checked(SessionRecord(turns=turns, seen=seen, **values))


def _checked(record: SessionRecord) -> SessionRecord:
    for text in (record.client, record.session, record.model, *record.turns):
        check_text(text, "session")
    check_number(record.at_s, "at_s", 0.0, _LARGEST)
    check_count(len(record.turns), "turns", 0, MAX_TURNS)
    check_count(len(record.seen), "seen", 0, MAX_SEEN)
    if not all(isinstance(one, bytes) and len(one) == SEEN_BYTES for one in record.seen):
        raise InputError(f"seen must hold digests of {SEEN_BYTES} bytes")
    for turn in record.turns.values():
        _check_turn(turn)
    return record


def _check_turn(turn: TurnRecord) -> None:
    check_name(turn.agent, "agent")
    for text in (turn.role, turn.trajectory_id, turn.delegation, *turn.checks):
        check_text(text, "turn")
    check_number(turn.began_s, "began_s", 0.0, _LARGEST)
    for name in ("well", "badly", "steps", "tokens", "part"):
        check_count(getattr(turn, name), name, 0, 2**53)
    flags = (turn.last_failed, turn.is_interrupted, turn.is_ended, turn.is_reported, *turn.checks.values())
    if not all(isinstance(flag, bool) for flag in flags):
        raise InputError("what is true or false of a turn must be a bool")
