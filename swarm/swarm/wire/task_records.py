"""Tasks for agents as records: what was submitted, how it stands, what came of it."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from swarm.embed.redaction import check_rules
from swarm.embed.text import MAX_TEXT_BYTES, check_text
from swarm.errors import InputError, shown
from swarm.sona.vectors import check_count, check_number
from swarm.wire.codec import encode_readable
from swarm.wire.keys import check_name
from swarm.wire.records import guarded

MAX_LABEL = 200
"""Characters of a submitter, and of an idempotency key."""
MAX_ATTEMPTS = 100
MAX_TIME_LIMIT = 86_400.0
MAX_NOTE = 1_000
MAX_WHY = 2_000
"""Characters of a reason; what is longer is cut."""
_LARGEST_TIME = 1e11
_ID_LENGTH = 32


class TaskState(StrEnum):
    """Where a task stands."""

    WAITING = "waiting"
    """In the queue of its role."""
    RETRYING = "retrying"
    """Failed, and waits to be tried again."""
    RUNNING = "running"
    """A worker has it, under a lease."""
    SUCCEEDED = "succeeded"
    """Has a result."""
    DEAD = "dead"
    """Failed for good; `why` says how. It can be replayed or dropped."""
    CANCELLED = "cancelled"
    """Nobody wants it any more."""


ENDS = (TaskState.SUCCEEDED, TaskState.DEAD, TaskState.CANCELLED)
"""A task in one of these changes no more, but that a dead one can be replayed or dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task as it was submitted. Times are seconds, points in time seconds since the epoch."""

    role: str
    text: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    agent: str = ""
    """Who is to do it; empty for anybody of the role."""
    submitter: str = ""
    """Whose turn it takes."""
    priority: int = 5
    """0..9, highest first, among the tasks of one submitter."""
    deadline: float = 0.0
    """When it is worth nothing any more; 0 for never."""
    time_limit: float = 600.0
    """How long one attempt may take."""
    max_attempts: int = 3
    backoff: float = 1.0
    """How long to wait after the first failure; doubled after each other one ..."""
    max_backoff: float = 300.0
    """... up to this."""
    idempotency_key: str = ""
    report: bool = True
    """Whether the hooks report an outcome; False where whoever submitted it judges what it came to."""
    placement: Mapping[str, Any] = field(default_factory=dict)
    """Why it was given to `agent`, if that was learned; see `services.placement`."""
    traceparent: str = ""
    """Where it was submitted, if that was recorded; there the trace goes on."""
    redact: tuple[str, ...] = ()
    """What is taken out of its texts, and of what becomes of it: rules of the agents that it may go to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """How a task stands, as the scripts keep it."""

    state: TaskState
    submitted: float
    attempts: int = 0
    """How often it was begun, since it was submitted or replayed."""
    replays: int = 0
    deadline: float = 0.0
    worker: str = ""
    """Who has it, or had it last."""
    fraction: float = 0.0
    note: str = ""
    why: str = ""
    """Why the last attempt failed, or the task ended."""
    is_cancelled: bool = False
    """Whether it is to stop; while it runs, its worker is told at the next renewal."""
    ended: float = 0.0


_FIELDS = frozenset(one.name for one in fields(TaskRecord))
_LATER = frozenset({"report", "placement", "traceparent", "redact"})


def check_task(record: TaskRecord) -> TaskRecord:
    """`record` if every value is within its bounds."""
    check_name(record.role, "role")
    for parameter in ("payload", "placement"):
        if not isinstance(getattr(record, parameter), Mapping):
            raise InputError(f"{parameter} must be a mapping, got {type(getattr(record, parameter)).__name__}")
    if not isinstance(record.agent, str) or record.agent:
        check_name(record.agent, "agent")
    if not isinstance(record.text, str) or record.text or not record.payload:
        check_text(record.text, "task")
    if not isinstance(record.report, bool):
        raise InputError(f"report must be True or False, got {shown(record.report, 40)}")
    for parameter in ("submitter", "idempotency_key", "traceparent"):
        label = getattr(record, parameter)
        if not isinstance(label, str) or len(label) > MAX_LABEL or not label.isprintable():
            raise InputError(f"{parameter} must be at most {MAX_LABEL} printable characters, got {shown(label, 60)}")
    check_count(record.priority, "priority", 0, 9)
    if check_number(record.deadline, "deadline", 0.0, _LARGEST_TIME) != 0.0:
        check_number(record.deadline, "deadline", 1.0, _LARGEST_TIME)
    check_number(record.time_limit, "time_limit", 0.01, MAX_TIME_LIMIT)
    check_count(record.max_attempts, "max_attempts", 1, MAX_ATTEMPTS)
    check_number(record.backoff, "backoff", 0.0, MAX_TIME_LIMIT)
    check_number(record.max_backoff, "max_backoff", 0.0, MAX_TIME_LIMIT)
    return record


