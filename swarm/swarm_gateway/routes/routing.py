"""`/v1/route`: which model, tool or variant a task goes to, why, and whether it would again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from swarm_gateway.identity import Asker
from swarm_gateway.openapi import links
from swarm_gateway.schemas.base import PRINTABLE, Share, Text
from swarm_gateway.schemas.routing import DecisionView, RouteOptions, RouteView

router = APIRouter(prefix="/v1/route", tags=["router"])


class RouteQuestion(RouteOptions):
    """A task to route; see `Swarm.route`. Without `routes` those that are known are meant."""

    text: Text
    agent: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,62})?$")] = ""
    min_quality: Share | None = None
    explain: Annotated[bool, Field(description="Answer every candidate, and what excluded it")] = False

    def asked(self) -> dict[str, Any]:
        """What `route` takes besides the text; only what was given."""
        return self.model_dump(exclude={"text", "explain"}, exclude_none=True)


@router.post("", responses={200: links(router_decision={"decision_id": "$response.body#/decision_id"})})
def route(body: RouteQuestion, asker: Asker) -> RouteView:
    """Which route to take for a task. Bounds are hard; the decision is kept, and counts in the budgets."""
    return RouteView.of_advice(asker.route(body.text, **body.asked()), explain=body.explain)


@router.get("/{decision_id}")
def decision(decision_id: Annotated[str, Path(pattern=rf"^{PRINTABLE}$")], asker: Asker) -> DecisionView:
    """A decision with what it hung on, and the same choice made again from that."""
    return DecisionView.of_replay(asker.decision(decision_id))
