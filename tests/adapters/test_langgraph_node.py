"""A node of a real LangGraph graph with the hooks of an agent around it."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from swarm_support import EMBEDDER, make_swarm

from swarm.errors import InputError
from swarm.services.background import Background
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_agents import Agent, Task

pytest.importorskip("langgraph", reason="needs the extra langgraph")

from langgraph.checkpoint.memory import InMemorySaver  # only where it is installed
from langgraph.graph import END, START, StateGraph  # the same
from langgraph.types import Command, interrupt  # the same

from swarm_agents.adapters.langgraph_node import swarm_node  # the same


class State(TypedDict, total=False):
    question: str
    answer: str


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER, "consolidate_delay": 0.0})


@pytest.fixture
def agent(settings: Settings, client: Client) -> Agent:
    return Agent("coder-1", role="coder", swarm=make_swarm(settings, client), refresh_interval=0.0)


def graph_of(agent: Agent, node: Any, **options: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("solve", swarm_node(agent, node, text=lambda state: state["question"], **options))
    builder.add_edge(START, "solve")
    builder.add_edge("solve", END)
    return builder.compile(checkpointer=InMemorySaver())


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


def test_the_node_is_advised_by_what_the_graph_came_to_before(agent: Agent, settings: Settings, client: Client) -> None:
    def solve(state: State, task: Task) -> State:
        best = task.advice.best
        task.used(best)
        task.output = best.response if best else "datetime.fromisoformat"
        task.quality = 1.0
        return {"answer": f"{task.output}, advised: {best is not None}"}

    graph = graph_of(agent, solve, min_quality=0.5)
    assert graph.invoke({"question": "parse a date"}, thread("1"))["answer"].endswith("advised: False")
    Background(settings, client).drain(0.0)
    assert graph.invoke({"question": "parse a date"}, thread("2"))["answer"].endswith("advised: True")
    Background(settings, client).drain(0.0)
    [hit] = agent.swarm.query("parse a date")
    assert (hit.response, hit.outcomes) == ("datetime.fromisoformat", 2.0)


def test_an_exception_of_the_node_is_a_failure(agent: Agent) -> None:
    def solve(state: State, task: Task) -> State:
        task.output = "a wrong way"
        raise ValueError("it did not work")

    with pytest.raises(ValueError, match="it did not work"):
        graph_of(agent, solve).invoke({"question": "parse a date"}, thread("1"))
    assert agent.swarm.agents.state("coder-1").accepted == 1
    assert agent.health().open_tasks == 0


def test_an_interrupt_is_no_failure_and_the_outcome_is_that_of_the_node_when_it_goes_on(agent: Agent) -> None:
    def solve(state: State, task: Task) -> State:
        task.output = interrupt("which format?")
        return {"answer": task.output}

    graph = graph_of(agent, solve)
    graph.invoke({"question": "parse a date"}, thread("1"))
    assert agent.swarm.agents.state("coder-1").accepted == 0
    assert agent.health().open_tasks == 0
    assert graph.invoke(Command(resume="ISO"), thread("1"))["answer"] == "ISO"
    assert agent.swarm.agents.state("coder-1").accepted == 1


def test_a_coroutine_is_refused(agent: Agent) -> None:
    async def solve(state: State, task: Task) -> State:
        return {}

    with pytest.raises(InputError, match="plain function"):
        swarm_node(agent, solve, text=lambda state: state["question"])
