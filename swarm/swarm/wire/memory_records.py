"""What a learner remembers beside clusters and weights, as records: its sample of outcomes, its task, its standing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from swarm.errors import InputError
from swarm.sona.boundary import TaskShift
from swarm.sona.credit import CreditSums, credit_as_dict, credit_from_dict
from swarm.sona.reservoir import Reservoir
from swarm.sona.snapshot import task_from
from swarm.sona.standing import Standing
from swarm.sona.vectors import check_count, check_text
from swarm.wire.codec import encode
from swarm.wire.records import guarded

MAX_SAMPLE_FLOATS = 3_000_000
"""A sample of large vectors is cut to so many numbers of two bytes, so that it fits into a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerRecord:
    """The task that an agent is in, how far its feedback can be believed, and what its steps used to add."""

    task: TaskShift
    standing: Standing
    credit: CreditSums = field(default_factory=CreditSums)


def encode_learner(record: LearnerRecord) -> bytes:
    """The sums as float64 bytes, so that adding goes on without rounding."""
    task = record.task
    sums = np.array([task.total, task.waiting, task.strange], dtype="<f8")
    return encode(
        "learner",
        {
            "dim": sums.shape[1],
            "sums": sums.tobytes(),
            "counts": [task.n, task.waiting_n, task.strange_n, task.strange_batches, task.tasks],
            "task": task.name,
            "standing": record.standing.as_dict(),
            "credit": credit_as_dict(record.credit),
        },
    )


def decode_learner(data: bytes) -> LearnerRecord:
    """The inverse of `encode_learner`."""
    return guarded("learner", data, _learner)


def encode_sample(sample: Reservoir) -> bytes:
    """A sample of outcomes; embeddings as float16 bytes."""
    dim = sample.embeddings.shape[1]
    kept = sample.bounded(MAX_SAMPLE_FLOATS // dim) if dim else sample
    return encode(
        "sample",
        {
            "dim": dim,
            "ids": list(kept.ids),
            "actions": list(kept.actions),
            "embeddings": kept.embeddings.astype("<f2").tobytes(),
            "qualities": kept.qualities.astype("<f4").tobytes(),
        },
    )


def decode_sample(data: bytes) -> Reservoir:
    """The inverse of `encode_sample`."""
    return guarded("sample", data, _sample)


def _learner(payload: Mapping[str, Any]) -> LearnerRecord:
    dim = check_count(payload["dim"], "dim", 0, 65_536)
    sums = np.frombuffer(payload["sums"], dtype="<f8").reshape(3, dim)
    standing = payload["standing"]
    if not isinstance(standing, dict):
        raise InputError(f"standing must be a mapping, got {type(standing).__name__}")
    return LearnerRecord(
        # Records from before tasks had names have none.
        task=replace(task_from(payload["counts"], sums), name=check_text(payload.get("task", ""), "task")),
        standing=Standing.from_dict(standing),
        credit=credit_from_dict(payload["credit"]),
    )


def _sample(payload: Mapping[str, Any]) -> Reservoir:
    dim = check_count(payload["dim"], "dim", 0, 65_536)
    ids, actions = ([check_text(name, "sample") for name in payload[part]] for part in ("ids", "actions"))
    embeddings = np.frombuffer(payload["embeddings"], dtype="<f2").reshape(len(ids), dim)
    qualities = np.frombuffer(payload["qualities"], dtype="<f4")
    if len(actions) != len(ids) or qualities.shape != (len(ids),):
        raise InputError(f"a sample of {len(ids)} outcomes has {len(actions)} actions and {len(qualities)} qualities")
    if not np.isfinite(embeddings).all() or not ((qualities >= 0.0) & (qualities <= 1.0)).all():
        raise InputError("embeddings of a sample must be finite, and qualities in 0..1")
    return Reservoir.made(ids, embeddings, actions, qualities)
