"""Tasks for agents: put on the queue of a role, done by a pool of workers with an agent's hooks around each.

swarm up && python examples/tasks_for_agents.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from swarm.errors import TaskFailedError
from swarm.services.swarm import Swarm
from swarm_workers.handlers import Permanent, Task, handler

HERE = Path(__file__)


@handler("editor")
def edit(task: Task) -> str:
    """What the workers do; a real one would ask a model, with `task.advice` in its prompt."""
    if "text" not in task.payload:
        raise Permanent("there is nothing to edit")
    task.progress(0.5, "reading")
    return str(task.payload["text"]).strip().capitalize()


def workers(*words: str) -> None:
    """`swarm workers ...`, for which this file is the module with the handlers."""
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "swarm_cli", "workers", *words]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    swarm = Swarm()
    tasks = [
        swarm.submit("edit a sentence", role="editor", payload={"text": text}).id
        for text in ("  nothing is lost", "whatever dies ")
    ]
    empty = swarm.submit("edit a sentence", role="editor").id
    workers("start", "--role", "editor", "--handlers", HERE.stem, "-c", "1")
    try:
        print(" ".join(f"{swarm.tasks.wait(task)}." for task in tasks))
        try:
            swarm.tasks.wait(empty)
        except TaskFailedError as error:
            print(f"dead: {error}")
            swarm.tasks.drop(empty)
    finally:
        workers("drain", "--pool", "editor")
    print(f"editor has {swarm.status().agents[0].accepted} outcomes to learn from")


if __name__ == "__main__":
    main()
