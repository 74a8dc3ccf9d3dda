"""`/v1/receipts`: what became of anything that was accepted."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request

from swarm_gateway.identity import Asker, Here
from swarm_gateway.schemas.base import NAME, PRINTABLE, TASK_ID, Wait
from swarm_gateway.schemas.receipts import FoundView, found_view
from swarm_gateway.waiting import until_ended

router = APIRouter(tags=["receipts"])
_ID = (
    rf"^(outcome/{NAME}/{PRINTABLE}|consolidation/{NAME}/[0-9]{{1,16}}|merge/[0-9]{{1,16}}-[0-9]{{1,16}}"
    rf"|(task/)?{TASK_ID})$"
)
ReceiptId = Annotated[
    str,
    Path(
        pattern=_ID,
        description="outcome/AGENT/KEY, consolidation/AGENT/N, merge/ID or that of a task",
        examples=["outcome/coder-1/rename-1"],
    ),
]


@router.get("/v1/receipts/{receipt_id:path}")
async def receipt(
    receipt_id: ReceiptId, request: Request, asker: Asker, here: Here, wait: Annotated[Wait, Query()] = 0.0
) -> FoundView:
    """Where an outcome, a task, a consolidation or a merge stands; with `wait` when it has ended."""
    look = await to_thread.run_sync(asker.follow, receipt_id)
    return found_view(await until_ended(look, wait, request, here))
