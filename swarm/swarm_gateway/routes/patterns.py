"""`/v1/patterns`: what the swarm has learned, with who from, to store, pin and forget."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field

from swarm.services.patterns import MAX_OFFSET, MAX_PAGE, PatternOrder
from swarm.services.retention import PinView
from swarm_gateway.identity import Asker, Here, who
from swarm_gateway.openapi import links
from swarm_gateway.schemas.agents import ForgettingView
from swarm_gateway.schemas.base import NAME, Body, Key, Name, PatternId, Share, Text, Wait
from swarm_gateway.schemas.hits import DetailView, PageView
from swarm_gateway.schemas.receipts import ReceiptView
from swarm_gateway.waiting import receipt_when_ended

router = APIRouter(prefix="/v1/patterns", tags=["patterns"])
_Name = Annotated[str | None, Query(pattern=rf"^{NAME}$")]


class NewPattern(Body):
    """What solved a task, or did not; see `Swarm.store_pattern`."""

    task: Text
    output: Text
    reward: Share = 1.0
    success: bool = True
    input: Text | None = None
    metadata: Annotated[dict[str, str], Field(default_factory=dict, max_length=100)]
    agent: Annotated[Name | None, Field(description="Whose word it is; library if nobody is named")] = None
    idempotency_key: Key | None = None
    wait: Wait = 0.0


@router.get("")
async def patterns(
    asker: Asker,
    here: Here,
    agent: _Name = None,
    role: _Name = None,
    task_type: Annotated[str | None, Query(alias="type", max_length=100)] = None,
    order: PatternOrder = PatternOrder.EVIDENCE,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> PageView:
    """The patterns of the bank, page by page."""
    ask = partial(
        asker.patterns,
        agents=None if agent is None else [agent],
        roles=None if role is None else [role],
        task_type=task_type,
        order=order,
        offset=offset,
        limit=limit,
    )
    # Of a large bank this reads everything.
    return PageView.of(await here.reading(ask))


@router.post("", status_code=201, responses={201: links(receipts_receipt={"receipt_id": "$response.body#/id"})})
async def store(body: NewPattern, request: Request, asker: Asker, here: Here) -> ReceiptView:
    """Store what solved a task; it takes the way of every outcome, and the receipt says how far it is."""
    given = body.model_dump(exclude={"task", "output", "reward", "wait"}, exclude_none=True)
    receipt = await to_thread.run_sync(partial(asker.store_pattern, body.task, body.output, body.reward, **given))
    return ReceiptView.of(await receipt_when_ended(receipt, body.wait, request, here))


@router.get("/{pattern_id}")
def pattern(pattern_id: PatternId, asker: Asker) -> DetailView:
    """One pattern: who learned it, from which runs, how its routes did, and whether it is pinned or believed."""
    return DetailView.of_detail(asker.pattern(pattern_id))


@router.delete("/{pattern_id}")
async def forget(pattern_id: PatternId, asker: Asker, here: Here) -> ForgettingView:
    """Erase a pattern and the outcomes behind it; nothing brings it back."""
    work = partial(asker.over(here.patient).forget, pattern=pattern_id, by=who(asker))
    return ForgettingView.of(await here.slowly(work))


@router.post("/{pattern_id}/pin")
async def pin(pattern_id: PatternId, asker: Asker, here: Here) -> PinView:
    """Keep a pattern from decaying, expiring and being pruned."""
    return await here.slowly(partial(asker.over(here.patient).pin, pattern_id, by=who(asker)))


@router.delete("/{pattern_id}/pin")
async def unpin(pattern_id: PatternId, asker: Asker, here: Here) -> PinView:
    """Let a pattern age again."""
    return await here.slowly(partial(asker.over(here.patient).unpin, pattern_id))
