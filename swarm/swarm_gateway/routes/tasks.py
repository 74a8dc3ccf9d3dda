"""`/v1/tasks` and `/v1/dead`: tasks for agents, and those that failed for good."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from swarm.wire.task_records import MAX_WHY, TaskState
from swarm_gateway.identity import Asker, Here
from swarm_gateway.openapi import links
from swarm_gateway.schemas.base import Body, TaskId, View, Wait
from swarm_gateway.schemas.receipts import found_view
from swarm_gateway.schemas.tasks import CountsView, Submission, SubmittedView, TaskStateView
from swarm_gateway.waiting import until_ended

router = APIRouter(tags=["tasks"])


class TasksByRole(View):
    """Tasks by role and state."""

    roles: tuple[CountsView, ...]


class Cancellation(Body):
    """Why nobody wants it any more."""

    why: Annotated[str, Field(max_length=MAX_WHY)] = "cancelled"


class Cancelled(View):
    """The state by now: running while its worker has yet to stop."""

    id: str
    state: TaskState


class Dead(View):
    """Dead tasks, those that died last first."""

    tasks: tuple[TaskStateView, ...]


_ITS_ID = "$response.body#/id"


@router.post(
    "/v1/tasks",
    status_code=201,
    responses={
        200: {"model": SubmittedView, "description": "Known already"},
        201: links(
            tasks_task={"task": _ITS_ID}, tasks_cancel={"task": _ITS_ID}, receipts_receipt={"receipt_id": _ITS_ID}
        ),
    },
)
def submit(body: Submission, asker: Asker, response: Response) -> SubmittedView:
    """Put a task on the queue of a role, once per idempotency key; durable when this answers."""
    options = body.model_dump(exclude={"text"}, exclude_none=True)
    task = options.pop("payload", {}) if body.text is None else body.text
    receipt = asker.submit(task, **options)
    response.status_code = 201 if receipt.is_new else 200
    return SubmittedView.of(receipt)


@router.get("/v1/tasks")
def counts(asker: Asker) -> TasksByRole:
    """Tasks by role and state, and the age of the oldest that waits."""
    return TasksByRole(roles=tuple(map(CountsView.of, asker.tasks.counts())))


@router.get("/v1/tasks/{task}")
async def task(
    task: TaskId, request: Request, asker: Asker, here: Here, wait: Annotated[Wait, Query()] = 0.0
) -> TaskStateView:
    """How a task stands; with `wait` when it has ended, and what it came to."""
    look = await to_thread.run_sync(asker.follow, task)
    found = found_view(await until_ended(look, wait, request, here))
    assert isinstance(found, TaskStateView)
    return found


@router.post("/v1/tasks/{task}/cancel")
def cancel(task: TaskId, asker: Asker, body: Cancellation | None = None) -> Cancelled:
    """Cancel a task; one that has ended stays as it is."""
    return Cancelled(id=task, state=asker.tasks.cancel(task, (body or Cancellation()).why))


@router.get("/v1/dead")
def dead(asker: Asker, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Dead:
    """Tasks that failed for good, with why."""
    return Dead(tasks=tuple(map(TaskStateView.of_view, asker.tasks.dead(limit))))


@router.post("/v1/dead/{task}/replay")
def replay(task: TaskId, asker: Asker, replays: Annotated[int | None, Query(ge=0, le=2**53)] = None) -> SubmittedView:
    """Let a dead task wait again, with all its attempts. With `replays`, its number so far, only once."""
    return SubmittedView.of(asker.tasks.replay(task, replays))


@router.delete("/v1/dead/{task}", status_code=204)
def drop(task: TaskId, asker: Asker) -> None:
    """Forget a dead task."""
    asker.tasks.drop(task)