def encode_task(record: TaskRecord) -> bytes:
    """A task, checked: what is encoded can be decoded, by any worker.

    Raises
    ------
    InputError
        If a value is out of its bounds, or the payload holds what msgpack cannot give back.
    CapacityError
        If the record would be too large.
    """
    check_task(record)
    values = {one.name: getattr(record, one.name) for one in fields(TaskRecord)}
    values |= {"payload": dict(record.payload), "placement": dict(record.placement)}
    for later in ("traceparent", "redact"):
        if not values[later]:
            # Without one, a worker of an earlier version can do the task.
            del values[later]
    return encode_readable("task", values, "payload")


def decode_task(data: bytes) -> TaskRecord:
    """The inverse of `encode_task`."""
    return guarded("task", data, _task)


def encode_result(result: object) -> bytes:
    """What a task came to: anything of numbers, text, bytes, lists and maps with text keys, or None."""
    return encode_readable("task-result", {"result": result}, "result")


def decode_result(data: bytes) -> Any:
    """The inverse of `encode_result`; tuples have become lists."""
    return guarded("task-result", data, lambda payload: payload["result"])


def decode_status(data: bytes) -> TaskStatus:
    """A state as the scripts pack it."""
    return guarded("task-state", data, _status)


def task_id(role: str, idempotency_key: str = "") -> str:
    """An id that no other task has; with an idempotency key the same one each time.

    >>> task_id("coder", "a key") == task_id("coder", "a key")
    True
    """
    if idempotency_key:
        return f"{role}:{hashlib.sha256(idempotency_key.encode()).hexdigest()[:_ID_LENGTH]}"
    return f"{role}:{uuid.uuid4().hex}"


def role_of(task: object) -> str:
    """The role in a task id; with it all keys of the task are known.

    >>> role_of(task_id("coder"))
    'coder'
    """
    role, _, number = task.rpartition(":") if isinstance(task, str) else ("", "", "")
    if len(number) != _ID_LENGTH or not set(number) <= set("0123456789abcdef"):
        raise InputError(f"a task id is ROLE:{_ID_LENGTH} hexadecimal digits, got {shown(task, 120)}")
    return check_name(role, "the role in a task id")


def text_of(record: TaskRecord) -> str:
    """What agents learn a task by: its text, or its payload on one line.

    >>> text_of(TaskRecord(role="coder", payload={"file": "a.csv", "rows": 3}))
    '{"file": "a.csv", "rows": 3}'
    """
    if record.text:
        return record.text
    return json.dumps(record.payload, sort_keys=True, default=repr, ensure_ascii=False)[: MAX_TEXT_BYTES // 4]


def reason(why: object) -> str:
    """Any reason as text that can be stored."""
    return storable(why, MAX_WHY) or "no reason was given"


def storable(value: object, bound: int) -> str:
    """`value` as text of at most `bound` characters, without lone surrogates."""
    try:
        text = str(value)
    except (RecursionError, ValueError):  # too deep, or too large a number
        text = shown(value, bound)
    return text[:bound].encode(errors="replace").decode()


def _task(payload: Mapping[str, Any]) -> TaskRecord:
    # What the first writers of such records did not know yet has its default.
    if not _FIELDS - _LATER <= payload.keys() <= _FIELDS:
        raise InputError("the fields are not those of a task")
    return check_task(TaskRecord(**{**payload, "redact": check_rules(payload.get("redact", ()))}))


def _status(payload: Mapping[str, Any]) -> TaskStatus:
    # Lua has one type of number, and packs a whole one as an integer.
    return TaskStatus(
        state=TaskState(payload["state"]),
        submitted=check_number(payload["submitted"], "submitted", 0.0, _LARGEST_TIME),
        attempts=check_count(payload["attempts"], "attempts", 0, 2**53),
        replays=check_count(payload["replays"], "replays", 0, 2**53),
        deadline=check_number(payload["deadline"], "deadline", 0.0, _LARGEST_TIME),
        worker=str(payload["worker"]),
        fraction=check_number(payload["fraction"], "fraction", 0.0, 1.0),
        note=str(payload["note"]),
        why=str(payload["why"]),
        is_cancelled=payload["cancelled"] == 1,
        ended=check_number(payload.get("ended", 0.0), "ended", 0.0, _LARGEST_TIME),
    )
