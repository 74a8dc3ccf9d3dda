"""What the adapters of agent frameworks share: tasks under way, who judges them, and hooks that never break a run."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from swarm.embed.text import check_text
from swarm.errors import SwarmError, TextError
from swarm.services.receipts import Receipt
from swarm_agents.advice import TaskAdvice
from swarm_agents.client.interface import AfterOptions, AsyncSwarmClient

logger = logging.getLogger(__name__)
MAX_ADVICE_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that is over, for its judge. `error` is what it broke off with; cost in USD."""

    agent: str
    text: str
    output: str
    error: BaseException | None
    latency_ms: float
    cost: float


Verdict: TypeAlias = bool | float | None
"""Right or wrong, or a quality in [0, 1]; None if that cannot be told: then nothing is learned."""
Judge: TypeAlias = Callable[[Ended], Verdict | Awaitable[Verdict]]
"""Says how a run went. That a model came to an answer says nothing: tests, a user or another model must."""


@dataclass(slots=True)
class OpenTask:
    """A task under way, and whose it is."""

    client: AsyncSwarmClient
    advice: TaskAdvice
    started_s: float
    output: str = ""
    route: str = ""
    cost: float = 0.0

    @property
    def agent(self) -> str:
        """The agent's name in the swarm."""
        return self.client.name


class Tracker:
    """Begins tasks, notes their steps, and reports what a judge says of them. It fails open, and counts.

    Parameters
    ----------
    judge : without one nothing is reported: the agents only read what the swarm knows
    k : how many patterns they are shown at most
    """

    def __init__(self, judge: Judge | None, k: int) -> None:
        self._judge = judge
        self._k = k
        self.failures = 0
        """How often the swarm, or the judge, could not be asked."""
        self.last_error = ""
        self.last_receipt: Receipt | None = None
        """Of the outcome that was reported last."""

    async def begin(self, client: AsyncSwarmClient, text: str, tools: Sequence[str] = ()) -> OpenTask | None:
        """A task of an agent; None if it cannot be one, or the swarm refuses it."""
        try:
            advice = await client.before_task(text, k=self._k, tools=tools)
        except SwarmError as error:
            self.failed(error)
            return None
        return OpenTask(client=client, advice=advice, started_s=time.perf_counter())

    async def step(self, task: OpenTask, node: str, reward: float, latency_ms: float = 0.0) -> None:
        """A step of a task."""
        try:
            await task.client.step(task.advice.trajectory_id, reward, node=node, latency_ms=latency_ms)
        except SwarmError as error:
            self.failed(error)

    async def end(self, tasks: Sequence[OpenTask], output: str, error: BaseException | None = None) -> None:
        """The end of a run in which these agents took part, the last of them coming to `output`."""
        if not tasks:
            return
        tasks[-1].output = output
        verdict = await self._verdict(_ended(tasks[-1], error))
        for task in tasks:
            try:
                self.last_receipt = await _report(task, verdict) or self.last_receipt
            except SwarmError as refused:
                self.failed(refused)

    async def abandon(self, task: OpenTask) -> None:
        """A task that nobody will say anything of."""
        try:
            await _report(task, None)
        except SwarmError as error:
            self.failed(error)

    def failed(self, error: Exception) -> None:
        """Count what went wrong; the run goes on."""
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"
        logger.warning("the swarm: %s", self.last_error)

    async def _verdict(self, ended: Ended) -> Verdict:
        if self._judge is None:
            return None
        try:
            verdict = self._judge(ended)
            return await verdict if inspect.isawaitable(verdict) else verdict
        except Exception as error:  # it is the program's own, and may fail as it likes
            self.failed(error)
            return None


async def _report(task: OpenTask, verdict: Verdict) -> Receipt | None:
    name = task.advice.trajectory_id
    if verdict is None:
        await task.client.abandon(name)
        return None
    told = AfterOptions(route=task.route, cost=task.cost, latency_ms=_age_ms(task))
    told |= {"success": verdict} if isinstance(verdict, bool) else {"quality": verdict}
    with suppress(TextError):
        # One that is empty, or too long to be stored, is no pattern; the outcome counts all the same.
        told["output"] = check_text(task.output)
    return await task.client.after_task(name, **told)


def _ended(task: OpenTask, error: BaseException | None) -> Ended:
    return Ended(
        agent=task.agent,
        text=task.advice.text,
        output=task.output,
        error=error,
        latency_ms=_age_ms(task),
        cost=task.cost,
    )


def _age_ms(task: OpenTask) -> float:
    return (time.perf_counter() - task.started_s) * 1e3


def advice_text(advice: TaskAdvice, max_characters: int = MAX_ADVICE_CHARACTERS) -> str:
    """Patterns as a model reads them: what worked and what did not, and how sure that is; empty if none is known.

    The patterns come from runs of other agents, so they are named as reports, and are no instructions.
    """
    lines: list[str] = []
    left = max_characters
    for hit in advice.patterns:
        response = " ".join(hit.response.split())
        line = f"- expected quality {hit.expected_quality:.2f} of {hit.outcomes:.0f} outcomes: {response}"
        left -= len(line) + 1
        if response and left >= 0:
            lines.append(line)
    return "\n".join(["Reports of earlier runs on tasks like this one (1 is success):", *lines]) if lines else ""
