"""A routing log: requests, and what each of m models scored, cost and took for every one of them.

A folder holds `queries.jsonl.gz` (id, prompt, score[m], cost[m] [, bench] [, split] [, latency_s[m]] [, tools[]]),
`models.json` (the m names), and may hold `emb.npz`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.embeddings import embedder_name, vectors_for
from benchmarks.rows import Row, require_folder, require_rows
from benchmarks.splits import TEST, TRAIN, VAL, frozen_array, hold_out, numbered, read_splits
from swarm.errors import InputError
from swarm.sona.vectors import Doubles, Flags, Integers, Vector

MAX_COST_USD = 1e6
MAX_LATENCY_S = 1e6
NO_CATEGORY = "none"
"""Of requests whose data name no category."""
_WHAT = "a routing set"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingLog:
    """n requests, m models, in the order of the files. Arrays are read-only."""

    name: str
    embedder: str
    models: tuple[str, ...]
    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    tools: tuple[tuple[str, ...], ...]
    """Names of the tools that each request offered; empty where the data names none."""
    categories: Integers
    """Of shape (n,), indices into `category_names`: subject or kind of request (field `bench`)."""
    category_names: tuple[str, ...]
    scores: Doubles
    """Of shape (n, m), 0-1."""
    costs_usd: Doubles
    """Of shape (n, m), US dollars of one call."""
    latencies_s: Doubles | None
    """Of shape (n, m), seconds of one call; None if the data has none."""
    splits: Integers
    """Of shape (n,), indices into `benchmarks.splits.SPLITS`."""
    has_own_split: bool
    embedding: Vector
    """Of shape (n, d), of `request_text`, rows of unit length."""

    @property
    def train(self) -> Flags:
        """Of shape (n,): rows to learn from."""
        return np.asarray(self.splits == TRAIN)

    @property
    def val(self) -> Flags:
        """Of shape (n,): rows to choose settings by; often none."""
        return np.asarray(self.splits == VAL)

    @property
    def test(self) -> Flags:
        """Of shape (n,): held-out rows."""
        return np.asarray(self.splits == TEST)


def request_text(prompt: str, tools: Sequence[str]) -> str:
    """What is embedded for a request: the prompt, and the names of its tools if it has any.

    The vectors that the folder of specialists brings come from a text of this kind but not of exactly this
    form (cosine .95-.99), so figures of two embedders differ by that much too.

    >>> request_text("Area of a circle?", ["circle.area", "square.area"])
    'Area of a circle?\\nTools: circle.area, square.area'
    """
    return f"{prompt}\nTools: {', '.join(tools)}" if tools else prompt


def load_routing_log(data: Path | None, embedder: str | None = None) -> RoutingLog:
    """The routing log in folder `data`; parameters and errors as in `load_labelled_texts`, but None is an error too."""
    folder = require_folder(data, f"{_WHAT}: queries.jsonl.gz and models.json")
    rows = require_rows(folder, "queries", _WHAT)
    models = _models(folder / "models.json")
    prompts = tuple(row.text("prompt") for row in rows)
    tools = tuple(row.texts("tools") for row in rows)
    categories, category_names = numbered([row.text("bench") if row.has("bench") else NO_CATEGORY for row in rows])
    own = read_splits(rows)
    name = embedder_name(folder, embedder)
    log = RoutingLog(
        name=folder.resolve().name or "data",
        embedder=name,
        models=models,
        ids=tuple(row.text("id") for row in rows),
        prompts=prompts,
        tools=tools,
        categories=categories,
        category_names=category_names,
        scores=_table(rows, "score", len(models), 1.0),
        costs_usd=_table(rows, "cost", len(models), MAX_COST_USD),
        latencies_s=_table(rows, "latency_s", len(models), MAX_LATENCY_S) if rows[0].has("latency_s") else None,
        splits=frozen_array(hold_out(prompts, categories, seed=0) if own is None else own),
        has_own_split=own is not None,
        embedding=vectors_for([request_text(p, t) for p, t in zip(prompts, tools, strict=True)], name, folder),
    )
    if not (log.train.any() and log.test.any()):
        raise InputError(
            f"{folder}: rows to learn from and held-out rows are needed, got {log.train.sum()} and {log.test.sum()}"
        )
    return log


def with_routing_split_of(log: RoutingLog, seed: int) -> RoutingLog:
    """`log` with a held-out fifth drawn by `seed`; a log with a split of its own comes back itself."""
    if log.has_own_split:
        return log
    return replace(log, splits=frozen_array(hold_out(log.prompts, log.categories, seed)))


def _models(path: Path) -> tuple[str, ...]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{path}: must be a list of names, got {type(names).__name__}")
    if len(set(names)) != len(names) or len(names) < 2:
        raise InputError(
            f"{path}: at least 2 different names are needed, got {len(names)}, {len(set(names))} different"
        )
    return tuple(names)


def _table(rows: Sequence[Row], field: str, m: int, high: float) -> Doubles:
    table: Doubles = np.array([row.numbers(field, m, 0.0, high) for row in rows], dtype=np.float64)
    table.flags.writeable = False
    return table
