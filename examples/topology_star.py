"""A star: a hub has the words of the language reference sorted by spokes, in three turns (a sample sort).

swarm up && python examples/topology_star.py
"""

from __future__ import annotations

import inspect
import os
import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarm.services.swarm import Swarm
from swarm.services.topologies import JobReport, Star, members
from swarm_cli.worker_agents import FACTORY
from swarm_workers.handlers import Task, handler
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

HERE = Path(__file__)
ROLE = "sorter"
PARTS = 4


def words() -> list[str]:
    """All words of the `argparse` module, in the order in which they stand there."""
    import argparse  # what is sorted, not what is used

    return re.findall(r"[a-z]+", inspect.getsource(argparse).lower())


@handler(ROLE)
def sort(task: Task) -> Any:
    """What the hub and the spokes do."""
    if task.payload["step"] == "ask":
        return sorted(task.payload["given"]["words"])
    answers = task.payload["answers"]
    failed = [answer["failed"] for answer in answers if "failed" in answer]
    if failed:
        raise RuntimeError(f"a part is missing: {failed[0]}")
    done = [answer["answer"] for answer in answers]
    if task.payload["turn"] == 0:
        given = task.payload["given"]["words"]
        return {"ask": [_part(given[start::PARTS]) for start in range(PARTS)]}
    if task.payload["turn"] == 1:
        # Every part is in order by itself: what lies between two splitters belongs together.
        splitters = _splitters(done)
        cuts = [[0, *(bisect_left(part, splitter) for splitter in splitters), len(part)] for part in done]
        ranges = [
            [word for part, at in zip(done, cuts, strict=True) for word in part[at[number] : at[number + 1]]]
            for number in range(PARTS)
        ]
        return {"ask": [_part(range_) for range_ in ranges]}
    return {"result": [word for part in done for word in part]}


def _part(given: Sequence[str]) -> dict[str, Any]:
    return {"text": "sort these words", "payload": {"words": list(given)}}


def _splitters(parts: Sequence[Sequence[str]]) -> list[str]:
    sample = sorted(word for part in parts for word in part[:: max(1, len(part) // 32)])
    return [sample[len(sample) * number // PARTS] for number in range(1, PARTS)]


def run(swarm: Swarm, job: str, given: Sequence[str], role: str = ROLE) -> JobReport:
    hub, *spokes = members(role, "hub", "sue", "sam", "sid")
    return Star(swarm, job, hub=hub, spokes=spokes).run("sort words", {"words": list(given)})


def main() -> None:
    swarm, given = Swarm(), words()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    with PoolManager(swarm.settings) as pools:
        pools.start(ROLE, 2, plan=RolePlan(role=ROLE, handlers=(HERE.stem,), factory=FACTORY))
        try:
            report = run(swarm, "sort", given)
        finally:
            pools.drain(ROLE)
    turns = sum(step.startswith("turn") for step in report.did)
    print(f"{len(given):,} words in {turns} turns, in order: {report.result == sorted(given)}")


if __name__ == "__main__":
    main()
