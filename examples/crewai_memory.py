"""CrewAI: crews that remember in the swarm's Redis, and whose outcomes the swarm learns from.

swarm up && python examples/crewai_memory.py     (in an environment with the extra `crewai`)
"""

from __future__ import annotations

from typing import Any

from crewai import Agent as Member
from crewai import Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.memory.unified_memory import Memory

from swarm.services.swarm import Swarm
from swarm_agents import Agent
from swarm_agents.adapters.crewai import SwarmStorage

QUESTION = "Read a table from a CSV file."


class Scripted(BaseLLM):  # type: ignore[misc, unused-ignore]  # of no known type where CrewAI is not
    """A model that knows nothing but what its prompt says."""

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        answer = "csv.DictReader" if "csv.DictReader" in str(messages) else "str.split"
        return f"Thought: I now can give a great answer\nFinal Answer: {answer}"


def answer_of(memory: Memory, llm: BaseLLM) -> str:
    """What a new crew answers, which knows no more than it remembers."""
    member = Member(role="coder", goal="answer", backstory="a programmer", llm=llm)
    task = Task(description=QUESTION, expected_output="a module", agent=member)
    hints = memory.slice(["/hints"], read_only=True)
    return str(Crew(agents=[member], tasks=[task], memory=hints).kickoff())


def main() -> None:
    swarm = Swarm()
    llm = Scripted(model="scripted")
    storage = SwarmStorage(swarm)
    memory = Memory(storage=storage, embedder=storage.embed, llm=llm, root_scope="/crews/coders")
    agent = Agent("crew-1", role="coder", swarm=swarm)

    for hint in ("", "Tables in a CSV file are read by csv.DictReader."):
        if hint:
            memory.remember(hint, scope="/hints", categories=["python"], importance=0.9)
        with agent.task(QUESTION) as task:
            task.output = answer_of(memory, llm)
            task.quality = float(task.output == "csv.DictReader")
        receipt = swarm.wait(agent.receipt(task.advice.trajectory_id))
        print(f"the crew answers {task.output}, quality {task.quality:g}: {receipt.state}")

    best = swarm.query("load rows of a CSV file", k=1)[0]
    print(f"crews remember: {storage.list_records('/crews/coders')[0].content}")
    print(f"the swarm says {best.response}, from {best.sources[0].agent}")
    memory.close()


if __name__ == "__main__":
    main()
