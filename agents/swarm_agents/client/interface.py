"""What every client can do, whichever way it reaches the swarm."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, Self, TypedDict, Unpack

from swarm.services.find import Found
from swarm.services.hits import PatternHit
from swarm.services.receipts import Receipt
from swarm.services.route_advice import RouteAdvice, RouteChoices, RouteOptions
from swarm.services.status import SwarmStatus
from swarm.services.tasks import TaskOptions, TaskReceipt
from swarm_agents.advice import TaskAdvice
from swarm_agents.task import Task


class BeforeOptions(RouteChoices, total=False):
    """What `before_task` takes beside the text; see `Agent.before_task`."""

    k: int
    agents: Collection[str] | None
    roles: Collection[str] | None
    min_quality: float
    tools: Sequence[str]
    trajectory_id: str | None


class StepOptions(TypedDict, total=False):
    """What `step` takes beside the reward; see `Agent.step`."""

    node: PatternHit | str
    latency_ms: float


class AfterOptions(TypedDict, total=False):
    """What `after_task` takes; see `Agent.after_task`."""

    success: bool | None
    quality: float | None
    used: PatternHit | str | None
    output: str
    route: str
    latency_ms: float
    cost: float
    idempotency_key: str | None
    wait: float


class QueryOptions(TypedDict, total=False):
    """What `query` takes beside the text; see `Swarm.query`."""

    agents: Collection[str] | None
    roles: Collection[str] | None
    min_quality: float
    k: int


class PatternOptions(TypedDict, total=False):
    """What `store_pattern` takes beside task and output; see `Swarm.store_pattern`."""

    reward: float
    success: bool
    input: str
    metadata: Mapping[str, str] | None
    idempotency_key: str | None


class SwarmClient(Protocol):
    """A swarm as one agent uses it; safe to use from several threads.

    Bad input raises `InputError`. While the store is away `before_task` and `step` go on without it; everything else
    raises `StoreUnavailableError`, but `after_task` of a local client, which takes the outcome into its spool.
    """

    @property
    def name(self) -> str:
        """The agent."""
        ...

    def before_task(self, text: str, **options: Unpack[BeforeOptions]) -> TaskAdvice:
        """What has worked for tasks like `text`, and a route if one was asked for."""
        ...

    def step(self, trajectory_id: str, reward: float, **options: Unpack[StepOptions]) -> None:
        """Record a step of a task under way."""
        ...

    def after_task(self, trajectory_id: str, **options: Unpack[AfterOptions]) -> Receipt:
        """Report what happened; may be repeated, counts once."""
        ...

    def abandon(self, trajectory_id: str) -> None:
        """Close a trajectory that will have no outcome."""
        ...

    def task(self, text: str, **options: Unpack[BeforeOptions]) -> AbstractContextManager[Task]:
        """Both hooks around a block; an exception is a failure."""
        ...

    def query(self, text: str, **options: Unpack[QueryOptions]) -> list[PatternHit]:
        """What the whole swarm knows for a task."""
        ...

    def route(self, text: str, *, tools: Sequence[str] = (), **options: Unpack[RouteOptions]) -> RouteAdvice:
        """Which model, tool or variant to take; the decision is kept, so it is asked once and never repeated."""
        ...

    def store_pattern(self, task: str, output: str, **options: Unpack[PatternOptions]) -> Receipt:
        """Store, as this agent, that `output` solved `task`, or did not."""
        ...

    def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """Put a task on a role's queue."""
        ...

    def receipt(self, receipt_id: str, wait: float = 0.0) -> Found:
        """What became of something that was accepted, by its id; after `wait` seconds as it stands then."""
        ...

    def status(self) -> SwarmStatus:
        """How the swarm stands."""
        ...

    def close(self) -> None:
        """Let go of connections, and send what waits."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class AsyncSwarmClient(Protocol):
    """The same for coroutines; see `SwarmClient`."""

    @property
    def name(self) -> str:
        """The agent."""
        ...

    async def before_task(self, text: str, **options: Unpack[BeforeOptions]) -> TaskAdvice:
        """See `SwarmClient.before_task`."""
        ...

    async def step(self, trajectory_id: str, reward: float, **options: Unpack[StepOptions]) -> None:
        """See `SwarmClient.step`."""
        ...

    async def after_task(self, trajectory_id: str, **options: Unpack[AfterOptions]) -> Receipt:
        """See `SwarmClient.after_task`."""
        ...

    async def abandon(self, trajectory_id: str) -> None:
        """See `SwarmClient.abandon`."""
        ...

    def task(self, text: str, **options: Unpack[BeforeOptions]) -> AbstractAsyncContextManager[Task]:
        """See `SwarmClient.task`; a cancelled block is a failure."""
        ...

    async def query(self, text: str, **options: Unpack[QueryOptions]) -> list[PatternHit]:
        """See `SwarmClient.query`."""
        ...

    async def route(self, text: str, *, tools: Sequence[str] = (), **options: Unpack[RouteOptions]) -> RouteAdvice:
        """See `SwarmClient.route`."""
        ...

    async def store_pattern(self, task: str, output: str, **options: Unpack[PatternOptions]) -> Receipt:
        """See `SwarmClient.store_pattern`."""
        ...

    async def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """See `SwarmClient.submit`."""
        ...

    async def receipt(self, receipt_id: str, wait: float = 0.0) -> Found:
        """See `SwarmClient.receipt`."""
        ...

    async def status(self) -> SwarmStatus:
        """See `SwarmClient.status`."""
        ...

    async def close(self) -> None:
        """See `SwarmClient.close`."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...
