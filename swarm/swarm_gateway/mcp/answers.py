"""What the tools answer: of each thing what a model can use, under the names that it has everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from swarm.services.find import Found
from swarm.services.forget_report import Forgetting
from swarm.services.hits import PatternHit
from swarm.services.receipts import Receipt
from swarm.services.route_advice import RouteAdvice
from swarm.services.status import SwarmStatus
from swarm.services.tasks import TaskView
from swarm_agents.advice import TaskAdvice

MAX_AGENTS = 50
"""Agents that a status lists; `agent_count` says how many there are."""


class SourceAnswer(BaseModel):
    """One agent's part in a pattern."""

    agent: str
    outcomes: float
    mean_quality: float


class Pattern(BaseModel):
    """A pattern and who learned it."""

    pattern_id: str
    response: str
    similarity: float
    expected_quality: float
    outcomes: float
    confirmed: bool
    agents: list[str]


class SourcedPattern(Pattern):
    """The same with all of its provenance: what each agent came to, and in which runs."""

    quality_error: float
    sources: list[SourceAnswer]
    trajectory_ids: list[str]


class Patterns(BaseModel):
    """Patterns, best first."""

    patterns: list[Pattern]


class SourcedPatterns(BaseModel):
    """Patterns, best first."""

    patterns: list[SourcedPattern]


class RouteAnswer(BaseModel):
    """A route, what can be expected of it, and why it was chosen."""

    route: str
    expected_quality: float
    quality_error: float
    outcomes: float
    latency_ms: float
    cost: float
    why: str
    decision_id: str


class Advice(BaseModel):
    """What has worked, and the handle of the task that has begun."""

    trajectory_id: str
    task_type: str
    is_fresh: bool
    patterns: list[Pattern]
    route: str
    """The recommended one; empty if none was asked for and none is known."""


class Noted(BaseModel):
    """The task that a step was noted for."""

    trajectory_id: str


class Accepted(BaseModel):
    """The receipt of an outcome."""

    id: str
    state: str
    is_new: bool


class Forgotten(BaseModel):
    """What a forgetting came to."""

    kind: str
    id: str
    outcomes: int
    lost: int
    erased: int
    patterns: int


class AgentAnswer(BaseModel):
    """One agent."""

    name: str
    role: str
    generation: int
    pending: int
    verdict: str


class Status(BaseModel):
    """How the swarm stands."""

    name: str
    patterns: int
    pending: int
    lost: int
    workers: int
    waiting_tasks: int
    dead_tasks: int
    agent_count: int
    agents: list[AgentAnswer]


class State(BaseModel):
    """What became of something that was accepted."""

    id: str
    state: str
    has_ended: bool
    details: dict[str, Any]


def patterns_of(hits: Iterable[PatternHit]) -> list[Pattern]:
    """Hits as an answer."""
    return [Pattern.model_validate(_values(hit)) for hit in hits]


def sourced_patterns_of(hits: Iterable[PatternHit]) -> list[SourcedPattern]:
    """Hits as an answer, with their provenance."""
    return [SourcedPattern.model_validate(_values(hit)) for hit in hits]


def _values(hit: PatternHit) -> dict[str, Any]:
    return hit.to_dict() | {"agents": [source.agent for source in hit.sources]}


def route_of(advice: RouteAdvice) -> RouteAnswer:
    """A recommended route as an answer."""
    return RouteAnswer.model_validate(advice.as_dict())


def advice_of(advice: TaskAdvice) -> Advice:
    """What was advised as an answer."""
    return Advice(
        trajectory_id=advice.trajectory_id,
        task_type=advice.task_type,
        is_fresh=advice.is_fresh,
        patterns=patterns_of(advice.patterns),
        route="" if advice.route is None else advice.route.route,
    )


def accepted(receipt: Receipt) -> Accepted:
    """A receipt as an answer."""
    return Accepted.model_validate(receipt.as_dict())


def forgotten(done: Forgetting) -> Forgotten:
    """A forgetting as an answer."""
    return Forgotten.model_validate(done.as_dict())


def status_of(status: SwarmStatus) -> Status:
    """A status as an answer; the agents with most outcomes waiting come first."""
    first = sorted(status.agents, key=lambda agent: (-agent.pending, agent.name))[:MAX_AGENTS]
    return Status(
        name=status.name,
        patterns=status.patterns,
        pending=status.pending,
        lost=status.lost,
        workers=len(status.workers),
        waiting_tasks=sum(counts.waiting for counts in status.tasks),
        dead_tasks=sum(counts.dead for counts in status.tasks),
        agent_count=len(status.agents),
        agents=[AgentAnswer.model_validate(agent, from_attributes=True) for agent in first],
    )


def state_of(found: Found) -> State:
    """Anything that was accepted as an answer; a consolidation or a merge that is found is done."""
    has_ended = found.has_ended if isinstance(found, Receipt | TaskView) else True
    details = to_jsonable_python(found.as_dict(), bytes_mode="hex")
    return State(id=found.id, state=str(found.state), has_ended=has_ended, details=details)
