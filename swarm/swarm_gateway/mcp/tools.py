"""The ten tools: what they do, what they take, and what they answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from mcp.types import Tool, ToolAnnotations
from pydantic import BaseModel

from swarm_gateway.mcp import answers, arguments
from swarm_gateway.mcp.caller import NOBODY, Caller
from swarm_gateway.mcp.schema import lean_schema

Look: TypeAlias = Callable[[], answers.State]
"""Says how something stands, each time it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """One tool. `run` is called in a thread, with checked arguments; what it answers may be a look, to be repeated."""

    name: str
    text: str
    takes: type[arguments.Arguments]
    answers: type[BaseModel]
    run: Callable[[Caller, Any], BaseModel | Look]
    is_write: bool = True
    is_destructive: bool = False
    is_idempotent: bool = False

    def described(self) -> Tool:
        """The tool as a client is told of it."""
        return Tool(
            name=self.name,
            description=self.text,
            input_schema=lean_schema(self.takes),
            output_schema=lean_schema(self.answers),
            annotations=self._annotations(),
        )

    def _annotations(self) -> ToolAnnotations:
        if not self.is_write:
            # The other hints mean nothing then, and cost tokens.
            return ToolAnnotations(read_only_hint=True, open_world_hint=False)
        return ToolAnnotations(
            read_only_hint=False,
            destructive_hint=self.is_destructive,
            idempotent_hint=self.is_idempotent,
            open_world_hint=False,
        )


def _memory_search(caller: Caller, asked: arguments.Search) -> answers.Patterns:
    return answers.Patterns(patterns=answers.patterns_of(caller.swarm.recall(asked.text, asked.k)))


def _memory_add(caller: Caller, told: arguments.Add) -> answers.Accepted:
    agent = caller.agent(told.agent)
    return answers.accepted(caller.swarm.store_pattern(told.task, told.output, success=told.success, agent=agent))


def _memory_forget(caller: Caller, meant: arguments.Forget) -> answers.Forgotten:
    # It takes longer than a hook may wait for Redis.
    patient = caller.swarm.over(caller.gateway.patient)
    with caller.gateway.engines.forgetting(meant.agent or ""):
        return answers.forgotten(patient.forget(**meant.model_dump(), by=caller.agent("") or NOBODY))


def _trajectory_begin(caller: Caller, asked: arguments.Begin) -> answers.Advice:
    agent = caller.agent(asked.agent) or NOBODY
    options: dict[str, Any] = {} if asked.routes is None else {"routes": asked.routes}
    with caller.hooks(agent, asked.role) as hooks:
        # An agent's name has no colon in it: the handle alone says whose task it is.
        handle = f"{agent}:{uuid.uuid4().hex}"
        return answers.advice_of(hooks.before_task(asked.text, k=asked.k, trajectory_id=handle, **options))


def _trajectory_step(caller: Caller, done: arguments.Step) -> answers.Noted:
    with caller.hooks_of(done.trajectory_id) as hooks:
        hooks.step(done.trajectory_id, done.reward, node=done.node, latency_ms=done.latency_ms)
    return answers.Noted(trajectory_id=done.trajectory_id)


def _trajectory_end(caller: Caller, done: arguments.End) -> answers.Accepted:
    with caller.hooks_of(done.trajectory_id) as hooks:
        return answers.accepted(hooks.after_task(**done.model_dump()))


def _swarm_query(caller: Caller, asked: arguments.Query) -> answers.SourcedPatterns:
    return answers.SourcedPatterns(patterns=answers.sourced_patterns_of(caller.swarm.query(**asked.model_dump())))


def _swarm_status(caller: Caller, _: arguments.Nothing) -> answers.Status:
    return answers.status_of(caller.swarm.status())


def _route_model(caller: Caller, asked: arguments.Route) -> answers.RouteAnswer:
    options = asked.model_dump() | {"agent": caller.agent(asked.agent)}
    return answers.route_of(caller.swarm.route(options.pop("text"), **options))


def _op_status(caller: Caller, asked: arguments.Operation) -> Look:
    look = caller.swarm.follow(asked.id)
    return lambda: answers.state_of(look())


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        name="memory_search",
        text="Find tasks most like this one that were done before, and how they were solved.",
        takes=arguments.Search,
        answers=answers.Patterns,
        run=_memory_search,
        is_write=False,
    ),
    ToolSpec(
        name="memory_add",
        text="Remember for the whole swarm that output solved a task, or did not.",
        takes=arguments.Add,
        answers=answers.Accepted,
        run=_memory_add,
    ),
    ToolSpec(
        name="memory_forget",
        text="Erase for good a pattern, a trajectory, or an agent: give one. For operators.",
        takes=arguments.Forget,
        answers=answers.Forgotten,
        run=_memory_forget,
        is_destructive=True,
        is_idempotent=True,
    ),
    ToolSpec(
        name="trajectory_begin",
        text="Call before a task: what has worked for such tasks, and a trajectory_id to end it with.",
        takes=arguments.Begin,
        answers=answers.Advice,
        run=_trajectory_begin,
    ),
    ToolSpec(
        name="trajectory_step",
        text="Note a step of a task under way and how well it went, 0 to 1.",
        takes=arguments.Step,
        answers=answers.Noted,
        run=_trajectory_step,
    ),
    ToolSpec(
        name="trajectory_end",
        text="Call after a task: how it went, so that everybody learns. Give success or quality.",
        takes=arguments.End,
        answers=answers.Accepted,
        run=_trajectory_end,
        is_idempotent=True,
    ),
    ToolSpec(
        name="swarm_query",
        text="What works best for a task by everybody's outcomes, of some agents or roles if named.",
        takes=arguments.Query,
        answers=answers.SourcedPatterns,
        run=_swarm_query,
        is_write=False,
    ),
    ToolSpec(
        name="swarm_status",
        text="How the swarm stands: agents, patterns, what waits.",
        takes=arguments.Nothing,
        answers=answers.Status,
        run=_swarm_status,
        is_write=False,
    ),
    ToolSpec(
        name="route_model",
        text="Which of these models to use for a task, by what they came to, and why.",
        takes=arguments.Route,
        answers=answers.RouteAnswer,
        run=_route_model,
    ),
    ToolSpec(
        name="op_status",
        text="What became of a receipt or a task, by id; waits up to wait_s for its end.",
        takes=arguments.Operation,
        answers=answers.State,
        run=_op_status,
        is_write=False,
    ),
)
