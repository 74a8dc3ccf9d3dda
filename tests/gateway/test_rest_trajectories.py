"""The hooks around a task over HTTP: begun, stepped, ended, abandoned, and reported in one call."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from rest_support import RunningGateway, consolidate_all, served
from support import wait_until


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server) as made:
        yield made


def test_a_task_is_begun_stepped_and_ended_and_then_found_by_others(gateway: RunningGateway) -> None:
    advice = gateway.post("/v1/trajectories", {"agent": "ada", "role": "coder", "text": "parse a date"}, 201)
    assert (advice["patterns"], advice["route"], advice["is_fresh"]) == ([], None, True)
    path = f"/v1/trajectories/{advice['trajectory_id']}"
    gateway.post(f"{path}/steps", {"agent": "ada", "reward": 1.0, "node": "grep"}, 204)
    receipt = gateway.post(f"{path}/end", {"agent": "ada", "success": True, "output": "use fromisoformat"})
    assert (receipt["state"], receipt["is_new"], receipt["id"]) == (
        "accepted",
        True,
        f"outcome/ada/{advice['trajectory_id']}",
    )
    again = gateway.post(f"{path}/end", {"agent": "ada", "success": False})
    assert (again["stream_id"], again["is_new"]) == (receipt["stream_id"], False)
    consolidate_all(gateway.settings)
    other = gateway.post("/v1/trajectories", {"agent": "bob", "text": "parse a date", "k": 1}, 201)
    [hit] = other["patterns"]
    assert hit["response"] == "use fromisoformat"
    assert hit["sources"] == [{"agent": "ada", "role": "coder", "outcomes": 1.0, "mean_quality": 1.0}]
    assert hit["trajectory_ids"] == [advice["trajectory_id"]]
    gateway.delete(f"/v1/trajectories/{other['trajectory_id']}", 204, params={"agent": "bob"})
    gateway.delete(f"/v1/trajectories/{other['trajectory_id']}", 404, params={"agent": "bob"})


def test_an_open_trajectory_is_its_agents_own(gateway: RunningGateway) -> None:
    advice = gateway.post("/v1/trajectories", {"agent": "carl", "text": "a task"}, 201)
    path = f"/v1/trajectories/{advice['trajectory_id']}/end"
    assert gateway.post(path, {"agent": "dora", "success": True}, 404)["error"]["type"] == "UnknownIdError"
    gateway.post(path, {"agent": "carl", "success": True})


def test_with_wait_an_end_answers_when_it_is_searchable_and_the_next_hook_sees_it(gateway: RunningGateway) -> None:
    workers = threading.Timer(0.3, consolidate_all, [gateway.settings])
    workers.start()
    advice = gateway.post("/v1/trajectories", {"agent": "eve", "text": "sum a column"}, 201)
    body = {"agent": "eve", "success": True, "output": "use awk", "wait": 30}
    receipt = gateway.post(f"/v1/trajectories/{advice['trajectory_id']}/end", body)
    workers.join()
    assert (receipt["state"], receipt["has_ended"]) == ("searchable", True)
    found = gateway.post("/v1/trajectories", {"agent": "eve", "text": "sum a column", "k": 1}, 201)
    assert [hit["response"] for hit in found["patterns"]] == ["use awk"]


def test_many_who_wait_hold_no_thread(gateway: RunningGateway) -> None:
    # More than there are threads; whoever asks meanwhile is answered all the same.
    receipt = gateway.post("/v1/outcomes", {"agent": "fay", "text": "a task", "success": True, "output": "x"}, 201)
    waiting = [
        threading.Thread(target=gateway.get, args=[f"/v1/receipts/{receipt['id']}"], kwargs={"params": {"wait": 60}})
        for _ in range(80)
    ]
    for one in waiting:
        one.start()
    for number in range(20):
        gateway.post("/v1/trajectories", {"agent": "fay", "text": f"another task {number}"}, 201)
    assert any(one.is_alive() for one in waiting)
    consolidate_all(gateway.settings)
    for one in waiting:
        one.join(30.0)
        assert not one.is_alive()


def test_an_outcome_in_one_call_counts_once_under_its_key(gateway: RunningGateway) -> None:
    body = {"agent": "gil", "text": "list files", "quality": 0.8, "output": "ls", "idempotency_key": "files-1"}
    first = gateway.post("/v1/outcomes", body, 201)
    second = gateway.post("/v1/outcomes", body, 201)
    assert (first["is_new"], second["is_new"]) == (True, False)
    assert first["stream_id"] == second["stream_id"]
    status = gateway.get("/v1/agents/gil")["status"]
    assert (status["accepted"], status["open"]) == (1, 0)


def test_an_outcome_that_is_refused_leaves_nothing_open(gateway: RunningGateway) -> None:
    body = {"agent": "hal", "text": "a task", "success": True, "used": "no-such-pattern"}
    gateway.post("/v1/outcomes", body, 404)
    assert gateway.get("/v1/agents/hal")["status"]["open"] == 0


def test_a_route_is_chosen_when_one_is_asked_for(gateway: RunningGateway) -> None:
    body = {"agent": "ida", "text": "a task", "routes": ["small", "large"], "session": "s-1", "max_cost": None}
    route = gateway.post("/v1/trajectories", body, 201)["route"]
    assert route["route"] in ("small", "large")
    decision = gateway.get(f"/v1/route/{route['decision_id']}")
    assert (decision["agent"], decision["session"], decision["is_same"]) == ("ida", "s-1", True)
    assert {one["route"] for one in decision["candidates"]} == {"small", "large"}


def test_a_role_that_is_given_later_is_the_agents_role_from_then_on(gateway: RunningGateway) -> None:
    gateway.post("/v1/trajectories", {"agent": "jim", "text": "a task"}, 201)
    assert gateway.get("/v1/agents/jim")["status"]["role"] == "agent"
    gateway.post("/v1/trajectories", {"agent": "jim", "role": "tester", "text": "a task"}, 201)
    assert gateway.get("/v1/agents/jim")["status"]["role"] == "tester"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"agent": "k", "text": " "}, "text"),
        ({"agent": "k", "text": "x", "k": 0}, "k"),
        ({"agent": "k", "text": "x", "k": "5"}, "k"),
        ({"agent": "no name", "text": "x"}, "agent"),
        ({"agent": "k", "text": "x", "more": 1}, "more"),
        ({"agent": "k", "text": "x", "min_quality": 1.1}, "min_quality"),
        ({"agent": "k", "text": "x", "strategy": "luck"}, "strategy"),
        ({"text": "x"}, "agent"),
    ],
)
def test_what_cannot_be_used_is_named(gateway: RunningGateway, body: dict[str, object], what: str) -> None:
    error = gateway.post("/v1/trajectories", body, 422)["error"]
    assert error["type"] == "InputError"
    assert f"body.{what}" in error["message"]


@pytest.mark.parametrize("told", [{}, {"success": True, "quality": 1.0}, {"success": None}])
def test_an_end_says_exactly_one_of_success_and_quality(gateway: RunningGateway, told: dict[str, object]) -> None:
    advice = gateway.post("/v1/trajectories", {"agent": "kim", "text": "a task"}, 201)
    path = f"/v1/trajectories/{advice['trajectory_id']}/end"
    error = gateway.post(path, {"agent": "kim", **told}, 422)["error"]
    assert "exactly one of success and quality" in error["message"]
    gateway.post(path, {"agent": "kim", "success": False, "quality": None})


def test_a_number_that_is_whole_is_an_integer_however_it_is_written(gateway: RunningGateway) -> None:
    answer = gateway.http.post(
        "/v1/trajectories",
        content=b'{"agent": "kit", "text": "x", "k": 3.0}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 201
    for content in (b'{"agent": "kit", "text": "x", "min_quality": NaN}', b"{", b"[]", b"\xff", b'{"text": "\\ud800"}'):
        answer = gateway.http.post("/v1/trajectories", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), content
        assert answer.json()["error"]["message"]


def test_what_is_open_and_what_is_spooled_is_seen_in_the_status(gateway: RunningGateway) -> None:
    gateway.post("/v1/trajectories", {"agent": "leo", "text": "a task"}, 201)
    assert gateway.get("/v1/agents/leo")["status"]["open"] == 1
    health = wait_until(lambda: gateway.get("/health"), 30.0, "health")
    assert (health["status"], health["spooled"]) == ("ok", 0)
