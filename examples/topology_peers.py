"""Peers: each knows some modules of the standard library; whom to ask they learn from who could answer before.

swarm up && python examples/topology_peers.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from swarm.services.swarm import Swarm
from swarm.services.topologies import JobReport, PeerToPeer, Question, members
from swarm_cli.worker_agents import FACTORY
from swarm_workers.handlers import Task, handler
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

HERE = Path(__file__)
ROLE = "peer"
NUMBERS, PATHS, TEXTS = ["math", "statistics"], ["os.path", "shutil"], ["textwrap", "string"]
KNOWS = {"pam": NUMBERS + TEXTS, "pat": PATHS + NUMBERS, "pip": TEXTS + PATHS}
"""The modules that each peer has read; whatever becomes of one peer, another one knows it."""
FIRST = {
    "the square root of a number": "sqrt",
    "the cosine of a number": "cos",
    "the mean of some numbers": "mean",
    "join the parts of a path of a file": "join",
    "copy a file to another path": "copyfile",
    "the name of a file at the end of a path": "basename",
    "wrap a long text into lines": "wrap",
    "indent the lines of a text": "indent",
    "write the words of a text with capitals": "capwords",
}
SECOND = {
    "the logarithm of a number": "log",
    "the median of some numbers": "median",
    "split a path of a file": "split",
    "move a file to another path": "move",
    "shorten a long text": "shorten",
    "fill the lines of a text": "fill",
}
"""What is asked for, and the function that does it."""


@handler(ROLE)
def answer(task: Task) -> str | None:
    """What a peer does: it looks into the modules that it knows, and declines what is in none of them."""
    name = task.payload["given"]["function"]
    for module in KNOWS[task.agent]:
        if hasattr(import_module(module), name):
            return f"{module}.{name}"
    task.quality = 0.0  # so that the swarm learns whom not to ask
    return None


def run(swarm: Swarm, job: str, wanted: Mapping[str, str], role: str = ROLE) -> JobReport:
    questions = [Question(text=text, given={"function": name}) for text, name in wanted.items()]
    return PeerToPeer(swarm, job, peers=members(role, *KNOWS)).run(questions)


def wait_until_learned(swarm: Swarm, timeout_s: float = 60.0) -> None:
    """Wait until the workers have consolidated and merged what was reported."""
    deadline = time.monotonic() + timeout_s
    while (status := swarm.status()).pending or status.unmerged_agents:
        if time.monotonic() > deadline:
            raise TimeoutError("the workers do not keep up (swarm status)")
        time.sleep(0.1)


def main() -> None:
    swarm = Swarm()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    with PoolManager(swarm.settings) as pools:
        pools.start(ROLE, 2, plan=RolePlan(role=ROLE, handlers=(HERE.stem,), factory=FACTORY))
        try:
            first = run(swarm, "first", FIRST)
            wait_until_learned(swarm)
            second = run(swarm, "second", SECOND)
        finally:
            pools.drain(ROLE)
    for text, found in zip(SECOND, second.result, strict=True):
        print(f"{text}: {found}")
    print(
        f"declined before an answer came: {len(first.failures)} times in {len(FIRST)} questions, "
        f"then {len(second.failures)} times in {len(SECOND)}"
    )


if __name__ == "__main__":
    main()
