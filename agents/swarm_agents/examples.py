"""Examples as outcomes of an agent, delivered in batches the way of all outcomes.

An example is a mapping: {"task", "output", "reward"}, or {"text" or "embedding", "quality"} with or without an output;
a "context" of texts may go with it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from swarm.embed.text import check_text
from swarm.errors import InputError, QueueFullError, SwarmError
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.redacted import redaction_of
from swarm.services.swarm import Swarm
from swarm.services.turn import registered
from swarm.sona.clusters import action_of
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector, check_direction, check_number, check_vector

_KEYS = frozenset({"task", "text", "embedding", "output", "reward", "quality", "context"})
_MAX_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """So many examples were taken, in so many batches; `refused` of them belong to what was forgotten.

    `last` is the receipt of the last one, None without any: `swarm.wait(last)` returns when all of them are searchable.
    """

    examples: int
    batches: int
    refused: int
    last: Receipt | None


def deliver_examples(
    swarm: Swarm, agent: str, examples: Iterable[Mapping[str, Any]], batch_size: int = 100, patience_s: float = 60.0
) -> Delivered:
    """Report examples as outcomes of a registered agent; every batch is durable before the next one is read.

    Parameters
    ----------
    patience_s : how long to wait for workers to take something, when `max_pending` outcomes wait

    Raises
    ------
    InputError
        If an example cannot be used; the message says which. The batches before its own were taken.
    QueueFullError
        If nobody makes room within `patience_s`.
    """
    redaction = redaction_of(registered(agent, swarm.agents).policy)
    count = batches = refused = 0
    last = None
    waiting = iter(examples)
    while batch := list(islice(waiting, batch_size)):
        checked = list(_checked(batch, count, swarm.embedder.identity.dim))
        texts = [redaction.text(text) for text, vector, _ in checked if vector is None]
        embedded = iter(swarm.embedder.embed(texts))
        outcomes = [
            _outcome(swarm, agent, redaction.text(text), next(embedded) if vector is None else vector, example)
            for text, vector, example in checked
        ]
        receipts = _record(swarm, outcomes, patience_s)
        count, batches, last = count + len(receipts), batches + 1, receipts[-1]
        refused += sum(receipt.state is ReceiptState.FORGOTTEN for receipt in receipts)
    return Delivered(examples=count, batches=batches, refused=refused, last=last)


def _checked(
    batch: Iterable[Mapping[str, Any]], first: int, dim: int
) -> Iterator[tuple[str, Vector | None, Mapping[str, Any]]]:
    for number, example in enumerate(batch, first):
        try:
            yield _text_and_vector(example, dim)
        except SwarmError as error:
            raise InputError(f"example {number}: {error}") from error


def _text_and_vector(example: object, dim: int) -> tuple[str, Vector | None, Mapping[str, Any]]:
    if not isinstance(example, Mapping):
        raise InputError(f"must be a mapping, got {type(example).__name__}")
    if unknown := sorted(map(str, example.keys() - _KEYS)):
        raise InputError(f"may hold {', '.join(sorted(_KEYS))}, got {', '.join(unknown)[:200]}")
    for one, other in (("task", "text"), ("reward", "quality")):
        if one in example and other in example:
            raise InputError(f"must hold {one} or {other}, got both")
    text = example.get("task", example.get("text", ""))
    check_number(_quality(example), "reward", 0.0, 1.0)
    if example.get("output"):
        check_text(example["output"], "output")
    if not isinstance(context := example.get("context") or {}, Mapping):
        raise InputError(f"context must be a mapping, got {type(context).__name__}")
    vector = None
    if "embedding" in example:
        vector = check_vector(_array(example["embedding"]), dim, "embedding")
        check_direction(vector, dim, "embedding")
    if vector is None or text:
        check_text(text, "task")
    return text, vector, example


def _array(values: object) -> Vector:
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"embedding must be numbers, got {type(values).__name__}") from error


def _quality(example: Mapping[str, Any]) -> Any:
    return example.get("reward", example.get("quality", 1.0))


def _outcome(swarm: Swarm, agent: str, text: str, vector: Vector, example: Mapping[str, Any]) -> Trajectory:
    output = example.get("output") or ""
    return Trajectory(
        id=uuid.uuid4().hex,
        embedding=vector,
        quality=float(_quality(example)),
        action=action_of(output) if output else "",
        response=output,
        text=text,
        task_type=swarm.task_type(vector),
        agent=agent,
        at_s=time.time(),
        context={str(key): str(value) for key, value in dict(example.get("context") or {}).items()},
    )


def _record(swarm: Swarm, outcomes: list[Trajectory], patience_s: float) -> list[Receipt]:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return swarm.record_many(outcomes)
        except QueueFullError as error:
            # What was taken of them is known by its key, and is not taken twice.
            if time.monotonic() + error.retry_after_s >= deadline:
                raise
            time.sleep(min(error.retry_after_s, _MAX_PAUSE_S))
