"""`/v1/trajectories` and `/v1/outcomes`: the hooks around a task, for agents that are no Python functions."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ConfigDict, Field

from swarm.errors import SwarmError
from swarm.services.guard import GuardedSwarm
from swarm.services.receipts import Receipt
from swarm_gateway.gateway import Gateway
from swarm_gateway.identity import Asker, Here
from swarm_gateway.openapi import links
from swarm_gateway.schemas.base import (
    AS_WHOLE,
    NAME,
    PRINTABLE,
    Body,
    Dollars,
    Key,
    Label,
    Milliseconds,
    Name,
    Names,
    OptionalText,
    Share,
    Text,
    View,
    Wait,
)
from swarm_gateway.schemas.hits import HitView
from swarm_gateway.schemas.receipts import ReceiptView
from swarm_gateway.schemas.routing import RouteOptions, Routes, RouteView
from swarm_gateway.waiting import receipt_when_ended

router = APIRouter(tags=["trajectories"])
TrajectoryId = Annotated[str, Path(pattern=rf"^{PRINTABLE}$", description="What beginning it answered")]


class Begin(RouteOptions):
    """What is asked before a task; see `Agent.before_task`. With any option of a route one is chosen."""

    agent: Name
    role: Name | None = None
    text: Text
    k: Annotated[int, Field(ge=1, le=1000), AS_WHOLE] = 5
    agents: Names | None = None
    roles: Names | None = None
    min_quality: Share = 0.0
    trajectory_id: Key | None = None

    def asked(self) -> dict[str, Any]:
        """What `before_task` takes besides the text; only what was given."""
        return self.model_dump(exclude={"agent", "role", "text"}, exclude_none=True)


class AdviceView(View):
    """Patterns, best first, and a route if one was asked for; see `TaskAdvice`."""

    trajectory_id: str
    task_type: str
    patterns: tuple[HitView, ...]
    route: RouteView | None
    is_fresh: bool


class StepBody(Body):
    """A step of a task: which tool or pattern, how well in [0, 1], how long."""

    agent: Name
    reward: Share
    node: Annotated[str, Field(max_length=1_000)] = ""
    latency_ms: Milliseconds = 0.0


class End(Body):
    """What happened; see `Agent.after_task`. Exactly one of success and quality is given."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"properties": {"success": {"type": "boolean"}, "quality": {"type": "null"}}, "required": ["success"]},
                {"properties": {"quality": {"type": "number"}, "success": {"type": "null"}}, "required": ["quality"]},
            ]
        }
    )

    agent: Name
    success: bool | None = None
    quality: Share | None = None
    used: Annotated[Key, Field(description="The id of the pattern that was followed")] | None = None
    output: OptionalText = ""
    route: Label = ""
    latency_ms: Milliseconds = 0.0
    cost: Dollars = 0.0
    idempotency_key: Key | None = None
    wait: Wait = 0.0

    def told(self) -> dict[str, Any]:
        """What `after_task` takes besides the trajectory, but for waiting."""
        return self.model_dump(include=set(End.model_fields) - {"agent", "wait"})


class Outcome(End):
    """A task that is over: its text, and what happened."""

    text: Text
    role: Name | None = None
    tools: Annotated[Routes, Field(default_factory=list)]


_OPENED = {"trajectory_id": "$response.body#/trajectory_id"}
_ITS_AGENT = "$request.body#/agent"


@router.post(
    "/v1/trajectories",
    status_code=201,
    response_model=AdviceView,
    responses={
        201: links(
            trajectories_step={**_OPENED, "body.agent": _ITS_AGENT},
            trajectories_end={**_OPENED, "body.agent": _ITS_AGENT},
            trajectories_abandon={**_OPENED, "agent": _ITS_AGENT},
        )
    },
)
async def begin(body: Begin, asker: Asker, here: Here) -> Response:
    """What has worked for tasks like this one, and an open trajectory for its steps and its end."""
    # In one turn of a thread, the bytes included: FastAPI would check and write them on the loop, and agents wait.
    return await to_thread.run_sync(partial(_begin, body, asker, here))


@router.post("/v1/trajectories/{trajectory_id}/steps", status_code=204)
def step(trajectory_id: TrajectoryId, body: StepBody, asker: Asker, here: Here) -> None:
    """Record a step of a task under way."""
    with here.hooks(asker, body.agent) as hooks:
        hooks.step(trajectory_id, body.reward, node=body.node, latency_ms=body.latency_ms)


@router.post("/v1/trajectories/{trajectory_id}/end")
async def end(trajectory_id: TrajectoryId, body: End, request: Request, asker: Asker, here: Here) -> ReceiptView:
    """Report what happened; the receipt says where the outcome is. With `wait` it is answered when it is searchable."""
    receipt = await to_thread.run_sync(partial(_end, trajectory_id, body, asker, here))
    return ReceiptView.of(await receipt_when_ended(receipt, body.wait, request, here))


@router.delete("/v1/trajectories/{trajectory_id}", status_code=204)
def abandon(
    trajectory_id: TrajectoryId, agent: Annotated[str, Query(pattern=rf"^{NAME}$")], asker: Asker, here: Here
) -> None:
    """Close a trajectory that will have no outcome; nothing is learned from it."""
    with here.hooks(asker, agent) as hooks:
        hooks.abandon(trajectory_id)


@router.post(
    "/v1/outcomes", status_code=201, responses={201: links(receipts_receipt={"receipt_id": "$response.body#/id"})}
)
async def outcome(body: Outcome, request: Request, asker: Asker, here: Here) -> ReceiptView:
    """Report a task that is over, in one call. With an idempotency key it counts once, however often it is sent."""
    receipt = await to_thread.run_sync(partial(_report, body, asker, here))
    return ReceiptView.of(await receipt_when_ended(receipt, body.wait, request, here))


def _begin(body: Begin, asker: GuardedSwarm, here: Gateway) -> Response:
    with here.hooks(asker, body.agent, body.role) as hooks:
        advice = hooks.before_task(body.text, **body.asked())
    view = AdviceView(
        trajectory_id=advice.trajectory_id,
        task_type=advice.task_type,
        patterns=tuple(map(HitView.of, advice.patterns)),
        route=None if advice.route is None else RouteView.of_advice(advice.route),
        is_fresh=advice.is_fresh,
    )
    return Response(view.model_dump_json(), status_code=201, media_type="application/json")


def _end(trajectory_id: str, body: End, asker: GuardedSwarm, here: Gateway) -> Receipt:
    with here.hooks(asker, body.agent) as hooks:
        return hooks.after_task(trajectory_id, **body.told())


def _report(body: Outcome, asker: GuardedSwarm, here: Gateway) -> Receipt:
    with here.hooks(asker, body.agent, body.role) as hooks:
        trajectory_id = hooks.before_task(body.text, k=1, tools=body.tools).trajectory_id
        try:
            return hooks.after_task(trajectory_id, **body.told())
        except SwarmError:
            # Nobody was told its id: nobody could end it.
            with suppress(SwarmError):
                hooks.abandon(trajectory_id)
            raise
