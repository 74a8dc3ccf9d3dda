"""Metrics of a whole stack: each figure is that of `swarm status`, and no counter falls when processes die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from metrics_support import Scrape
from stack_support import PATIENCE, Stack
from support import wait_until


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path, name="measured")
    try:
        stack.start()
        stack.start_editors()
        yield stack
    finally:
        stack.close()


def scrape(stack: Stack) -> Scrape:
    answer = stack.http.get("/metrics")
    assert answer.status_code == 200
    return Scrape(answer.text)


def work(stack: Stack) -> None:
    """Outcomes, a broken one among those of nobody; tasks that end well, fail, and are let wait again; decisions."""
    receipts = [stack.report(f"task {number}", f"answer {number % 2}") for number in range(6)]
    stack.post("/v1/trajectories", {"agent": "coder-2", "text": "choose", "routes": ["small", "large"]})
    stack.line.run("submit", "edit", "--role", "editor", "--wait", "60")
    dead = stack.line.json("submit", "edit", "--role", "editor", "--payload", '{"give up": 1}')["id"]
    for replay in (True, False):
        wait_until(lambda: stack.line.json("task", dead)["state"] == "dead", PATIENCE, f"the death of {dead}")
        if replay:
            stack.line.run("dead", "replay", dead)
    for receipt in receipts:
        stack.await_state(receipt, "searchable")


def assert_equal(seen: Scrape, status: dict[str, Any]) -> None:
    """Every figure that both show."""
    agents, [editor] = status["agents"], status["tasks"]

    def total(name: str) -> int:
        return sum(agent[name] for agent in agents)

    ops = {
        name: seen("swarm_ops_total", kind="outcome", state=name) for name in ("accepted", "dead", "rewound", "refused")
    }
    assert ops == {name: total(name) for name in ops}
    processed = seen("swarm_ops_total", kind="outcome", state="processed")
    assert processed == total("consolidated") + total("dead") + total("rewound")
    assert seen("swarm_queue_depth", queue="outcomes") == status["pending"] == total("pending")
    assert seen("swarm_queue_depth", queue="background") == status["queue_depth"]
    assert seen("swarm_queue_depth", queue="run:editor") == editor["waiting"]
    for state in ("waiting", "retrying", "running", "dead"):
        assert seen("swarm_tasks", role="editor", state=state) == editor[state]
    for state in ("submitted", "succeeded", "cancelled"):
        assert seen("swarm_ops_total", kind="task", state=state) == editor[state]
    assert seen.sum("swarm_lost") == status["lost"]
    assert seen("swarm_patterns", scope="bank") == status["patterns"]
    assert seen("swarm_ops_total", kind="merge", state="published") == status["merges"]
    assert seen("swarm_unmerged_agents") == status["unmerged_agents"]
    assert seen("swarm_open_trajectories") == total("open")
    assert seen("swarm_open_expired_total") == total("expired_open")
    assert seen.sum("swarm_agents") == len(agents)
    for beat in status["workers"]:
        assert seen("swarm_workers", pool=beat["pool"], state="running") == 1
    assert seen.sum("swarm_worker_processes") == sum(beat["concurrency"] for beat in status["workers"])
    assert seen("swarm_supervisors") == len(status["supervisors"])


@pytest.mark.timeout(240)
def test_every_figure_is_that_of_status_and_no_counter_falls_when_processes_die(stack: Stack) -> None:
    work(stack)
    wait_until(lambda: stack.line.json("status")["queue_depth"] == 0, PATIENCE, "an empty queue")
    before = scrape(stack)
    status = stack.line.json("status")
    assert_equal(before, status)
    generations = sum(agent["generation"] for agent in status["agents"])
    assert before("swarm_consolidation_duration_seconds_count") == generations
    assert before("swarm_merge_duration_seconds_count") == status["merges"]
    # It died twice, and is dead once.
    assert before("swarm_dead_letters_total", task="run:editor") == 2
    assert before.sum("swarm_router_decisions_total") == 1
    tried = sum(version["update"] != "" for version in stack.line.json("agents", "history", "coder-1")["versions"])
    assert before.sum("swarm_adapter_promotions_total") == tried
    first = stack.gateway
    for beat in (first, *(process for process in status["workers"])):
        os.kill(beat.pid if beat is first else beat["pid"], signal.SIGKILL)
    wait_until(lambda: stack.gateway.pid != first.pid, PATIENCE, "another gateway")
    stack.http.base_url = stack.gateway.url
    after = scrape(stack)
    assert after.counters() == before.counters()
    assert ("swarm_hook_duration_seconds_count", (("event", "end"), ("outcome", "ok"))) not in after.samples
