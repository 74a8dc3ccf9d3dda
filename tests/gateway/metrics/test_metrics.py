"""`/metrics` in one process: its format, what it says while Redis is away, and that it makes no endless series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from metrics_support import Scrape, families
from starlette.testclient import TestClient
from support import PrivateRedis
from swarm_support import EMBEDDER

from swarm.settings import Settings
from swarm.store.tasks import RoleCounts
from swarm_gateway.app import create_app
from swarm_gateway.gateway import Gateway
from swarm_gateway.metrics import reading
from swarm_gateway.metrics.families import MAX_ROLES, by_role
from swarm_gateway.metrics.reading import Readings

PAGE = Path(__file__).parents[3] / "docs" / "observability.md"


@pytest.fixture
def settings(settings: Settings, own_redis: PrivateRedis) -> Settings:
    return settings.model_copy(update={"redis_url": own_redis.url, "embedder": EMBEDDER, "max_engines": 2})


@pytest.fixture
def gateway(settings: Settings) -> Gateway:
    return Gateway(settings)


@pytest.fixture
def http(gateway: Gateway) -> Iterator[TestClient]:
    with TestClient(create_app(gateway), base_url="http://127.0.0.1", raise_server_exceptions=False) as http:
        yield http


def scrape(http: TestClient) -> Scrape:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Scrape(answer.text)


def begin(http: TestClient, agent: str) -> str:
    answer = http.post("/v1/trajectories", json={"agent": agent, "text": "sort a list", "routes": ["small", "large"]})
    assert answer.status_code == 201
    return str(answer.json()["trajectory_id"])


def test_requests_and_hooks_are_counted_by_route_and_outcome(http: TestClient) -> None:
    trajectory = begin(http, "coder-1")
    end = {"agent": "coder-1", "success": True}
    assert http.post(f"/v1/trajectories/{trajectory}/end", json=end).status_code == 200
    assert http.post("/v1/trajectories/nothing/end", json=end).status_code == 404
    for path in ("/no/such/page", "/nor/this"):
        assert http.get(path).status_code == 404
    seen = scrape(http)
    route = "/v1/trajectories/{trajectory_id}/end"
    assert seen("swarm_http_requests_total", route=route, method="POST", status="2xx") == 1
    assert seen("swarm_http_requests_total", route=route, method="POST", status="4xx") == 1
    assert seen("swarm_http_requests_total", route="unknown", method="GET", status="4xx") == 2
    for event, outcome in (("begin", "ok"), ("end", "ok"), ("end", "refused")):
        assert seen("swarm_hook_duration_seconds_count", event=event, outcome=outcome) == 1
    assert seen("swarm_engines") == 1
    assert seen("swarm_router_decisions_total", model="large", reason="strategy") == 1


def test_what_anybody_can_send_makes_no_series(http: TestClient) -> None:
    before = len(scrape(http).samples)
    for number in range(5):
        trajectory = begin(http, f"coder-{number}")
        http.get(f"/page/{number}")
        http.request(f"VERB{number}", "/health")
        http.post(f"/v1/trajectories/{trajectory}/end", json={"agent": f"coder-{number}", "success": True})
    after = scrape(http)
    assert not any("coder" in value or "VERB" in value for _, labels in after.samples for _, value in labels)
    # The same once more adds nothing.
    begin(http, "coder-9")
    assert len(scrape(http).samples) == len(after.samples) > before
    # Three of five made room for others.
    assert after("swarm_engines_let_go_total") == 3


def test_with_redis_away_the_process_tells_what_it_knows(
    gateway: Gateway, http: TestClient, own_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "KEEP_S", 0.0)
    monkeypatch.setattr(reading, "SHARE", 1e9)
    trajectory = begin(http, "coder-1")
    assert scrape(http)("swarm_up") == 1
    own_redis.kill()
    end = {"agent": "coder-1", "success": True}
    assert http.post(f"/v1/trajectories/{trajectory}/end", json=end).json()["state"] == "spooled"
    seen = scrape(http)
    assert seen("swarm_up") == 0
    assert "swarm_ops" not in seen.families
    assert (seen("swarm_spooled_outcomes"), seen("swarm_breakers_open")) == (1, 1)
    assert seen("swarm_hook_duration_seconds_count", event="end", outcome="ok") == 1


def test_a_look_is_kept_for_a_moment(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings(gateway.swarm)
    first = readings.last()
    assert readings.last() is first
    monkeypatch.setattr(reading, "KEEP_S", 0.0)
    monkeypatch.setattr(reading, "SHARE", 1e9)
    anew = Readings(gateway.swarm)
    assert anew.last() is not anew.last()


def test_tasks_of_very_many_roles_are_one_series() -> None:
    few = [
        RoleCounts(role=f"r{n}", submitted=3, waiting=2, dead=1, oldest_waiting_s=float(n)) for n in range(MAX_ROLES)
    ]
    assert by_role(few) == few
    [all_of_them] = by_role([*few, RoleCounts(role="one more", submitted=1, waiting=1)])
    assert all_of_them == RoleCounts(
        role="all",
        submitted=3 * MAX_ROLES + 1,
        waiting=2 * MAX_ROLES + 1,
        dead=MAX_ROLES,
        oldest_waiting_s=MAX_ROLES - 1.0,
    )


def test_a_token_is_needed_where_the_gateway_needs_one(settings: Settings) -> None:
    shut = Gateway(settings.model_copy(update={"http_require_token": True}))
    with TestClient(create_app(shut), base_url="http://127.0.0.1") as http:
        assert http.get("/metrics").status_code == 401
        assert http.get("/metrics", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_the_page_lists_what_is_served_with_its_kind_and_labels(gateway: Gateway, http: TestClient) -> None:
    begin(http, "coder-1")
    gateway.swarm.submit("edit", role="editor")
    served = {name: family for name, family in families(http.get("/metrics").text).items() if name.startswith("swarm_")}
    rows = re.findall(r"^\| `(swarm_\w+?)(?:\{([\w,]+)\})?` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    listed = {name.removesuffix("_total") if kind == "counter" else name: kind for name, _, kind in rows}
    assert listed == {name: family.type for name, family in served.items()}
    for name, labels, _ in rows:
        for sample in served[name.removesuffix("_total")].samples:
            assert sample.labels.keys() - {"le"} == set(filter(None, labels.split(",")))
