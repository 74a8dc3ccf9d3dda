"""`/v1/hooks`: what happens in coding agents, told by their hooks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request

from swarm.errors import CapacityError
from swarm_gateway.hooks.events import MAX_ID
from swarm_gateway.hooks.service import MAX_WAITING, HookService
from swarm_gateway.identity import Asker

router = APIRouter(prefix="/v1/hooks", tags=["hooks"])
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A hook's payload, as the client words it; what is none is answered empty, too, and counted.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


async def hooks_of(request: Request) -> HookService:
    """The hooks of this process."""
    hooks = request.app.state.hooks
    assert isinstance(hooks, HookService)
    return hooks


Hooks = Annotated[HookService, Depends(hooks_of)]


@router.get("")
def status(asker: Asker, hooks: Hooks) -> Mapping[str, Any]:
    """What became of hooks since this gateway began: by event and outcome, with durations and the last errors."""
    asker.require_operator("read the counts of hooks")
    return hooks.status()


@router.post("/{client}", openapi_extra=_BODY)
async def hook(
    client: Literal["claude-code", "codex", "cursor"],
    request: Request,
    asker: Asker,
    hooks: Hooks,
    x_swarm_event: Annotated[str, Header(max_length=MAX_ID)] = "",
    x_swarm_agent: Annotated[str, Header(max_length=63)] = "",
) -> Mapping[str, Any]:
    """One event of a coding agent; the answer is what its contract knows, and never a decision.

    `X-Swarm-Event` names the event: one that is sent again has no effect. `X-Swarm-Agent` says who the agent is.
    """
    said = await hooks.answer(client, await request.body(), x_swarm_event or uuid.uuid4().hex, x_swarm_agent, asker)
    if said is None and x_swarm_event:
        # Who names its events keeps those that are not taken, and sends them again.
        raise CapacityError(f"{MAX_WAITING} events wait; send it again")
    return said or {}
