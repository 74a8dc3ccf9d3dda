"""Rows for training other models, in the fields that Hugging Face's `datasets` and TRL read; one JSON object a line.

patterns       what is known: a cluster, with its evidence and centroid
preferences    prompt, chosen, rejected: a success and a failure on like tasks (TRL's `DPOTrainer`)
distillation   messages (user, assistant) with their quality (TRL's `SFTTrainer`)
routing        task, route, quality, cost, latency
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import numpy as np

from swarm.services.exchange.examples import Example
from swarm.sona.clusters import Cluster

LIKE = 0.9
"""Cosine from which two tasks are so much alike that the answer to one could be one to the other."""
_AT_ONCE = 512
Row = Mapping[str, Any]


def write_rows(file: IO[bytes], rows: Iterable[Row]) -> int:
    """Write rows into an open binary file; how many."""
    n = 0
    for row in rows:
        # Only ASCII: a lone surrogate in a text must not make the whole file unreadable.
        file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        n += 1
    return n


def pattern_row(cluster: Cluster, *, has_texts: bool = True) -> Row:
    """One pattern of an agent."""
    row: dict[str, Any] = {
        "id": cluster.id,
        "action": cluster.action,
        "positive": cluster.positive,
        "outcomes": cluster.n,
        "mean_quality": cluster.mean_quality,
        "expected_quality": cluster.expected_quality,
        "quality_error": cluster.quality_error,
        "task_type": cluster.task_type,
        "agents": sorted(cluster.agents),
        "routes": [
            {"route": name, "outcomes": route.n, "mean_quality": route.sum_quality / route.n if route.n else 0.0}
            for name, route in sorted(cluster.routes.items())
        ],
        "first_s": cluster.first_s,
        "last_s": cluster.last_s,
        "embedding": [float(number) for number in cluster.centroid],
    }
    if has_texts:
        examples = [
            {"text": one.text, "quality": one.quality, "trajectory": one.trajectory_id} for one in cluster.exemplars
        ]
        row |= {"label": cluster.label, "response": cluster.response, "examples": examples}
    return row


def preference_rows(examples: Sequence[Example], threshold: float, like: float = LIKE) -> list[Row]:
    """For every failure the most alike task that another response solved: the pair in which that one is chosen.

    Parameters
    ----------
    threshold : quality from which an outcome is a success
    like : smallest cosine between both tasks

    The prompt is the failure's task. Equal pairs count once.
    """
    told = [one for one in examples if one.prompt and one.response]
    good = [one for one in told if one.quality >= threshold]
    bad = [one for one in told if one.quality < threshold]
    if not good or not bad:
        return []
    successes = np.array([one.vector for one in good])
    rows: dict[tuple[str, str, str], Row] = {}
    for start in range(0, len(bad), _AT_ONCE):
        page = bad[start : start + _AT_ONCE]
        similarity = np.array([one.vector for one in page]).dot(successes.T)  # (page, successes)
        for failure, row in zip(page, similarity, strict=True):
            best = _best(failure, good, row, like)
            if best is not None:
                chosen = good[best]
                rows.setdefault(
                    (failure.prompt, chosen.response, failure.response),
                    {
                        "prompt": failure.prompt,
                        "chosen": chosen.response,
                        "rejected": failure.response,
                        "chosen_quality": chosen.quality,
                        "rejected_quality": failure.quality,
                        "similarity": min(1.0, float(row[best])),
                        "chosen_trajectory": chosen.trajectory,
                        "rejected_trajectory": failure.trajectory,
                    },
                )
    return list(rows.values())


def _best(failure: Example, good: Sequence[Example], similarity: Any, like: float) -> int | None:
    """The row of the success most alike with another response; the better one among equals."""
    near = [int(row) for row in np.flatnonzero(similarity >= like) if good[int(row)].response != failure.response]
    return max(near, key=lambda row: (float(similarity[row]), good[row].quality, good[row].trajectory), default=None)


def distillation_rows(examples: Sequence[Example], threshold: float) -> list[Row]:
    """Every success with a response as a chat of two messages; of equal chats the one of best quality."""
    best: dict[tuple[str, str], Example] = {}
    for one in examples:
        if one.prompt and one.response and one.quality >= threshold:
            key = (one.prompt, one.response)
            if key not in best or one.quality > best[key].quality:
                best[key] = one
    return [
        {
            "messages": [{"role": "user", "content": one.prompt}, {"role": "assistant", "content": one.response}],
            "quality": one.quality,
            "task_type": one.task_type,
            "trajectory": one.trajectory,
            "at_s": one.at_s,
        }
        for one in best.values()
    ]


def routing_rows(examples: Sequence[Example], *, has_texts: bool = True) -> list[Row]:
    """Every outcome that named its route: which one, and what came of it (cost in USD, latency in ms)."""
    return [
        {
            **({"task": one.prompt} if has_texts else {}),
            "route": one.route,
            "quality": one.quality,
            "cost": one.cost,
            "latency_ms": one.latency_ms,
            "task_type": one.task_type,
            "trajectory": one.trajectory,
            "at_s": one.at_s,
        }
        for one in examples
        if one.is_whole and one.route
    ]
