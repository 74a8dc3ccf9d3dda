"""Real runs of several agents over the same tasks.

A folder holds `tasks.jsonl.gz` (task_id, domain, query [, template] [, answer[]]), `trajectories.jsonl.gz` (task_id,
agent, success [, tools] [, side_effect] [, n_steps] [, calls[]] [, error]), and may hold `emb.npz` with key `tasks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.embeddings import embedder_name, vectors_for
from benchmarks.rows import Row, require_folder, require_rows
from benchmarks.splits import frozen_array, numbered
from swarm.errors import InputError
from swarm.sona.vectors import Flags, Integers, Vector

MAX_STEPS = 1_000_000
_WHAT = "a set of agent trajectories"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """n tasks in the order of the file. Arrays are read-only."""

    ids: tuple[str, ...]
    queries: tuple[str, ...]
    domains: Integers
    """Of shape (n,), indices into `domain_names`."""
    domain_names: tuple[str, ...]
    templates: Integers
    """Of shape (n,), indices into `template_names`: tasks of one template differ in names and numbers only.
    A task without one has its own query as template."""
    template_names: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    """The correct calls."""
    embedding: Vector
    """Of shape (n, d), of the queries, rows of unit length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """k runs in the order of the file. Arrays are read-only."""

    tasks: Integers
    """Of shape (k,), indices into `Tasks.ids`."""
    agents: Integers
    """Of shape (k,), indices into `agent_names`."""
    agent_names: tuple[str, ...]
    toolsets: tuple[str, ...]
    """Which tools the agent was given, such as `all` or `domains`; empty where the data does not say. An agent
    may have run a task once with each."""
    success: Flags
    """Of shape (k,)."""
    side_effect: Flags
    """Of shape (k,): whether it changed something that it should not."""
    n_steps: Integers
    """Of shape (k,)."""
    calls: tuple[tuple[str, ...], ...]
    """The calls that the agent made, in order: its steps."""
    errors: tuple[str, ...]
    """Why a run ended early; empty where it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTrajectories:
    """Tasks, and the runs of all agents over them."""

    name: str
    embedder: str
    tasks: Tasks
    runs: Runs


def load_agent_trajectories(data: Path | None, embedder: str | None = None) -> AgentTrajectories:
    """The trajectories in folder `data`; parameters and errors as in `load_labelled_texts`, None is an error too."""
    folder = require_folder(data, f"{_WHAT}: tasks.jsonl.gz and trajectories.jsonl.gz")
    task_rows = require_rows(folder, "tasks", _WHAT)
    run_rows = require_rows(folder, "trajectories", _WHAT)
    name = embedder_name(folder, embedder)
    tasks = _tasks(task_rows, name, folder)
    runs = _runs(run_rows, tasks.ids)
    return AgentTrajectories(name=folder.resolve().name or "data", embedder=name, tasks=tasks, runs=runs)


def _tasks(rows: Sequence[Row], embedder: str, folder: Path) -> Tasks:
    ids = tuple(row.text("task_id") for row in rows)
    if len(set(ids)) != len(ids):
        twice = next(row for position, row in enumerate(rows) if ids[position] in ids[:position])
        raise InputError(f"{twice.where}: task_id must be unique, got {twice.text('task_id')!r:.80} twice")
    queries = tuple(row.text("query") for row in rows)
    domains, domain_names = numbered([row.text("domain") for row in rows])
    templates, template_names = numbered([row.text("template" if row.has("template") else "query") for row in rows])
    return Tasks(
        ids=ids,
        queries=queries,
        domains=domains,
        domain_names=domain_names,
        templates=templates,
        template_names=template_names,
        answers=tuple(row.texts("answer") for row in rows),
        embedding=vectors_for(queries, embedder, folder, key="tasks"),
    )


def _runs(rows: Sequence[Row], task_ids: tuple[str, ...]) -> Runs:
    index = {task: position for position, task in enumerate(task_ids)}
    for row in rows:
        if row.text("task_id") not in index:
            raise InputError(f"{row.where}: task_id must be one of the tasks, got {row.text('task_id')!r:.80}")
    agents, agent_names = numbered([row.text("agent") for row in rows])
    return Runs(
        tasks=frozen_array(np.array([index[row.text("task_id")] for row in rows], dtype=np.intp)),
        agents=agents,
        agent_names=agent_names,
        toolsets=tuple(row.any_text("tools") for row in rows),
        success=_flags(rows, "success", is_needed=True),
        side_effect=_flags(rows, "side_effect", is_needed=False),
        n_steps=frozen_array(np.array([_steps(row) for row in rows], dtype=np.intp)),
        calls=tuple(row.texts("calls") for row in rows),
        errors=tuple(row.any_text("error") for row in rows),
    )


def _flags(rows: Sequence[Row], field: str, *, is_needed: bool) -> Flags:
    flags: Flags = np.array([_flag(row, field) if is_needed or row.has(field) else False for row in rows], dtype=bool)
    flags.flags.writeable = False
    return flags


def _flag(row: Row, field: str) -> bool:
    value = row.fields.get(field)
    if value not in (0, 1):
        raise InputError(f"{row.where}: {field} must be 0 or 1, got {value!r:.40}")
    return bool(value)


def _steps(row: Row) -> int:
    return int(row.number("n_steps", 0, MAX_STEPS)) if row.has("n_steps") else len(row.texts("calls"))
