"""Files to train on: made up, or tries at the real labels of a folder of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson

from benchmarks.labelled import LabelledTexts
from swarm.sona.vectors import Integers, Vector

_AT_ONCE = 1_000
_DIGITS = 6
RIGHT = 0.7
"""So many tries are right; the others are any label."""


def made_up(path: Path, lines: int, dim: int, actions: int, seed: int) -> None:
    """Tasks around one centre for each action, a fifth of them tried with any action, as the seeds' lines are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((actions, dim))
    with path.open("wb") as file:
        for start in range(0, lines, _AT_ONCE):
            n = min(_AT_ONCE, lines - start)
            right = rng.integers(actions, size=n)
            done = np.where(rng.random(n) < 0.8, right, rng.integers(actions, size=n))
            queries = centres[right] + 1.5 * rng.standard_normal((n, dim))
            queries /= np.linalg.norm(queries, axis=1, keepdims=True)
            for query, was_right, was_done in zip(queries, right, done, strict=True):
                context = {"task": f"action {was_done}", "language": "python"}
                file.write(_line(query, {"quality": float(was_right == was_done), "context": context}))


def tries(path: Path, data: LabelledTexts, rows: Integers, seed: int) -> None:
    """One try at each of the rows, with their own vectors."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        for row in rows:
            right = int(data.labels[row])
            done = right if rng.random() < RIGHT else int(rng.integers(len(data.label_names)))
            output = data.label_names[done]
            told = {"text": data.texts[row], "output": output, "quality": float(done == right)}
            file.write(_line(data.embedding[row], told))


def parsed(path: Path) -> int:
    """The floor: every line of a file as JSON, and nothing else; how many there are."""
    count = 0
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)
            count += 1
    return count


def _line(query: Vector, told: dict[str, object]) -> bytes:
    embedding = [round(float(number), _DIGITS) for number in query]
    return orjson.dumps({"embedding": embedding, **told}, option=orjson.OPT_APPEND_NEWLINE)
