"""A hierarchy: a queen deals the modules of the standard library out, workers read them, the queen adds up.

swarm up && python examples/topology_hierarchy.py
"""

from __future__ import annotations

import ast
import os
from collections import Counter
from pathlib import Path
from typing import Any

from swarm.services.swarm import Swarm
from swarm.services.topologies import Hierarchy, JobReport, members
from swarm_cli.worker_agents import FACTORY
from swarm_workers.handlers import Task, handler
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

HERE = Path(__file__)
ROLE = "reader"
MODULES = ["abc", "bisect", "calendar", "cmd", "copy", "csv", "dis", "enum", "heapq", "keyword", "queue", "sched"]


@handler(ROLE)
def read(task: Task) -> Any:
    """What the queen and the workers do."""
    step = task.payload["step"]
    if step == "decompose":
        modules = task.payload["given"]["modules"]
        return [{"text": f"read {name}", "payload": {"module": name}} for name in modules]
    if step == "gather":
        results = task.payload["results"]
        return {name: sum(result[name] for result in results) for name in ("lines", "functions", "classes")}
    return measure(task.payload["given"]["module"])


def measure(module: str) -> dict[str, int]:
    """How much there is in one module of the standard library."""
    text = (Path(os.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    functions = sum(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)
    classes = sum(isinstance(node, ast.ClassDef) for node in nodes)
    return {"lines": text.count("\n"), "functions": functions, "classes": classes}


def run(swarm: Swarm, job: str, role: str = ROLE) -> JobReport:
    queen, *workers = members(role, "queen", "bea", "bob", "ben")
    hierarchy = Hierarchy(swarm, job, queen=queen, workers=workers)
    return hierarchy.run("measure these modules", {"modules": MODULES})


def main() -> None:
    swarm = Swarm()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    with PoolManager(swarm.settings) as pools:
        pools.start(ROLE, 3, plan=RolePlan(role=ROLE, handlers=(HERE.stem,), factory=FACTORY))
        try:
            report = run(swarm, "measure")
        finally:
            pools.drain(ROLE)
    by_agent = Counter(agent for step, agent in report.did.items() if step.startswith("part-"))
    print(", ".join(f"{agent} has read {count}" for agent, count in sorted(by_agent.items())))
    print(f"{len(MODULES)} modules: {report.result}")


if __name__ == "__main__":
    main()
