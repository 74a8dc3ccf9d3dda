"""Handlers for the benchmarks of tasks: `swarm workers start --handlers benchmarks.load_handlers`."""

from __future__ import annotations

from swarm_workers.handlers import Task, handler


@handler("noop")
def do_nothing(task: Task) -> None:
    """What it costs to have a task done, without doing it."""
