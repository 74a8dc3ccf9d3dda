"""What the page is served with and from: files under a strict policy, and data behind the guard."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from rest_support import RunningGateway, consolidate_all, served
from support import wait_until
from swarm_support import make_swarm, some_outcome

from swarm.services.access import AccessControl
from swarm.services.swarm import Swarm
from swarm.store.connection import connect
from swarm.wire.token_records import Role
from swarm_gateway.dashboard.assets import load_assets


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server, {"HTTP_REQUIRE_TOKEN": "true"}) as made:
        yield made


@pytest.fixture
def swarm(gateway: RunningGateway) -> Iterator[Swarm]:
    with connect(gateway.settings) as client:
        yield make_swarm(gateway.settings, client)


def test_the_page_and_its_files_are_served_under_a_policy_without_anything_inline(gateway: RunningGateway) -> None:
    for path in ("/", *(f"/dashboard/{name}" for name in load_assets())):
        answer = gateway.http.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = gateway.http.get("/").text
    assert "<style" not in page
    assert " style=" not in page
    assert " on" + "click" not in page
    assert page.count("<script") == page.count("<script src=")


def test_who_has_a_file_is_not_sent_it_again(gateway: RunningGateway) -> None:
    first = gateway.http.get("/dashboard/main.js")
    again = gateway.http.get("/dashboard/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert gateway.http.get("/dashboard/main.js", headers={"If-None-Match": '"other"'}).content == first.content


@pytest.mark.parametrize("path", ["none.js", "../data.py", "..%2fdata.py", "vendor/README.md", "%2e%2e/assets.py", ""])
def test_nothing_but_its_files_is_served(gateway: RunningGateway, path: str) -> None:
    assert gateway.http.get(f"/dashboard/{path}").status_code == 404


def test_live_shows_what_status_shows(gateway: RunningGateway, swarm: Swarm) -> None:
    swarm.register("ada", "coder")
    swarm.record_many([some_outcome(number, "ada") for number in range(12)])
    consolidate_all(gateway.settings)
    live = gateway.get("/v1/dashboard/live")
    expected = swarm.status().as_dict()
    assert live["status"].keys() == expected.keys()
    for name in ("agents", "tasks", "workers", "supervisors"):
        assert live["status"].pop(name) == list(expected.pop(name))
    assert live["status"] == expected
    assert live["pools"]["pools"] == []


def test_the_map_is_sent_once_for_each_version(gateway: RunningGateway, swarm: Swarm) -> None:
    swarm.register("bea", "coder")
    swarm.record_many([some_outcome(number, "bea") for number in range(20, 30)])
    consolidate_all(gateway.settings)

    def newest() -> httpx.Response | None:
        answer = gateway.http.get("/v1/dashboard/map")
        return answer if answer.headers["etag"] == f'"{swarm.bank.version()}"' else None

    answer = wait_until(newest, 20.0, "the map of the newest version")
    assert answer is not None
    assert answer.headers["content-type"] == "application/octet-stream"
    again = gateway.http.get("/v1/dashboard/map", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_router_is_explained_from_what_is_stored(gateway: RunningGateway, swarm: Swarm) -> None:
    swarm.route("which city is it", routes=["small", "large"], agent="ada")
    later = swarm.route("add these figures", routes=["small", "large"], max_cost=None, strategy="quality")
    found = gateway.get("/v1/dashboard/router?count=2")
    first = found["decisions"][0]
    assert (first["decision_id"], first["text"], first["route"]) == (
        later.decision_id,
        "add these figures",
        later.route,
    )
    assert first["is_same"]
    assert {one["route"] for one in first["candidates"]} == {"small", "large"}
    assert len(found["decisions"]) == 2
    gateway.get("/v1/dashboard/router?count=0", 422)


def test_data_need_a_token_where_one_is_needed_and_the_page_does_not(guarded: RunningGateway) -> None:
    assert guarded.http.get("/").status_code == 200
    with connect(guarded.settings) as client:
        control = AccessControl(guarded.settings, client)
        reader = {"Authorization": f"Bearer {control.create(Role.READER)[0]}"}
        operator = {"Authorization": f"Bearer {control.create(Role.OPERATOR)[0]}"}
    for path, for_reader in (("live", 200), ("map", 200), ("router", 403)):
        assert guarded.http.get(f"/v1/dashboard/{path}").status_code == 401
        assert guarded.http.get(f"/v1/dashboard/{path}", headers=reader).status_code == for_reader
        assert guarded.http.get(f"/v1/dashboard/{path}", headers=operator).status_code == 200
    guarded.get("/v1/dashboard/live", 401, headers={"Authorization": "Bearer wrong"})


def test_quarantine_over_http_is_for_operators_and_holds_until_release(
    gateway: RunningGateway, swarm: Swarm, guarded: RunningGateway
) -> None:
    swarm.register("cyd", "coder")
    done = gateway.post("/v1/agents/cyd/quarantine")
    assert (done["silenced"], done["verdict"]) == (True, "quarantined")
    assert swarm.agents.state("cyd").silenced
    assert gateway.delete("/v1/agents/cyd/quarantine")["verdict"] == "probation"
    gateway.post("/v1/agents/nobody/quarantine", code=404)
    with connect(guarded.settings) as client:
        reader = {"Authorization": f"Bearer {AccessControl(guarded.settings, client).create(Role.READER)[0]}"}
    guarded.post("/v1/agents/cyd/quarantine", code=403, headers=reader)
