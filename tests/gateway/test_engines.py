"""Engines of outside agents: bounded in number, let go and back warm, killed and back, with Redis there or away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from rest_support import RunningGateway, consolidate_all, served, short_settings
from support import PrivateRedis, wait_until
from swarm_support import make_swarm

from swarm.errors import CapacityError, InputError, UnknownIdError
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.erase import erase_swarm
from swarm_agents import Agent
from swarm_gateway.engines import Engines

TASKS = [f"{verb} a {noun}" for verb in ("parse", "sort", "rename") for noun in ("date", "list", "column", "file")]


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Iterator[Swarm]:
    made = make_swarm(settings, client)
    yield made
    made.close()


@pytest.fixture
def engines(swarm: Swarm) -> Iterator[Engines]:
    made = Engines(swarm, 2)
    yield made
    made.close()


def work(agent: Agent, count: int = 12) -> None:
    """Report outcomes that it learns from at once."""
    for number in range(count):
        advice = agent.before_task(TASKS[number % len(TASKS)])
        agent.after_task(advice.trajectory_id, success=number % 3 != 0, output=f"do {number % 4}")


def ranking(agent: Agent) -> list[list[tuple[str, float]]]:
    """What it would advise, with the scores that its adapter has a part in."""
    agent.refresh()
    found = []
    for text in TASKS:
        advice = agent.before_task(text, k=5)
        agent.abandon(advice.trajectory_id)
        found.append([(hit.action, hit.score) for hit in advice.patterns])
    return found


def test_as_many_agents_as_there_is_room_for_stay_and_the_one_unused_for_longest_goes(engines: Engines) -> None:
    for name in ("ada", "bob", "ada", "carl"):
        with engines.use(name):
            pass
    assert engines.names == ["ada", "carl"]
    assert engines.let_go == 1


def test_an_agent_that_is_at_work_is_not_let_go(engines: Engines) -> None:
    with engines.use("ada"), engines.use("bob"):
        with pytest.raises(CapacityError, match="max_engines is 2"), engines.use("carl"):
            pass
        with engines.use("ada") as again:
            assert again.name == "ada"
    with engines.use("carl"):
        assert engines.names == ["ada", "carl"]


def test_an_agent_comes_back_as_warm_as_it_went_also_by_what_is_not_consolidated_yet(
    engines: Engines, settings: Settings, client: Client
) -> None:
    with engines.use("ada") as agent:
        work(agent)
    consolidate_all(settings, client)
    with engines.use("ada") as agent:
        agent.refresh()
        # These are in the stream and in its micro tier alone.
        work(agent, 8)
        before, stepped = ranking(agent), agent.instant_updates
    for name in ("bob", "carl"):
        with engines.use(name):
            pass
    assert "ada" not in engines.names
    with engines.use("ada") as back:
        assert back is not agent
        after = ranking(back)
        # What no generation holds has been learned again, and nothing else.
        assert back.instant_updates == stepped > 0
    assert [[action for action, _ in row] for row in after] == [[action for action, _ in row] for row in before]
    old, new = (np.array([score for row in one for _, score in row]) for one in (before, after))
    np.testing.assert_allclose(new, old, rtol=1e-4)


def test_a_name_that_is_none_makes_no_place(engines: Engines) -> None:
    with pytest.raises(InputError), engines.use("no name"):
        pass
    assert len(engines) == 0


def test_an_agent_is_made_once_however_many_ask_for_it_at_once(engines: Engines) -> None:
    made: set[int] = set()
    start = threading.Barrier(8)

    def use() -> None:
        start.wait()
        with engines.use("ada") as agent:
            made.add(id(agent))

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(use) for _ in range(8)]:
            one.result()
    assert len(made) == 1


def test_keeping_agents_up_to_date_is_no_use_of_them(engines: Engines) -> None:
    for name in ("ada", "bob"):
        with engines.use(name):
            pass
    engines.refresh()
    assert engines.names == ["ada", "bob"]
    with engines.use("carl"):
        pass
    assert engines.names == ["bob", "carl"]


def test_who_was_forgotten_elsewhere_is_let_go_and_not_made_known_anew(engines: Engines, swarm: Swarm) -> None:
    for name in ("ada", "bob"):
        with engines.use(name) as agent:
            work(agent)
    swarm.forget(agent="ada")
    engines.refresh()
    assert engines.names == ["bob"]
    assert set(swarm.roles()) == {"bob"}
    # Whoever asks for it means a new one of this name.
    with engines.use("ada") as agent:
        assert agent.health().open_tasks == 0
    assert set(swarm.roles()) == {"ada", "bob"}
    engines.refresh()
    assert engines.names == ["bob", "ada"]


def test_who_redis_has_lost_is_made_known_anew_because_nobody_forgot_it(
    engines: Engines, swarm: Swarm, client: Client
) -> None:
    with engines.use("ada"):
        pass
    erase_swarm(client, swarm.keys)
    engines.refresh()
    assert engines.names == ["ada"]
    assert set(swarm.roles()) == {"ada"}


def test_tasks_that_nobody_ends_go_also_of_agents_that_were_not_used_for_long(
    engines: Engines, swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engines.use("ada") as agent:
        old = agent.before_task("parse a date").trajectory_id
        day_later_s = time.time() + swarm.settings.open_ttl + 1.0
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", lambda: day_later_s)
            young = agent.before_task("sort a list").trajectory_id
    engines.drop_expired()
    assert agent.health().open_tasks == 2
    monkeypatch.setattr(time, "time", lambda: day_later_s)
    engines.drop_expired()
    assert (agent.health().open_tasks, agent.health().expired_tasks) == (1, 1)
    [status] = swarm.status().agents
    assert (status.open, status.expired_open) == (1, 1)
    with pytest.raises(UnknownIdError):
        agent.after_task(old, success=True)
    agent.after_task(young, success=True)


@examples(max_examples=15, deadline=None)
@given(calls=st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), min_size=4, max_size=40))
def test_whatever_many_threads_ask_for_the_bound_holds_and_no_outcome_is_lost(calls: list[tuple[str, bool]]) -> None:
    with short_settings(REDIS_URL[0]) as settings:
        swarm = make_swarm(settings)
        engines = Engines(swarm, 3)
        reported: list[str] = []

        def call(name: str, is_reporting: bool) -> None:
            try:
                with engines.use(name) as agent:
                    advice = agent.before_task("a task")
                    if is_reporting:
                        agent.after_task(advice.trajectory_id, success=True)
                        reported.append(name)
                    else:
                        agent.abandon(advice.trajectory_id)
            except CapacityError:
                pass  # more than three at once
            assert len(engines) <= 3

        with ThreadPoolExecutor(6) as pool:
            refreshing = pool.submit(engines.refresh)
            for one in [pool.submit(call, *given) for given in calls]:
                one.result()
            refreshing.result()
        engines.close()
        assert sum(one.accepted for one in swarm.status().agents) == len(reported)
        swarm.close()


REDIS_URL: list[str] = []


@pytest.fixture(autouse=True)
def _redis_url(redis_server: str) -> None:
    # A test that hypothesis calls many times can take no fixture of its own for each.
    REDIS_URL[:] = [redis_server]


def outcome(gateway: RunningGateway, agent: str, text: str, **told: Any) -> dict[str, Any]:
    body = {"agent": agent, "text": text, "success": True, "output": f"answer to {text}"} | told
    found: dict[str, Any] = gateway.post("/v1/outcomes", body, 201)
    return found


def test_more_agents_than_engines_work_through_one_gateway(redis_server: str) -> None:
    with served(redis_server, {"MAX_ENGINES": "3"}) as gateway:
        opened = {}
        for number in range(8):
            name = f"agent-{number}"
            opened[name] = gateway.post("/v1/trajectories", {"agent": name, "text": f"task {number}"}, 201)
        assert gateway.get("/health")["engines"] == 3
        for name, advice in opened.items():
            receipt = gateway.post(f"/v1/trajectories/{advice['trajectory_id']}/end", {"agent": name, "success": True})
            assert receipt["state"] == "accepted"
        assert gateway.get("/health")["engines"] == 3
        assert all(one["accepted"] == 1 for one in gateway.get("/v1/agents")["agents"])


def test_what_was_open_is_ended_after_the_gateway_was_killed(redis_server: str) -> None:
    with served(redis_server) as gateway:
        advice = gateway.post("/v1/trajectories", {"agent": "ada", "text": "a long task"}, 201)
        path = f"/v1/trajectories/{advice['trajectory_id']}"
        gateway.post(f"{path}/steps", {"agent": "ada", "reward": 0.5}, 204)
        gateway.kill()
        gateway.restart()
        gateway.post(f"{path}/steps", {"agent": "ada", "reward": 1.0}, 204)
        receipt = gateway.post(f"{path}/end", {"agent": "ada", "success": True, "output": "done"})
        assert (receipt["state"], receipt["is_new"]) == ("accepted", True)
        gateway.kill()
        gateway.restart()
        again = gateway.post(f"{path}/end", {"agent": "ada", "success": True, "output": "done"})
        assert (again["is_new"], again["stream_id"]) == (False, receipt["stream_id"])


@pytest.mark.timeout(180)
def test_while_redis_is_away_hooks_answer_and_outcomes_wait_and_nothing_is_lost(own_redis: PrivateRedis) -> None:
    with served(own_redis.url) as gateway:
        outcome(gateway, "ada", "parse a date")
        consolidate_all(gateway.settings)
        known = lambda: gateway.post("/v1/trajectories", {"agent": "ada", "text": "parse a date"}, 201)["patterns"]  # noqa: E731
        wait_until(known, 30.0, "the pattern")
        before = gateway.post("/v1/trajectories", {"agent": "ada", "text": "parse a date"}, 201)
        own_redis.kill()

        advice = gateway.post("/v1/trajectories", {"agent": "ada", "text": "parse a date"}, 201)
        assert advice["is_fresh"] is False
        assert [hit["response"] for hit in advice["patterns"]] == ["answer to parse a date"]
        first = gateway.post(f"/v1/trajectories/{before['trajectory_id']}/end", {"agent": "ada", "success": True})
        receipt = gateway.post(f"/v1/trajectories/{advice['trajectory_id']}/end", {"agent": "ada", "success": False})
        # Waiting changes nothing about that it was taken.
        waited = outcome(gateway, "bob", "sort a list", wait=1)
        assert [one["state"] for one in (first, receipt, waited)] == ["spooled"] * 3
        health = gateway.get("/health", 503)
        assert (health["status"], health["spooled"]) == ("degraded", 3)
        assert gateway.get("/health/live") == {"status": "ok"}
        error = gateway.post("/v1/query", {"text": "x"}, 503)
        assert error["error"]["retry_after_s"] == 1.0
        begun_away = gateway.post("/v1/trajectories", {"agent": "ada", "text": "begun while Redis was away"}, 201)

        own_redis.start()
        wait_until(lambda: gateway.http.get("/health").json()["spooled"] == 0, 40.0, "the spools to be empty")
        consolidate_all(gateway.settings)
        for one in (first, receipt, waited):
            wait_until(
                lambda one=one: gateway.get(f"/v1/receipts/{one['id']}")["state"] == "searchable",  # type: ignore[misc]
                20.0,
                one["id"],
            )
        assert {one["name"]: one["accepted"] for one in gateway.get("/v1/agents")["agents"]} == {"ada": 3, "bob": 1}

        def is_kept() -> bool:
            opened = gateway.get("/v1/agents/ada")["status"]["open"]
            return isinstance(opened, int) and opened > 0

        wait_until(is_kept, 20.0, "Redis to know what was begun without it")
        gateway.kill()
        gateway.restart()
        path = f"/v1/trajectories/{begun_away['trajectory_id']}/end"
        assert gateway.post(path, {"agent": "ada", "success": True})["state"] == "accepted"


@pytest.mark.timeout(180)
def test_a_gateway_that_starts_sends_what_a_killed_one_left_in_its_spools(own_redis: PrivateRedis) -> None:
    with served(own_redis.url) as gateway:
        outcome(gateway, "ada", "a task")
        own_redis.kill()
        spooled = outcome(gateway, "ada", "another task")
        assert spooled["state"] == "spooled"
        gateway.kill()
        own_redis.start()
        gateway.restart()
        # Nobody asks for ada: the gateway wakes it.
        wait_until(lambda: gateway.get("/v1/agents/ada")["status"]["accepted"] == 2, 20.0, "the outcome to be sent")
        assert gateway.get(f"/v1/receipts/{spooled['id']}")["state"] == "accepted"


def test_an_agent_that_knows_of_tasks_alone_is_not_let_go_while_redis_is_away(own_redis: PrivateRedis) -> None:
    with short_settings(own_redis.url, socket_timeout=0.2) as settings:
        swarm = make_swarm(settings)
        engines = Engines(swarm, 1)
        with engines.use("ada") as agent:
            own_redis.kill()
            begun = agent.before_task("a task").trajectory_id
        with pytest.raises(CapacityError), engines.use("bob"):
            pass
        own_redis.start()
        with engines.use("ada") as agent:
            wait_until(lambda: agent.refresh() and not agent.has_unsent, 20.0, "Redis to know of it")
        with engines.use("bob"):
            pass
        with engines.use("ada") as back:
            assert back.after_task(begun, success=True).state == "accepted"
        engines.close()
        swarm.close()


def test_an_agent_that_is_being_forgotten_is_not_tended_and_gone_afterwards(swarm: Swarm) -> None:
    engines = Engines(swarm, 2)
    with engines.use("coder-1"):
        pass
    swarm.register("coder-1")
    with engines.forgetting("coder-1"):
        swarm.forget(agent="coder-1")
        # As the tender may at any moment.
        engines.refresh()
        assert "coder-1" not in swarm.roles()
    assert engines.names == []
    engines.close()
    assert "coder-1" not in swarm.roles()
