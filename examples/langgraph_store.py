"""LangGraph: a graph that remembers in the swarm's store, and whose outcomes every agent of the swarm learns from.

swarm up && python examples/langgraph_store.py     (needs the extra `langgraph`)
"""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.language_models import FakeListChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore

from swarm.services.swarm import Swarm
from swarm_agents import Agent, Task
from swarm_agents.adapters.langgraph import SwarmStore
from swarm_agents.adapters.langgraph_node import swarm_node


class State(TypedDict, total=False):
    user: str
    question: str
    style: str
    answer: str
    trajectory_id: str


def build(agent: Agent, script: list[str]) -> CompiledStateGraph[State, Any, State, State]:
    model = FakeListChatModel(responses=script)

    def recall(state: State, *, store: BaseStore) -> State:
        [item] = store.search(("users", state["user"]), query="how to answer", limit=1)
        return {"style": item.value["style"]}

    def solve(state: State, task: Task) -> State:
        best = task.advice.best
        answer = best.response if best else str(model.invoke(state["question"]).content)
        task.used(best)
        task.output = answer
        # The outcome: here a comparison, elsewhere tests, a checker, or what a person says.
        task.quality = float(answer == "csv.DictReader")
        return {"answer": answer, "trajectory_id": task.advice.trajectory_id}

    builder = StateGraph(State)
    builder.add_node("recall", recall)
    builder.add_node("solve", swarm_node(agent, solve, text=lambda state: state["question"], min_quality=0.5))
    builder.add_edge(START, "recall")
    builder.add_edge("recall", "solve")
    builder.add_edge("solve", END)
    return builder.compile(store=SwarmStore(agent.swarm))


def main() -> None:
    swarm = Swarm()
    note = {"style": "short", "about": "how to answer"}
    SwarmStore(swarm).put(("users", "ada"), "style", note, ttl=60)  # minutes; every process finds it until then

    first = Agent("coder-1", role="coder", swarm=swarm)
    graph = build(first, script=["str.split", "csv.DictReader"])
    for _ in range(2):
        state = graph.invoke({"user": "ada", "question": "read a table from a CSV file"})
        print(f"coder-1 tries {state['answer']}")
        swarm.wait(first.receipt(state["trajectory_id"]))

    second = Agent("coder-2", role="coder", swarm=swarm)
    state = build(second, script=["no idea"]).invoke({"user": "ada", "question": "load rows of a CSV file"})
    print(f"coder-2 answers {state['answer']} at once, {state['style']} as ada likes it")


if __name__ == "__main__":
    main()
