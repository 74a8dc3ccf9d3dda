"""The logs of a real run: JSON line by line, about something, and without what tasks and handlers said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stack_support import PATIENCE, Stack
from support import wait_until

TEXT = "zanzibar with quetzal feathers"


def fail(stack: Stack) -> dict[str, Any]:
    """Have a task fail in its handler, and an outcome learned; the line about the failure."""
    stack.start_editors()
    receipt = stack.report(TEXT, f"use {TEXT}")
    task = stack.line.json("submit", TEXT, "--role", "editor", "--payload", '{"fail": 1}', "--max-attempts", "1")
    stack.await_state(receipt, "searchable")

    def found() -> list[dict[str, Any]]:
        return [line for line in stack.log_lines() if line.get("task_id") == task["id"]]

    return wait_until(found, PATIENCE, "a line about the task")[0]


@pytest.mark.timeout(180)
def test_a_run_logs_json_and_no_content(start: Callable[..., Stack]) -> None:
    stack = start(name="quiet")
    line = fail(stack)
    assert {"time", "level", "logger", "process", "message", "agent", "trajectory_id", "trace_id"} <= line.keys()
    assert line["level"] == "WARNING"
    assert line["error"][-1] == "ValueError"
    loggers = {one["logger"] for one in stack.log_lines()}
    assert {"swarm_gateway", "swarm_workers.supervisor", "swarm_workers.attempt"} <= loggers
    everything = "".join(path.read_text() for path in stack.line.state_dir.rglob("*.log"))
    assert "zanzibar" not in everything
    assert "quetzal" not in everything


@pytest.mark.timeout(180)
def test_content_is_logged_where_it_is_asked_for(start: Callable[..., Stack]) -> None:
    line = fail(start(name="loud", log_content="1"))
    assert line["content"] == line["error"][-1] == f"ValueError: cannot do {TEXT}"
