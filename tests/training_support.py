"""Training files, and what an agent knows after one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from swarm_support import DIM

from swarm.services.swarm import Swarm
from swarm.sona.vectors import unit

ACTIONS = 6


def some_lines(count: int, *, actions: int = ACTIONS, seed: int = 0) -> list[dict[str, Any]]:
    """Examples of tasks that are alike where the same action is right, a fifth of them failures."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((actions, DIM))
    lines = []
    for _ in range(count):
        right, is_right = int(rng.integers(actions)), rng.random() < 0.8
        done = right if is_right else (right + 1) % actions
        query = unit((centres[right] + 0.6 * rng.standard_normal(DIM)).astype(np.float32))
        lines.append(
            {
                "embedding": [round(float(number), 5) for number in query],
                "quality": float(is_right),
                "context": {"task": f"do {done}", "language": "python"},
            }
        )
    return lines


def write_lines(path: Path, lines: Sequence[Mapping[str, Any] | str]) -> Path:
    """A file of these lines; what is text already stays as it is."""
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines))
    return path


def what_is_known(swarm: Swarm, agent: str) -> list[Any]:
    """All that the agent has learned, byte for byte, but for the time at which it was."""
    clusters = [
        (one.id, one.action, one.n, one.sum_quality, one.sum_embedding.tobytes())
        for one in swarm.agents.clusters(agent)
    ]
    values = swarm.agents.values(agent)
    state = swarm.agents.state(agent)
    return [clusters, values, (state.generation, state.accepted, state.processed, state.dead), state.verdict]


def what_is_ranked(swarm: Swarm, lines: Sequence[Mapping[str, Any]]) -> list[list[tuple[str, float]]]:
    """The rankings of the tasks in some lines, as the bank is now."""
    swarm.replica.refresh()
    queries = [unit(np.array(line["embedding"], dtype=np.float32)) for line in lines]
    return [[(hit.action, hit.score) for hit in swarm.replica.rank(query, 5)] for query in queries]
