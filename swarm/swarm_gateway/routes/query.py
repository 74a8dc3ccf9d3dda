"""`/v1/query`: what the swarm knows for a task."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from swarm_gateway.identity import Asker
from swarm_gateway.schemas.base import AS_WHOLE, Body, Names, Share, Text, View
from swarm_gateway.schemas.hits import HitView

router = APIRouter(tags=["patterns"])


class Question(Body):
    """A task's text, and whose experience counts; see `Swarm.query`."""

    text: Text
    agents: Names | None = None
    roles: Names | None = None
    min_quality: Share = 0.0
    k: Annotated[int, Field(ge=1, le=1000), AS_WHOLE] = 5
    group_by: Literal["agent"] | None = None


class Answer(View):
    """Patterns, best first; grouped by agent in `by_agent` instead, if that was asked for."""

    patterns: tuple[HitView, ...]
    by_agent: dict[str, tuple[HitView, ...]] | None


@router.post("/v1/query")
def query(body: Question, asker: Asker) -> Answer:
    """What the swarm knows for a task like this one, with who learned it, from which runs, and how sure that is."""
    asked = body.model_dump(exclude={"text", "group_by"})
    if body.group_by is None:
        return Answer(patterns=tuple(map(HitView.of, asker.query(body.text, **asked))), by_agent=None)
    groups = asker.query(body.text, **asked, group_by=body.group_by)
    return Answer(patterns=(), by_agent={name: tuple(map(HitView.of, hits)) for name, hits in groups.items()})
