"""OpenAI's Agents SDK: `RunHooks` that take part in a swarm, and what shows its patterns to the model.

async with TeamClients() as team, SwarmRunHooks(team, judge=judge) as hooks:
    config = RunConfig(call_model_input_filter=hooks.input_filter)
    result = await Runner.run(agent, "rename a column", hooks=hooks, run_config=config)

Each agent of the SDK is an agent of the swarm by its name. Who hands off shares the verdict on the run.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from agents.run_config import CallModelData, ModelInputData

from agents import Agent, AgentHookContext, ModelResponse, RunContextWrapper, RunHooks, Tool, Usage
from swarm.errors import SwarmError
from swarm_agents.adapters.tracking import Judge, OpenTask, Tracker, advice_text
from swarm_agents.client.interface import AsyncSwarmClient

Cost: TypeAlias = Callable[[Agent[Any], Usage], float]
"""What one call of an agent's model cost, in USD."""


class Team(Protocol):
    """Where the clients of agents come from; `TeamClients` is one."""

    async def of(self, agent: str) -> AsyncSwarmClient:
        """The client of the agent that the SDK calls `agent`."""
        ...


class SwarmRunHooks(RunHooks[Any]):
    """Hooks for one run. Used as a context, it reports a run that breaks off with an error, too.

    Parameters
    ----------
    team : the clients; whoever made them closes them
    judge : says how the run went; without one nothing is reported, see `Judge`
    cost : prices the tokens of a call; without it costs are unknown
    k : how many patterns are shown to an agent at most
    """

    def __init__(self, team: Team, *, judge: Judge | None = None, cost: Cost | None = None, k: int = 3) -> None:
        self._team = team
        self._cost = cost
        self.tracker = Tracker(judge, k)
        self._tasks: list[OpenTask] = []
        self._current: dict[str, OpenTask] = {}
        self._tools: dict[str, float] = {}

    async def on_agent_start(self, context: AgentHookContext[Any], agent: Any) -> None:
        """A task of this agent begins."""
        try:
            client = await self._team.of(agent.name)
        except SwarmError as error:
            self.tracker.failed(error)
            return
        task = await self.tracker.begin(client, task_text(context.turn_input), [tool.name for tool in agent.tools])
        if task is not None:
            task.route = _model_name(agent)
            self._tasks.append(task)
            self._current[agent.name] = task

    async def on_llm_end(self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse) -> None:
        """Its tokens cost something."""
        if self._cost is not None and (task := self._current.get(agent.name)) is not None:
            task.cost += self._cost(agent, response.usage)

    async def on_tool_start(self, context: RunContextWrapper[Any], agent: Any, tool: Tool) -> None:
        """The clock of a tool starts."""
        self._tools[_call(context, tool)] = time.perf_counter()

    async def on_tool_end(self, context: RunContextWrapper[Any], agent: Any, tool: Tool, result: object) -> None:
        """A tool came to an end: a step. Of one that raises, the run ends, or the SDK tells the model in words."""
        now_s = time.perf_counter()
        started_s = self._tools.pop(_call(context, tool), now_s)
        if (task := self._current.get(agent.name)) is not None:
            await self.tracker.step(task, tool.name, 1.0, (now_s - started_s) * 1e3)

    async def on_handoff(self, context: RunContextWrapper[Any], from_agent: Any, to_agent: Any) -> None:
        """What the first agent did for the task, is to hand it off."""
        if (task := self._current.pop(from_agent.name, None)) is not None:
            task.output = f"hand off to {to_agent.name}"

    async def on_agent_end(self, context: AgentHookContext[Any], agent: Any, output: Any) -> None:
        """The run has come to an output."""
        await self._end(str(output), None)

    def instructions(self, text: str) -> Callable[[RunContextWrapper[Any], Agent[Any]], Awaitable[str]]:
        """Dynamic instructions for an agent: `text`, and what the swarm knows for its task."""

        async def made(_: RunContextWrapper[Any], agent: Agent[Any]) -> str:
            return "\n\n".join(part for part in (text, self._advice(agent.name)) if part)

        return made

    async def input_filter(self, data: CallModelData[Any]) -> ModelInputData:
        """The same for agents whose instructions are not to be touched: `RunConfig(call_model_input_filter=...)`."""
        parts = (data.model_data.instructions, self._advice(data.agent.name))
        return replace(data.model_data, instructions="\n\n".join(part for part in parts if part) or None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end("", error)

    async def _end(self, output: str, error: BaseException | None) -> None:
        tasks, self._tasks = self._tasks, []
        self._current.clear()
        await self.tracker.end(tasks, output, error)

    def _advice(self, agent: str) -> str:
        task = self._current.get(agent)
        return "" if task is None else advice_text(task.advice)


def task_text(items: list[Any]) -> str:
    """What the user asked last, of the input of a run.

    >>> task_text([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}])
    'hi'
    """
    for item in reversed(items):
        if isinstance(item, Mapping) and item.get("role") == "user":
            return _text(item.get("content"))
    return ""


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, Mapping) and "text" in part)


def _model_name(agent: Any) -> str:
    """The model as a route; "" if the agent leaves it to the run."""
    model = agent.model
    name = model if isinstance(model, str) else getattr(model, "model", "")
    return name if isinstance(name, str) else ""


def _call(context: RunContextWrapper[Any], tool: Tool) -> str:
    return str(getattr(context, "tool_call_id", "") or tool.name)
