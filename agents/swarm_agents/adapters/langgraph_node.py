"""A node of a LangGraph graph with the hooks of an agent around it.

    builder.add_node("solve", swarm_node(agent, solve, text=lambda state: state["question"]))

Needs the extra `langgraph`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar

from langgraph.errors import GraphBubbleUp

from swarm.errors import InputError
from swarm_agents.agent import Agent
from swarm_agents.task import Task

_State = TypeVar("_State", contravariant=True)
_Update = TypeVar("_Update", covariant=True)


class Node(Protocol[_State, _Update]):
    """What LangGraph takes for a node."""

    def __call__(self, state: _State) -> _Update:
        """The update of a state."""


def swarm_node(
    agent: Agent, node: Callable[[_State, Task], _Update], *, text: Callable[[_State], str], **options: object
) -> Node[_State, _Update]:
    """`node` as one that the agent is advised before, and whose outcome it reports after.

    The node says what came of it by its second argument, see `Agent.task`; an exception is a failure. An interrupt is
    none: the node runs again when the graph goes on.

    Parameters
    ----------
    text : the task's text, from the state
    options : see `Agent.before_task`

    Raises
    ------
    InputError
        If the node is a coroutine: use `with agent.task(...)` inside it.
    """
    if inspect.iscoroutinefunction(node):
        raise InputError("swarm_node takes a plain function: use `with agent.task(...)` inside one that is deferred")

    @wraps(node)
    def run(state: _State) -> _Update:
        with agent.task(text(state), paused_by=(GraphBubbleUp,), **options) as task:
            return node(state, task)

    # LangGraph looks at a node's parameters; the second one is not for it to fill.
    del run.__wrapped__
    return run
