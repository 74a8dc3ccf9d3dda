"""One suite for all clients: in process and over a real gateway, plain and async."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from client_support import blocking
from gateway_process import running_gateway
from support import wait_until

from swarm.errors import InputError, TextError, UnknownIdError
from swarm.services.background import Background
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.swarm import Swarm
from swarm.services.tasks import TaskView
from swarm.settings import Settings
from swarm.wire.records import decode_trajectory
from swarm.wire.task_records import TaskState
from swarm_agents import Agent
from swarm_agents.advice import TaskAdvice
from swarm_agents.client import SwarmClient
from swarm_agents.client.attempts import Patience
from swarm_agents.client.http import AsyncHttpClient, HttpClient
from swarm_agents.client.local import AsyncLocalClient, LocalClient, quick_swarm

PATIENCE = Patience(hook_timeout=20.0, timeout=20.0)
"""Two cores that others work on, too: no test is about how long a call takes."""


@pytest.fixture(params=["local", "async local", "http", "async http"])
def ada(request: pytest.FixtureRequest, settings: Settings, swarm: Swarm) -> Iterator[SwarmClient]:
    """Agent ada, whichever way she reaches the swarm."""
    # `swarm` comes first, so that what the test leaves in Redis is removed.
    if "local" in request.param:
        quick = quick_swarm(settings.model_copy(update={"hook_timeout": 5.0}))
        local = LocalClient(Agent("ada", role="coder", swarm=quick))
        with local if request.param == "local" else blocking(lambda: AsyncLocalClient(local)) as client:
            yield client
        return
    with running_gateway(settings, SWARM_HOOK_TIMEOUT="5") as gateway:
        url = gateway.url
        if request.param == "http":
            with HttpClient(url, "ada", role="coder", patience=PATIENCE) as client:
                yield client
            return
        with blocking(lambda: AsyncHttpClient(url, "ada", role="coder", patience=PATIENCE)) as client:
            yield client


def test_a_task_goes_from_its_begin_to_the_shared_bank(ada: SwarmClient, swarm: Swarm, background: Background) -> None:
    advice = ada.before_task("decode a JSON document", k=3, tools=("grep",))
    assert (advice.text, advice.patterns, advice.best, advice.is_fresh) == ("decode a JSON document", (), None, True)
    ada.step(advice.trajectory_id, 0.5, node="grep", latency_ms=3.0)
    receipt = ada.after_task(advice.trajectory_id, success=True, output="use json.loads", cost=0.01)
    assert (receipt.agent, receipt.state, receipt.is_new) == ("ada", ReceiptState.ACCEPTED, True)
    again = ada.after_task(advice.trajectory_id, success=True, output="use json.loads")
    assert (again.id, again.is_new) == (receipt.id, False)
    background.drain(0.0)
    found = ada.receipt(receipt.id, wait=5.0)
    assert isinstance(found, Receipt)
    assert (found.state, found.generation) == (ReceiptState.SEARCHABLE, 1)
    assert ada.query("decode a JSON document") == swarm.query("decode a JSON document")
    best = ada.before_task("decode a JSON document").best
    assert best is not None
    assert (best.response, best.sources[0].agent, best.sources[0].role) == ("use json.loads", "ada", "coder")
    [(_, record)] = swarm.outcomes("ada").read_after("0-0", 10)
    assert [(step.node, step.reward) for step in decode_trajectory(record).steps] == [("grep", 0.5)]


def test_a_pattern_that_was_advised_can_be_followed(ada: SwarmClient, swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("compress a file", "use gzip")
    background.drain(0.0)
    # Its replica is at most a moment behind.
    advice = wait_until(lambda: _with_best(ada.before_task("compress a file")), 30.0, "the pattern")
    assert advice is not None
    assert advice.best is not None
    ada.step(advice.trajectory_id, 1.0, node=advice.best)
    ada.after_task(advice.trajectory_id, quality=0.75, used=advice.best)
    [(_, record)] = swarm.outcomes("ada").read_after("0-0", 10)
    outcome = decode_trajectory(record)
    assert (outcome.quality, outcome.response, outcome.steps[0].node) == (0.75, "use gzip", advice.best.action)


def _with_best(advice: TaskAdvice) -> TaskAdvice | None:
    return advice if advice.best else None


def test_a_block_is_a_task_and_its_exception_a_failure(ada: SwarmClient, swarm: Swarm) -> None:
    with ada.task("rename a column") as task:
        task.output = "use csv"
    with pytest.raises(ZeroDivisionError), ada.task("divide"):
        _ = 1 / 0
    outcomes = [decode_trajectory(record) for _, record in swarm.outcomes("ada").read_after("0-0", 10)]
    assert [(one.text, one.response, one.quality) for one in outcomes] == [
        ("rename a column", "use csv", 1.0),
        ("divide", "", 0.0),
    ]
    assert all(one.latency_ms > 0.0 for one in outcomes)


def test_what_is_abandoned_has_no_outcome(ada: SwarmClient, swarm: Swarm) -> None:
    name = ada.before_task("x", trajectory_id="task-1").trajectory_id
    assert name == "task-1"
    ada.abandon(name)
    with pytest.raises(UnknownIdError, match="task-1"):
        ada.after_task(name, success=True)
    assert swarm.outcomes("ada").read_after("0-0", 10) == []


def test_errors_are_the_same_everywhere(ada: SwarmClient) -> None:
    with pytest.raises(TextError):
        ada.before_task(" ")
    with pytest.raises(InputError, match="1001"):
        ada.before_task("x", k=1001)
    with pytest.raises(InputError, match="quality"):
        ada.after_task(ada.before_task("x").trajectory_id)
    with pytest.raises(InputError, match="reward must be"):
        ada.step(ada.before_task("x").trajectory_id, 1.5)
    with pytest.raises(UnknownIdError, match="nobody"):
        ada.query("x", agents=["nobody"])
    with pytest.raises(UnknownIdError, match="never"):
        ada.receipt("outcome/ada/never")


def test_a_route_comes_with_its_reasons(ada: SwarmClient) -> None:
    advice = ada.route("prove a theorem", routes=["small", "large"], strategy="quality", tools=["grep"])
    assert advice.route in ("small", "large")
    assert advice.decision_id
    assert {candidate.route for candidate in advice.candidates} == {"small", "large"}
    begun = ada.before_task("prove a theorem", routes=["small"])
    assert begun.route is not None
    assert begun.route.route == "small"


def test_a_pattern_is_stored_as_the_agents_own(ada: SwarmClient, background: Background) -> None:
    ada.before_task("x")
    receipt = ada.store_pattern("compress a file", "use gzip", reward=0.5, idempotency_key="one")
    assert (receipt.id, receipt.is_new) == ("outcome/ada/one", True)
    assert ada.store_pattern("compress a file", "use gzip", idempotency_key="one").is_new is False
    background.drain(0.0)
    [hit] = ada.query("compress a file")
    assert [source.agent for source in hit.sources] == ["ada"]


def test_a_task_is_submitted_once_per_key(ada: SwarmClient, swarm: Swarm) -> None:
    first = ada.submit("rename a column", role="coder", idempotency_key="rename-1", priority=7)
    again = ada.submit("rename a column", role="coder", idempotency_key="rename-1", priority=7)
    assert (first.is_new, again) == (True, replace(first, is_new=False))
    view = ada.receipt(first.id)
    assert isinstance(view, TaskView)
    assert view == swarm.tasks.find(first.id)
    assert (view.state, view.record.text, view.record.submitter) == (TaskState.WAITING, "rename a column", "ada")
    other = ada.submit({"column": "a"}, role="coder")
    assert swarm.tasks.find(other.id).record.payload == {"column": "a"}


def test_the_status_is_the_swarms(ada: SwarmClient, swarm: Swarm) -> None:
    ada.after_task(ada.before_task("x").trajectory_id, success=True)
    ada.submit("x", role="coder")
    told, known = ada.status(), swarm.status()
    [mine], [mine_known] = told.agents, known.agents
    assert replace(mine, oldest_pending_s=None) == replace(mine_known, oldest_pending_s=None)
    [tasks], [tasks_known] = told.tasks, known.tasks
    assert replace(tasks, oldest_waiting_s=None) == replace(tasks_known, oldest_waiting_s=None)
    assert (told.pending, told.lost, told.embedder) == (1, 0, known.embedder)


def test_receipts_of_generations_and_merges_are_found(ada: SwarmClient, swarm: Swarm, background: Background) -> None:
    ada.after_task(ada.before_task("x").trajectory_id, success=True, output="y")
    background.drain(0.0)
    for name in ("consolidation/ada/1", f"merge/{swarm.status().bank_version}"):
        assert ada.receipt(name) == swarm.find(name)
