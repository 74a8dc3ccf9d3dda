"""A ring: a docstring goes from station to station, and each makes one thing of it better.

swarm up && python examples/topology_ring.py
"""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from swarm.services.swarm import Swarm
from swarm.services.topologies import JobReport, Ring, members
from swarm_cli.worker_agents import FACTORY
from swarm_workers.handlers import Task, handler
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

HERE = Path(__file__)
ROLE = "station"

STAGES: dict[str, Callable[[str], str]] = {
    "cleaner": inspect.cleandoc,
    "joiner": lambda text: re.sub(r"(?<=[^\n])\n(?=[^\n])", " ", text),
    "marker": lambda text: re.sub(r"\b([\w.]+)\(\)", r"`\1()`", text),
    "filler": lambda text: "\n\n".join(textwrap.fill(part, 60) for part in text.split("\n\n")),
}
"""What each station does, in the order of the ring."""


@handler(ROLE)
def improve(task: Task) -> str:
    """What a station does: its own stage, after those of the stations that were skipped."""
    text = task.payload["token"]
    for stage in (*task.payload["skipped"], task.agent):
        text = STAGES[stage](text)
    return str(text)


def run(swarm: Swarm, job: str, text: str, role: str = ROLE) -> JobReport:
    return Ring(swarm, job, stations=members(role, *STAGES)).run("make this docstring readable", text)


def main() -> None:
    swarm = Swarm()
    text = inspect.getdoc(textwrap.wrap) or ""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    with PoolManager(swarm.settings) as pools:
        pools.start(ROLE, 2, plan=RolePlan(role=ROLE, handlers=(HERE.stem,), factory=FACTORY))
        try:
            report = run(swarm, "docstring", text)
        finally:
            pools.drain(ROLE)
    print(report.result)
    print(f"went through {', '.join(report.did.values())}")


if __name__ == "__main__":
    main()
