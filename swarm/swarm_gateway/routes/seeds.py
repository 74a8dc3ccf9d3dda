"""`/api/*`: query, feedback, learn and stats as the published back end has them, over this swarm.

A session is the open trajectory of an agent, so that it survives a restart; its name makes the trajectory's id.
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from swarm.errors import InputError, UnknownIdError
from swarm.services.guard import GuardedSwarm
from swarm.services.receipts import ReceiptState
from swarm_gateway.identity import Asker, Here
from swarm_gateway.learning import learn_now
from swarm_gateway.schemas.base import Body, Name, Share, Text, View

router = APIRouter(prefix="/api", tags=["seeds"])
AGENT = "api"
"""Whose sessions these are, if no agent's token says another."""
SIMILAR = 3
HELPFUL, UNHELPFUL = 0.9, 0.2
"""The quality that thumbs up and thumbs down stand for."""
SessionId = Annotated[str, Field(pattern=r"^[ -~]{1,150}$")]


class _Camel(View):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class _CamelBody(Body):
    model_config = ConfigDict(alias_generator=to_camel)


class Query(_CamelBody):
    """A question, and the session that its feedback will name."""

    query: Text
    session_id: SessionId


class Similar(_Camel):
    """A pattern that speaks for an answer."""

    pattern_id: str
    response: str
    avg_quality: float
    cluster_size: int
    pattern_type: str


class Queried(_Camel):
    """The query's embedding as the adapters bent it, and the patterns around it, best first."""

    session_id: str
    optimized_embedding: tuple[float, ...]
    similar_patterns: tuple[Similar, ...]


class Feedback(_CamelBody):
    """How the answer was: a quality, or whether it helped; the quality counts if both are given."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"quality": {"type": "number"}}, "required": ["quality"]},
                {"properties": {"wasHelpful": {"type": "boolean"}}, "required": ["wasHelpful"]},
            ]
        }
    )

    session_id: SessionId
    quality: Share | None = None
    was_helpful: bool | None = None

    def judgement(self) -> float:
        """The quality that was given, or that the thumb stands for."""
        if self.quality is not None:
            return self.quality
        if self.was_helpful is None:
            raise InputError("give quality or wasHelpful")
        return HELPFUL if self.was_helpful else UNHELPFUL


class Judged(_Camel):
    """`learned`: the outcome counts; it was not reported before, and belongs to nothing that was forgotten."""

    success: bool
    quality: float
    latency_ms: float
    learned: bool
    receipt: str


class Learn(_CamelBody):
    """Whose outcomes to consolidate; by default those of the sessions."""

    agent: Name | None = None


class LearnedView(_Camel):
    """What became of it; see `learning.Learned`."""

    success: bool
    agent: str
    outcomes: int
    generation: int
    update: str
    why: str


class Stats(View):
    """Counts of the swarm, from stored state."""

    trajectories_recorded: int
    trajectories_buffered: int
    trajectories_open: int
    patterns_stored: int
    agents: int
    background_cycles: int
    background_enabled: bool


@router.post("/query")
def query(body: Query, asker: Asker, here: Here) -> Queried:
    """Begin an interaction: what has worked for questions like this one."""
    with here.hooks(asker, _agent(asker)) as hooks:
        advice = hooks.before_task(body.query, k=SIMILAR, trajectory_id=_trajectory(body.session_id))
    return Queried(
        session_id=body.session_id,
        optimized_embedding=tuple(advice.adapted.tolist()),
        similar_patterns=tuple(
            Similar(
                pattern_id=hit.pattern_id,
                response=hit.response,
                avg_quality=hit.mean_quality,
                cluster_size=round(hit.outcomes),
                pattern_type=hit.task_type,
            )
            for hit in advice.patterns
        ),
    )


@router.post("/feedback")
def feedback(body: Feedback, asker: Asker, here: Here) -> Judged:
    """End an interaction, and learn from it at once."""
    quality = body.judgement()
    with here.hooks(asker, _agent(asker)) as hooks:
        try:
            begun_s = hooks.opened(_trajectory(body.session_id)).at_s
        except UnknownIdError:
            raise UnknownIdError(f"session {body.session_id!r} is unknown, or has had its feedback") from None
        latency_ms = max(0.0, 1e3 * (time.time() - begun_s))
        receipt = hooks.after_task(
            _trajectory(body.session_id),
            quality=quality,
            latency_ms=latency_ms,
            # A session may ask again and again, and each time its feedback counts once.
            idempotency_key=f"{_trajectory(body.session_id)}@{begun_s:.6f}",
        )
    is_learned = receipt.is_new and receipt.state is not ReceiptState.FORGOTTEN
    return Judged(success=True, quality=quality, latency_ms=latency_ms, learned=is_learned, receipt=receipt.id)


@router.post("/learn")
async def learn(request: Request, asker: Asker, here: Here, body: Learn | None = None) -> LearnedView:
    """Consolidate now; answers when it is done and searchable, or after half a minute."""
    agent = (body or Learn()).agent or _agent(asker)
    asker.require_hooks(agent)
    done = await learn_now(agent, asker, request, here)
    return LearnedView(
        success=done.is_searchable,
        agent=done.agent,
        outcomes=done.outcomes,
        generation=done.generation,
        update=done.update,
        why=done.why,
    )


@router.get("/stats")
def stats(asker: Asker) -> Stats:
    """Counts of the swarm, in the published words."""
    status = asker.status()
    return Stats(
        trajectories_recorded=sum(agent.accepted for agent in status.agents),
        trajectories_buffered=status.pending,
        trajectories_open=sum(agent.open for agent in status.agents),
        patterns_stored=status.patterns,
        agents=len(status.agents),
        background_cycles=sum(agent.generation for agent in status.agents),
        background_enabled=any(worker.consuming and not worker.role for worker in status.workers),
    )


def _agent(asker: GuardedSwarm) -> str:
    access = asker.access
    return (access.agent if access else "") or AGENT


def _trajectory(session: str) -> str:
    return f"session:{session}"
