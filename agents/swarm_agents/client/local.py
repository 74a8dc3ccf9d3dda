"""Clients in this process: an agent with its replica and its spool, over the embedded Redis or another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from functools import partial
from typing import Any, Self, TypeVar, Unpack

from anyio import to_thread

from swarm.errors import WaitTimeoutError
from swarm.services.find import Found, split_id
from swarm.services.hits import PatternHit
from swarm.services.receipts import Receipt
from swarm.services.route_advice import RouteAdvice, RouteOptions
from swarm.services.status import SwarmStatus
from swarm.services.swarm import Swarm
from swarm.services.tasks import TaskOptions, TaskReceipt, TaskView
from swarm.settings import Settings
from swarm.store.connection import connect as connect_redis
from swarm_agents.advice import TaskAdvice
from swarm_agents.agent import Agent
from swarm_agents.client.blocks import async_task_block
from swarm_agents.client.interface import AfterOptions, BeforeOptions, PatternOptions, QueryOptions, StepOptions
from swarm_agents.task import Task

_T = TypeVar("_T")


class LocalClient:
    """A `SwarmClient` over an `Agent` and its swarm; what it reports while Redis is away waits in the agent's spool.

    Parameters
    ----------
    agent : the agent; `close` closes it
    closes_swarm : and its swarm, unless others use that, too
    """

    def __init__(self, agent: Agent, *, closes_swarm: bool = True) -> None:
        self.agent = agent
        self._closes_swarm = closes_swarm

    @property
    def name(self) -> str:
        """The agent."""
        return self.agent.name

    def before_task(self, text: str, **options: Unpack[BeforeOptions]) -> TaskAdvice:
        """See `Agent.before_task`."""
        return self.agent.before_task(text, **options)

    def step(self, trajectory_id: str, reward: float, **options: Unpack[StepOptions]) -> None:
        """See `Agent.step`."""
        self.agent.step(trajectory_id, reward, **options)

    def after_task(self, trajectory_id: str, **options: Unpack[AfterOptions]) -> Receipt:
        """See `Agent.after_task`."""
        return self.agent.after_task(trajectory_id, **options)

    def abandon(self, trajectory_id: str) -> None:
        """See `Agent.abandon`."""
        self.agent.abandon(trajectory_id)

    def task(self, text: str, **options: Unpack[BeforeOptions]) -> AbstractContextManager[Task]:
        """See `Agent.task`."""
        return self.agent.task(text, **options)

    def query(self, text: str, **options: Unpack[QueryOptions]) -> list[PatternHit]:
        """See `Swarm.query`."""
        return self.agent.swarm.query(text, **options)

    def route(self, text: str, *, tools: Sequence[str] = (), **options: Unpack[RouteOptions]) -> RouteAdvice:
        """See `Swarm.route`."""
        return self.agent.swarm.route(text, agent=self.name, tools=tools, **options)

    def store_pattern(self, task: str, output: str, **options: Unpack[PatternOptions]) -> Receipt:
        """See `Swarm.store_pattern`."""
        return self.agent.swarm.store_pattern(task, output, agent=self.name, **options)

    def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """See `Tasks.submit`; from this agent, if nobody else is named."""
        options.setdefault("submitter", self.name)
        return self.agent.swarm.submit(task, **options)

    def receipt(self, receipt_id: str, wait: float = 0.0) -> Found:
        """See `Swarm.find`; of this agent's outcomes those in its spool are found, too."""
        found = self._find(receipt_id)
        if wait > 0.0:
            # What has not ended by then is answered as it stands.
            with suppress(WaitTimeoutError):
                if isinstance(found, Receipt):
                    self.agent.swarm.wait(found, wait)
                elif isinstance(found, TaskView) and not found.has_ended:
                    self.agent.swarm.tasks.wait(found.id, wait)
            found = self._find(receipt_id)
        return found

    def status(self) -> SwarmStatus:
        """See `Swarm.status`."""
        return self.agent.swarm.status()

    def close(self) -> None:
        """Send what is spooled, and let go."""
        self.agent.close()
        if self._closes_swarm:
            self.agent.swarm.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self, receipt_id: str) -> Found:
        kind, rest = split_id(receipt_id)
        mine = f"{self.name}/"
        if kind == "outcome" and rest.startswith(mine) and self.agent.health().spooled:
            return self.agent.receipt(rest.removeprefix(mine))
        return self.agent.swarm.find(receipt_id)


class AsyncLocalClient:
    """An `AsyncSwarmClient` over a `LocalClient`, each call in a thread: they compute and wait for Redis."""

    def __init__(self, client: LocalClient) -> None:
        self.client = client

    @property
    def name(self) -> str:
        """The agent."""
        return self.client.name

    async def before_task(self, text: str, **options: Unpack[BeforeOptions]) -> TaskAdvice:
        """See `LocalClient.before_task`."""
        return await _threaded(partial(self.client.before_task, text, **options))

    async def step(self, trajectory_id: str, reward: float, **options: Unpack[StepOptions]) -> None:
        """See `LocalClient.step`."""
        await _threaded(partial(self.client.step, trajectory_id, reward, **options))

    async def after_task(self, trajectory_id: str, **options: Unpack[AfterOptions]) -> Receipt:
        """See `LocalClient.after_task`."""
        return await _threaded(partial(self.client.after_task, trajectory_id, **options))

    async def abandon(self, trajectory_id: str) -> None:
        """See `LocalClient.abandon`."""
        await _threaded(partial(self.client.abandon, trajectory_id))

    def task(self, text: str, **options: Unpack[BeforeOptions]) -> AbstractAsyncContextManager[Task]:
        """See `async_task_block`."""
        return async_task_block(self, text, **options)

    async def query(self, text: str, **options: Unpack[QueryOptions]) -> list[PatternHit]:
        """See `LocalClient.query`."""
        return await _threaded(partial(self.client.query, text, **options))

    async def route(self, text: str, *, tools: Sequence[str] = (), **options: Unpack[RouteOptions]) -> RouteAdvice:
        """See `LocalClient.route`."""
        return await _threaded(partial(self.client.route, text, tools=tools, **options))

    async def store_pattern(self, task: str, output: str, **options: Unpack[PatternOptions]) -> Receipt:
        """See `LocalClient.store_pattern`."""
        return await _threaded(partial(self.client.store_pattern, task, output, **options))

    async def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """See `LocalClient.submit`."""
        return await _threaded(partial(self.client.submit, task, **options))

    async def receipt(self, receipt_id: str, wait: float = 0.0) -> Found:
        """See `LocalClient.receipt`."""
        return await _threaded(partial(self.client.receipt, receipt_id, wait))

    async def status(self) -> SwarmStatus:
        """See `LocalClient.status`."""
        return await _threaded(self.client.status)

    async def close(self) -> None:
        """See `LocalClient.close`."""
        await _threaded(self.client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def quick_swarm(settings: Settings) -> Swarm:
    """The swarm of these settings, over a connection that gives up after `hook_timeout`."""
    quick = settings.model_copy(update={"socket_timeout": settings.hook_timeout})
    return Swarm(settings, client=connect_redis(quick))


async def _threaded(call: Callable[[], _T]) -> _T:
    return await to_thread.run_sync(call)
