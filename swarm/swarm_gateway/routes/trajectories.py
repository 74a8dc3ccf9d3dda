"""`/v1/trajectories`: the hooks around a task, for agents that are no Python functions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from swarm_gateway.identity import Asker, Here

router = APIRouter(prefix="/v1/trajectories", tags=["trajectories"])
TrajectoryId = Annotated[str, Path(description="What beginning it answered", max_length=200)]


class Begin(BaseModel):
    """What is asked before a task; see `Agent.before_task`."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    role: str | None = None
    text: str
    k: int = Field(default=5, ge=1, le=1000)
    agents: list[str] | None = None
    roles: list[str] | None = None
    min_quality: float = Field(default=0.0, ge=0.0, le=1.0)
    tools: list[str] = []
    trajectory_id: str | None = None
    routes: list[str] | None = None
    strategy: str | None = None
    max_cost: float | None = None
    timeout_ms: float | None = None
    fallback: str | None = None
    session: str | None = None

    def options(self) -> dict[str, Any]:
        """What `before_task` takes besides the text; only what was given."""
        given = self.model_dump(exclude={"agent", "role", "text"}, exclude_none=True)
        return {"tools": (), **given}


class Advice(BaseModel):
    """Patterns, best first, and a route if one was asked for."""

    trajectory_id: str
    task_type: str
    patterns: list[dict[str, Any]]
    route: dict[str, Any] | None
    is_fresh: bool


class StepBody(BaseModel):
    """A step of a task: which tool or pattern, how well in [0, 1], how long."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    reward: float = Field(ge=0.0, le=1.0)
    node: str = ""
    latency_ms: float = Field(default=0.0, ge=0.0)


class End(BaseModel):
    """What happened; see `Agent.after_task`."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    success: bool | None = None
    quality: float | None = Field(default=None, ge=0.0, le=1.0)
    used: str | None = None
    output: str = ""
    route: str = ""
    latency_ms: float = Field(default=0.0, ge=0.0)
    cost: float = Field(default=0.0, ge=0.0)
    idempotency_key: str | None = None


@router.post("", status_code=201)
def begin(body: Begin, asker: Asker, here: Here) -> Advice:
    """What has worked for tasks like this one, and an open trajectory for its steps and its end."""
    with here.hooks(asker, body.agent, body.role) as hooks:
        advice = hooks.before_task(body.text, **body.options())
    return Advice(
        trajectory_id=advice.trajectory_id,
        task_type=advice.task_type,
        patterns=[pattern.to_dict() for pattern in advice.patterns],
        route=None if advice.route is None else advice.route.as_dict(),
        is_fresh=advice.is_fresh,
    )


@router.post("/{trajectory_id}/steps", status_code=204)
def step(trajectory_id: TrajectoryId, body: StepBody, asker: Asker, here: Here) -> None:
    """Record a step of a task under way."""
    with here.hooks(asker, body.agent) as hooks:
        hooks.step(trajectory_id, body.reward, node=body.node, latency_ms=body.latency_ms)


@router.post("/{trajectory_id}/end")
def end(trajectory_id: TrajectoryId, body: End, asker: Asker, here: Here) -> dict[str, Any]:
    """Report what happened; the receipt says where the outcome is."""
    with here.hooks(asker, body.agent) as hooks:
        receipt = hooks.after_task(trajectory_id, **body.model_dump(exclude={"agent"}))
    return receipt.as_dict()


@router.delete("/{trajectory_id}", status_code=204)
def abandon(trajectory_id: TrajectoryId, agent: Annotated[str, Query()], asker: Asker, here: Here) -> None:
    """Close a trajectory that will have no outcome; nothing is learned from it."""
    with here.hooks(asker, agent) as hooks:
        hooks.abandon(trajectory_id)
