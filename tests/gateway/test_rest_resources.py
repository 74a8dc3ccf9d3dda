"""Patterns, agents, routes, tasks, receipts, pools, rewind and backup over HTTP, beside what the swarm itself says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_support import RunningGateway, consolidate_all, served
from support import wait_until
from swarm_support import make_swarm

from swarm.services.restore import restore
from swarm.services.swarm import Swarm
from swarm.store.connection import connect
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server) as made:
        yield made


@pytest.fixture
def swarm(gateway: RunningGateway) -> Iterator[Swarm]:
    with connect(gateway.settings) as client:
        yield make_swarm(gateway.settings, client)


def report(gateway: RunningGateway, agent: str, text: str, output: str, **told: Any) -> dict[str, Any]:
    body = {"agent": agent, "text": text, "output": output, **({"success": True} | told)}
    found: dict[str, Any] = gateway.post("/v1/outcomes", body, 201)
    return found


def test_patterns_are_listed_page_by_page_and_filtered(gateway: RunningGateway) -> None:
    for number in range(5):
        report(gateway, "pat", f"task number {number} of its own kind {number * 7}", f"do {number}")
    report(gateway, "quentin", "task number 0 of its own kind 0", "do 0")
    consolidate_all(gateway.settings)
    pages, offset = [], 0
    while offset is not None:
        page = gateway.get("/v1/patterns", params={"agent": "pat", "order": "id", "limit": 2, "offset": offset})
        pages.append(page)
        offset = page["next_offset"]
    ids = [one["pattern_id"] for page in pages for one in page["patterns"]]
    assert ids == sorted(set(ids))
    assert {page["total"] for page in pages} == {len(ids)} == {5}
    newest = gateway.get("/v1/patterns", params={"order": "newest"})["patterns"]
    assert [one["last_s"] for one in newest] == sorted((one["last_s"] for one in newest), reverse=True)
    strongest = gateway.get("/v1/patterns", params={"order": "evidence"})["patterns"]
    assert strongest[0]["outcomes"] == max(one["outcomes"] for one in strongest)
    types = {one["task_type"] for one in newest}
    for name in types:
        found = gateway.get("/v1/patterns", params={"type": name})
        assert {one["task_type"] for one in found["patterns"]} == {name}
    gateway.get("/v1/patterns", 404, params={"agent": "nobody"})
    gateway.get("/v1/patterns", 422, params={"limit": 0})
    gateway.get("/v1/patterns", 422, params={"order": "luck"})


def test_a_pattern_says_who_learned_it_from_which_runs_and_whether_it_is_pinned(gateway: RunningGateway) -> None:
    receipt = report(gateway, "rita", "rotate the logs", "use logrotate", route="small", latency_ms=12.0, cost=0.5)
    consolidate_all(gateway.settings)
    [row] = gateway.get("/v1/patterns", params={"agent": "rita"})["patterns"]
    path = f"/v1/patterns/{row['pattern_id']}"
    found = gateway.get(path)
    assert found.items() >= row.items()
    assert [(one["text"], one["agent"]) for one in found["examples"]] == [("rotate the logs", "rita")]
    assert found["routes"] == [
        {"route": "small", "outcomes": 1.0, "mean_quality": 1.0, "mean_latency_ms": 12.0, "mean_cost": 0.5}
    ]
    assert found["verdicts"] == {"rita": "probation"}
    assert found["pinned_as"] == ""
    pin = gateway.post(f"{path}/pin")
    assert (pin["pattern_id"], pin["by"]) == (row["pattern_id"], "http")
    assert gateway.get(path)["pinned_as"] == pin["id"]
    gateway.delete(f"{path}/pin")
    gateway.delete(f"{path}/pin", 404)
    done = gateway.delete(path)
    assert (done["kind"], done["erased"]) == ("pattern", 1)
    gateway.get(path, 404)
    assert gateway.get(f"/v1/receipts/{receipt['id']}")["state"] in ("rewound", "forgotten")


def test_a_stored_pattern_is_followed_to_the_bank(gateway: RunningGateway) -> None:
    body = {"task": "strip a prefix", "output": "use removeprefix", "idempotency_key": "prefix", "metadata": {"a": "b"}}
    receipt = gateway.post("/v1/patterns", body, 201)
    assert receipt["id"] == "outcome/library/prefix"
    assert gateway.post("/v1/patterns", body, 201)["is_new"] is False
    consolidate_all(gateway.settings)
    assert gateway.get(f"/v1/receipts/{receipt['id']}", params={"wait": 30})["state"] == "searchable"
    assert [hit["response"] for hit in gateway.post("/v1/query", {"text": "strip a prefix", "k": 1})["patterns"]] == [
        "use removeprefix"
    ]
    grouped = gateway.post("/v1/query", {"text": "strip a prefix", "group_by": "agent", "agents": ["library"]})
    assert list(grouped["by_agent"]) == ["library"]


def test_agents_are_made_known_shown_rolled_back_and_forgotten(gateway: RunningGateway, swarm: Swarm) -> None:
    made = gateway.post("/v1/agents", {"name": "sam", "role": "coder", "preset": "coordinator"}, 201)
    assert made["config"]["pattern_clusters"] == 200
    assert gateway.post("/v1/agents", {"name": "sam"}, 200)["status"]["role"] == "coder"
    gateway.post("/v1/agents", {"name": "sam", "preset": "none of them"}, 422)
    for number in range(2):
        report(gateway, "sam", f"a task {number}", f"do {number}")
        consolidate_all(gateway.settings)
    versions = gateway.get("/v1/agents/sam/history")["versions"]
    assert [(one["version"], one["is_current"]) for one in versions] == [(2, True), (1, False)]
    assert versions == [{**one.as_dict(), "figures": dict(one.figures)} for one in swarm.history("sam")]
    assert gateway.post("/v1/agents/sam/rollback", {"version": 1})["generation"] == 3
    gateway.post("/v1/agents/sam/rollback", {"version": 99}, 404)
    names = [one["name"] for one in gateway.get("/v1/agents")["agents"]]
    assert "sam" in names
    assert gateway.get("/v1/agents/sam")["is_here"] is True
    assert gateway.delete("/v1/agents/sam")["kind"] == "agent"
    gateway.get("/v1/agents/sam", 404)
    gateway.get("/v1/agents/sam/history", 404)


def test_a_forgotten_agent_that_works_on_begins_anew(gateway: RunningGateway) -> None:
    before = gateway.post("/v1/trajectories", {"agent": "tom", "text": "a task"}, 201)
    gateway.delete("/v1/agents/tom")
    gateway.post("/v1/trajectories", {"agent": "tom", "text": "a task"}, 201)
    path = f"/v1/trajectories/{before['trajectory_id']}/end"
    answer = gateway.http.post(path, json={"agent": "tom", "success": True})
    # Its engine may still know it; then Redis does not take what belongs to a former life.
    assert answer.status_code == 404 or answer.json()["state"] == "forgotten"
    wait_until(lambda: gateway.http.get("/v1/agents/tom").status_code == 200, 30.0, "tom to be known again")
    assert gateway.get("/v1/agents/tom")["status"]["accepted"] == 0


def test_a_route_is_explained_and_made_again(gateway: RunningGateway) -> None:
    body = {"text": "rename a column", "routes": ["small", "large"], "strategy": "cost", "explain": True}
    found = gateway.post("/v1/route", body)
    assert {one["route"] for one in found["candidates"]} == {"small", "large"}
    again = gateway.get(f"/v1/route/{found['decision_id']}")
    assert (again["again"], again["is_same"], again["request"]["strategy"]) == (found["route"], True, "cost")
    gateway.get("/v1/route/none", 404)
    error = gateway.post("/v1/route", {"text": "x", "routes": ["a"], "max_cost": 1.0}, 409)["error"]
    assert error["type"] == "NoRouteError"


def test_tasks_are_submitted_followed_cancelled_replayed_and_dropped(gateway: RunningGateway, swarm: Swarm) -> None:
    body = {"text": "rename", "role": "editor", "idempotency_key": "r-1", "payload": {"rows": [1, None, "x"]}}
    made = gateway.post("/v1/tasks", body, 201)
    assert gateway.post("/v1/tasks", body, 200)["id"] == made["id"]
    task = gateway.get(f"/v1/tasks/{made['id']}")
    assert (task["state"], task["payload"], task["has_ended"]) == ("waiting", {"rows": [1, None, "x"]}, False)
    assert gateway.get(f"/v1/receipts/task/{made['id']}") == gateway.get(f"/v1/receipts/{made['id']}")
    assert gateway.post(f"/v1/tasks/{made['id']}/cancel", {"why": "not needed"})["state"] == "cancelled"
    [role] = [one for one in gateway.get("/v1/tasks")["roles"] if one["role"] == "editor"]
    assert (role["submitted"], role["cancelled"], role["lost"]) == (1, 1, 0)
    failing = gateway.post("/v1/tasks", {"text": "fail", "role": "editor"}, 201)["id"]
    claimed = swarm.tasks.claim("editor", "w", 30.0)
    assert claimed is not None
    swarm.tasks.fail(claimed, "broken", retry=False)
    [dead] = gateway.get("/v1/dead")["tasks"]
    assert (dead["id"], dead["why"]) == (failing, "broken")
    assert gateway.post(f"/v1/dead/{failing}/replay")["id"] == failing
    gateway.post(f"/v1/dead/{failing}/replay", code=404)
    gateway.delete(f"/v1/dead/{failing}", 404)
    claimed = swarm.tasks.claim("editor", "w", 30.0)
    assert claimed is not None
    swarm.tasks.fail(claimed, "broken", retry=False)
    gateway.delete(f"/v1/dead/{failing}", 204)
    gateway.get(f"/v1/tasks/{failing}", 404)


def test_a_result_that_json_has_no_words_for_is_shown_all_the_same(gateway: RunningGateway, swarm: Swarm) -> None:
    made = gateway.post("/v1/tasks", {"payload": {"n": 1}, "role": "maker"}, 201)
    claimed = swarm.tasks.claim("maker", "w", 30.0)
    assert claimed is not None
    swarm.tasks.succeed(claimed, {"file": b"abc", "ratio": float("inf")})
    found = gateway.get(f"/v1/tasks/{made['id']}", params={"wait": 10})
    assert (found["state"], found["result"]) == ("succeeded", {"file": "YWJj", "ratio": None})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"role": "coder"}, 422),
        ({"text": "x"}, 422),
        ({"text": "x", "role": "coder", "priority": 10}, 422),
        ({"text": "x", "agent": "nobody"}, 404),
        ({"text": "x", "agent": "nobody", "place": "learned"}, 422),
        ({"text": "x", "role": "nobodys", "place": "learned"}, 404),
        ({"text": "x", "role": "coder", "deadline": 5.0}, 409),
    ],
)
def test_a_task_that_cannot_be_is_refused(gateway: RunningGateway, body: dict[str, Any], code: int) -> None:
    assert gateway.post("/v1/tasks", body, code)["error"]["message"]


def test_what_is_full_says_when_to_come_again(redis_server: str) -> None:
    with served(redis_server, {"MAX_PENDING": "1", "MAX_WAITING_TASKS": "1"}) as gateway:
        for path, body in (
            ("/v1/outcomes", {"agent": "ada", "text": "x", "success": True}),
            ("/v1/tasks", {"text": "x", "role": "coder"}),
        ):
            assert gateway.http.post(path, json=body).status_code == 201
            answer = gateway.http.post(path, json=body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (429, "QueueFullError")
            assert int(answer.headers["Retry-After"]) >= 1
        # Nobody was told of a trajectory that could be ended now.
        assert gateway.get("/v1/agents/ada")["status"]["open"] == 0


@pytest.mark.parametrize("receipt", ["outcome/ada/none", "merge/1-1", "consolidation/ada/9", "coder:" + 32 * "0"])
def test_an_id_of_nothing_is_unknown(gateway: RunningGateway, receipt: str) -> None:
    gateway.get(f"/v1/receipts/{receipt}", 404)


@pytest.mark.parametrize("receipt", ["thing/1", "outcome/a b/c", "merge/x", "coder:1"])
def test_what_is_no_id_is_an_error_of_input(gateway: RunningGateway, receipt: str) -> None:
    gateway.get(f"/v1/receipts/{receipt}", 422)


def test_merges_and_generations_have_receipts_too(gateway: RunningGateway) -> None:
    report(gateway, "uma", "a task", "an answer")
    consolidate_all(gateway.settings)
    version = gateway.get("/v1/status")["bank_version"]
    assert gateway.get(f"/v1/receipts/merge/{version}")["state"] == "published"
    generation = gateway.get("/v1/receipts/consolidation/uma/1")
    assert (generation["state"], generation["outcomes"]) == ("searchable", 1)


def test_the_status_is_what_the_swarm_says(gateway: RunningGateway, swarm: Swarm) -> None:
    shown, known = gateway.get("/v1/status"), swarm.status().as_dict()
    for one in (shown, known):
        for agent in one["agents"]:
            agent.pop("oldest_pending_s")
        for tasks in one["tasks"]:
            tasks.pop("oldest_waiting_s")
    assert shown == {**known, **{name: list(known[name]) for name in ("agents", "workers", "supervisors")}}
    assert gateway.get("/v1/pools") == {"pools": [], "supervisors": []}


def test_rewind_takes_back_what_came_from_a_trajectory(gateway: RunningGateway) -> None:
    advice = gateway.post("/v1/trajectories", {"agent": "vic", "text": "poison"}, 201)
    path = f"/v1/trajectories/{advice['trajectory_id']}"
    receipt = gateway.post(f"{path}/end", {"agent": "vic", "success": True, "output": "rm -rf"})
    consolidate_all(gateway.settings)
    done = gateway.post("/v1/rewind", {"trajectory": advice["trajectory_id"]})
    assert (done["outcomes"], [one["agent"] for one in done["agents"]]) == (1, ["vic"])
    assert gateway.get(f"/v1/receipts/{receipt['id']}")["state"] == "rewound"
    assert gateway.get("/v1/patterns", params={"agent": "vic"})["total"] == 0
    gateway.post("/v1/rewind", {}, 422)


def test_a_backup_is_a_file_that_can_be_restored(gateway: RunningGateway, tmp_path: Path) -> None:
    report(gateway, "wes", "back up a database", "use pg_dump")
    consolidate_all(gateway.settings)
    answer = gateway.http.post("/v1/backup")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{gateway.settings.name}-')
    path = tmp_path / "swarm.backup"
    path.write_bytes(answer.content)
    # No copy stays behind.
    assert list(gateway.settings.state_dir.glob("backup-*")) == []
    elsewhere = gateway.settings.model_copy(update={"name": f"{gateway.settings.name}-b"})
    with connect(elsewhere, is_checked=False) as client:
        try:
            restore(path, elsewhere, elsewhere.name)
            hits = make_swarm(elsewhere, client).query("back up a database", agents=["wes"])
            assert [hit.response for hit in hits] == ["use pg_dump"]
        finally:
            erase_swarm(client, SwarmKeys(elsewhere.name))


def test_a_path_that_is_none_and_a_method_that_is_none_say_so_as_json(gateway: RunningGateway) -> None:
    assert gateway.get("/v1/nothing", 404)["error"]["type"] == "HttpError"
    answer = gateway.http.put("/v1/agents")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["error"]["message"] == "Method Not Allowed"
