"""A line of a training file: one JSON object that tells a task, what was done, and how good that was.

{"embedding": [...], "quality": 0.9, "context": {"task": "code", "language": "python"}}
{"text": "parse ISO dates", "output": "use fromisoformat", "quality": 1.0}
{"task": "parse ISO dates", "output": "use strptime", "reward": 0.4}
{"task": "capital of France", "output": "Paris", "expected": "Paris"}
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from swarm.embed.text import MAX_TEXT_BYTES, check_text
from swarm.errors import InputError, ShapeError
from swarm.sona.clusters import MAX_TIME_S
from swarm.sona.trajectory import MAX_COST, MAX_LATENCY_MS
from swarm.sona.vectors import MAX_SQUARED_NORM, MIN_SQUARED_NORM, Vector, check_number, squared_length
from swarm_agents.training.scoring import score_quality

_DONE = ("output", "response", "action", "label")
_ROUTES = ("route", "model")
_READ = frozenset(
    (
        *("embedding", "text", "task", "quality", "reward", "success", "expected", "context"),
        *("latency_ms", "latencyMs", "cost", "at_s"),
        *_DONE,
        *_ROUTES,
    )
)
_MAX_CONTEXT = 64
_MAX_CONTEXT_CHARACTERS = 65_536
_MAX_ROUTE_BYTES = 1_024
_MAX_NAME = 60
_MAX_NAMES = 8
_ARRAY = " (an array of objects must be one object a line: jq -c '.[]' FILE)"


class Example(NamedTuple):
    """What a line says. A tuple, because a file has many.

    `vector` is of unit length, None if `text` is still to be embedded; `at_s` None if the line names no time;
    `left_out` the fields that the engine does not learn from.
    """

    vector: Vector | None
    text: str
    quality: float
    response: str
    route: str
    latency_ms: float
    cost: float
    at_s: float | None
    context: dict[str, str]
    left_out: tuple[str, ...]


def parse_line(line: bytes, dim: int) -> Example:
    """The example in a line, for vectors of `dim` numbers.

    Raises
    ------
    InputError
        If it cannot be learned from; the message says why.
    """
    try:
        values = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"not JSON{_hint(line)}: {error.msg[:120]}, at character {error.pos}") from None
    if isinstance(values, list):
        raise InputError(f"a line must be a JSON object, got list{_ARRAY}")
    if not isinstance(values, dict):
        raise InputError(f"a line must be a JSON object, got {type(values).__name__}")
    context = values.get("context") or {}
    if not isinstance(context, dict):
        raise InputError(f"context must be an object, got {type(context).__name__}")
    vector = _unit(values["embedding"], dim) if values.get("embedding") is not None else None
    text = _text(values, ("text", "task"))
    if not text and vector is None and not (text := _text(context, ("text", "task"))):
        raise InputError(f"has {_fields(values)}; wants task or text or embedding")
    # A context's task says what was asked for only where nothing else does; else it names what was done, as a label.
    response = _text(values, _DONE) or _text(context, _DONE) or _other(_text(context, ("task",)), text)
    return Example(
        vector=vector,
        text=text,
        quality=_quality(values, response),
        response=response,
        route=_text(values, _ROUTES, _MAX_ROUTE_BYTES) or _text(context, _ROUTES, _MAX_ROUTE_BYTES),
        latency_ms=check_number(
            values.get("latency_ms", values.get("latencyMs", 0.0)), "latency_ms", 0, MAX_LATENCY_MS
        ),
        cost=check_number(values.get("cost", 0.0), "cost", 0.0, MAX_COST),
        at_s=check_number(values["at_s"], "at_s", 0.0, MAX_TIME_S) if "at_s" in values else None,
        context=_context(context) if context else {},
        left_out=tuple(name[:_MAX_NAME] for name in values.keys() - _READ),
    )


def _unit(numbers: object, dim: int) -> Vector:
    if not isinstance(numbers, list) or len(numbers) != dim:
        size = f"{len(numbers)}" if isinstance(numbers, list) else type(numbers).__name__
        raise ShapeError(f"embedding must be {dim} numbers, got {size}")
    try:
        vector = np.frombuffer(array("f", numbers), dtype=np.float32)
    except (TypeError, OverflowError) as error:
        raise ShapeError(f"embedding must be {dim} numbers: {error}") from None
    squared = squared_length(vector)
    if not MIN_SQUARED_NORM <= squared <= MAX_SQUARED_NORM:
        raise InputError(f"embedding must be 1e-06 to 1e+06 long, got length {math.sqrt(squared):.3g}")
    unit: Vector = vector / np.float32(math.sqrt(squared))
    return unit


def _quality(values: Mapping[str, Any], response: str) -> float:
    for name in ("quality", "reward"):
        if values.get(name) is not None:
            return check_number(values[name], name, 0.0, 1.0)
    if isinstance(values.get("success"), bool):
        return float(values["success"])
    if values.get("expected") is not None and response:
        return score_quality(response, values["expected"])
    raise InputError(f"has {_fields(values)}; wants quality or reward or success, or output and expected")


def _fields(values: Mapping[str, Any]) -> str:
    """The first names of fields of a line that say something."""
    names = [name[:_MAX_NAME] for name, value in values.items() if value is not None]
    return ", ".join(names[:_MAX_NAMES]) + (", ..." if len(names) > _MAX_NAMES else "") or "no fields"


def _hint(line: bytes) -> str:
    """What a line that is no JSON seems to be part of."""
    text = line.strip()
    if text.startswith(b"["):
        return _ARRAY
    if text == b"{":
        return " (an object must stand on one line: jq -c . FILE)"
    if b"," in text and not text.startswith(b"{"):
        return " (CSV? each row must be a JSON object: its columns as fields)"
    return ""


def _text(values: Mapping[str, Any], names: tuple[str, ...], max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The first text of those names, "" if there is none."""
    for name in names:
        if (found := values.get(name)) is not None:
            return check_text(found, name, max_bytes)
    return ""


def _other(label: str, text: str) -> str:
    return "" if label == text else label


def _context(context: Mapping[str, Any]) -> dict[str, str]:
    """A context as texts: what is none as JSON."""
    if len(context) > _MAX_CONTEXT:
        raise InputError(f"context may have {_MAX_CONTEXT} entries at most, got {len(context)}")
    try:
        found = {
            name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in context.items()
        }
    except orjson.JSONEncodeError as error:
        raise InputError(f"context cannot be kept: {str(error)[:80]}") from None
    if (size := sum(len(name) + len(value) for name, value in found.items())) > _MAX_CONTEXT_CHARACTERS:
        raise InputError(f"context may have {_MAX_CONTEXT_CHARACTERS} characters at most, got {size}")
    return found
