"""Both hooks around a block, for any client."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Unpack

import anyio

from swarm.errors import SwarmError
from swarm_agents.client.interface import AfterOptions, AsyncSwarmClient, BeforeOptions, SwarmClient
from swarm_agents.task import Task


@contextmanager
def task_block(client: SwarmClient, text: str, **options: Unpack[BeforeOptions]) -> Iterator[Task]:
    """The outcome is success, or the failure that an exception is."""
    task, started = Task(client.before_task(text, **options)), time.perf_counter()
    try:
        yield task
    except BaseException as error:
        try:
            client.after_task(task.advice.trajectory_id, **_outcome(task, 0.0, started))
        except SwarmError as refused:
            _note(error, refused)
        raise
    client.after_task(task.advice.trajectory_id, **_outcome(task, task.quality, started))


@asynccontextmanager
async def async_task_block(
    client: AsyncSwarmClient, text: str, **options: Unpack[BeforeOptions]
) -> AsyncIterator[Task]:
    """The same for coroutines."""
    task, started = Task(await client.before_task(text, **options)), time.perf_counter()
    try:
        yield task
    except BaseException as error:
        # Who was cancelled must still be able to say so; the client's own limits end the wait.
        with anyio.CancelScope(shield=True):
            try:
                await client.after_task(task.advice.trajectory_id, **_outcome(task, 0.0, started))
            except SwarmError as refused:
                _note(error, refused)
        raise
    await client.after_task(task.advice.trajectory_id, **_outcome(task, task.quality, started))


def _outcome(task: Task, quality: float | None, started: float) -> AfterOptions:
    return AfterOptions(
        quality=1.0 if quality is None else quality,
        used=task.pattern,
        output=task.output,
        route=task.route,
        latency_ms=(time.perf_counter() - started) * 1e3,
        cost=task.cost,
    )


def _note(error: BaseException, refused: SwarmError) -> None:
    # What went wrong in the task is what the caller must see.
    error.add_note(f"this failure was not recorded: {refused}")
