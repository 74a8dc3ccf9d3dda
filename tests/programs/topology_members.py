"""Does the members' part of every example of a topology, in one pool; and a test can have a member die of it.

In the folder of `TOPOLOGY_TRAPS` a file JOB.STEP is a trap for whoever has that step of that job next: the process
writes its pid into it, renames it to JOB.STEP.sprung, and waits to be killed. JOB.STEP.AGENT is for that agent alone.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from swarm_workers.handlers import Handler, Task, handler

EXAMPLES = {
    "hierarchy": "topology_hierarchy",
    "mesh": "topology_mesh",
    "star": "topology_star",
    "ring": "topology_ring",
    "peer-to-peer": "topology_peers",
}


@handler("member")
def member(task: Task) -> Any:
    """Whatever the example's own handler does."""
    folder = Path(os.environ["TOPOLOGY_TRAPS"])
    step = f"{task.payload['job']}.{task.payload['step']}"
    with (folder / "journal").open("a") as journal:
        journal.write(f"{task.id} {task.attempt}\n")
    for name in (step, f"{step}.{task.agent}"):
        _spring(folder, name)
    [function] = [
        one for one in vars(import_module(EXAMPLES[task.payload["topology"]])).values() if isinstance(one, Handler)
    ]
    return function(task)


def _spring(folder: Path, name: str) -> None:
    trap = folder / f"{name}.{os.getpid()}"
    try:
        (folder / name).rename(trap)
    except FileNotFoundError:
        return
    trap.write_text(str(os.getpid()))
    trap.rename(folder / f"{name}.sprung")
    while not (folder / f"{name}.open").exists():
        time.sleep(0.01)
