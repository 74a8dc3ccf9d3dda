"""Tasks for agents: what is submitted, and how one stands."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from swarm.services.placement import Reason
from swarm.services.tasks import TaskView
from swarm.wire.task_records import MAX_ATTEMPTS, MAX_TIME_LIMIT, TaskState
from swarm_gateway.schemas.base import AS_WHOLE, Body, Key, Label, Name, Text, View, jsonable

Seconds = Annotated[float, Field(ge=0.0, le=MAX_TIME_LIMIT)]


class Submission(Body):
    """A task for the queue of a role; see `TaskOptions`. It needs a text or a payload, and a role or an agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "anyOf": [
                        {"properties": {"text": {"type": "string"}}, "required": ["text"]},
                        {"properties": {"payload": {"minProperties": 1, "type": "object"}}, "required": ["payload"]},
                    ]
                },
                {
                    "anyOf": [
                        {"properties": {"role": {"type": "string"}}, "required": ["role"]},
                        {"properties": {"agent": {"type": "string"}}, "required": ["agent"]},
                    ]
                },
                # Who it is placed on is learned, or said.
                {"anyOf": [{"properties": {"place": {"type": "null"}}}, {"properties": {"agent": {"type": "null"}}}]},
            ]
        }
    )

    text: Text | None = None
    payload: dict[str, JsonValue] | None = None
    role: Name | None = None
    agent: Name | None = None
    submitter: Label | None = None
    priority: Annotated[int, Field(ge=0, le=9), AS_WHOLE] | None = None
    deadline: Annotated[float, Field(ge=1.0, le=1e11, description="Seconds since the epoch; later than now")] | None = (
        None
    )
    time_limit: Annotated[float, Field(ge=0.01, le=MAX_TIME_LIMIT)] | None = None
    max_attempts: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS), AS_WHOLE] | None = None
    backoff: Seconds | None = None
    max_backoff: Seconds | None = None
    idempotency_key: Key | None = None
    report: bool | None = None
    place: Literal["learned"] | None = None


class AgentCandidate(View):
    """An agent that could have had the task."""

    agent: str
    expected_quality: float
    evidence: float
    load: int
    score: float
    is_believed: bool


class PlacementView(View):
    """Who was chosen among how many, and why; see `Placement`."""

    agent: str
    reason: Reason
    considered: int
    candidates: tuple[AgentCandidate, ...]
    why: str


class SubmittedView(View):
    """The task is durable; `is_new` is false if its idempotency key was seen before."""

    id: str
    is_new: bool
    placement: PlacementView | None


class TaskStateView(View):
    """A task as it was submitted and as it stands; `result` is what it came to. Times are in seconds."""

    id: str
    state: TaskState
    has_ended: bool
    role: str
    text: str
    payload: dict[str, JsonValue]
    agent: str
    submitter: str
    priority: int
    deadline: float
    time_limit: float
    max_attempts: int
    backoff: float
    max_backoff: float
    idempotency_key: str
    report: bool
    placement: dict[str, JsonValue]
    redact: tuple[str, ...]
    submitted: float
    attempts: int
    replays: int
    worker: str
    fraction: float
    note: str
    why: str
    is_cancelled: bool
    ended: float
    result: JsonValue

    @classmethod
    def of_view(cls, view: TaskView) -> TaskStateView:
        """What belongs to it as JSON has it: bytes as base64."""
        values: Any = jsonable(view.as_dict())
        return cls(**values, has_ended=view.has_ended)


class CountsView(View):
    """The tasks of one role by state; see `RoleCounts`. `lost` must be 0."""

    role: str
    submitted: int
    waiting: int
    retrying: int
    running: int
    succeeded: int
    dead: int
    cancelled: int
    dropped: int
    lost: int
    oldest_waiting_s: float | None
