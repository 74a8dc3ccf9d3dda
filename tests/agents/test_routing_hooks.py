"""The router in the hooks: advice before a task, what became of it after, with Redis and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import PrivateRedis
from swarm_support import present

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.store.budgets import SWARM
from swarm.wire.records import decode_trajectory
from swarm.wire.route_records import Budget
from swarm_agents import Agent

TEXT = "decode a JSON document"


def do(agent: Agent, route: str, quality: float, *, cost: float = 0.0, **options: object) -> None:
    advice = agent.before_task(TEXT, **options)  # type: ignore[arg-type]  # before_task checks them
    agent.after_task(advice.trajectory_id, quality=quality, route=route, cost=cost, latency_ms=10.0)


def test_what_an_agent_reports_moves_its_next_decision_at_once(agent: Agent) -> None:
    for _ in range(6):
        do(agent, "bad", 0.0)
        do(agent, "good", 1.0)
    advice = present(agent.before_task(TEXT, routes=["bad", "good"], strategy="quality").route)
    assert (advice.route, advice.outcomes) == ("good", 6.0)
    assert advice.expected_quality > 0.7
    assert present(agent.before_task(TEXT).route).decision_id == ""


def test_who_has_no_routes_to_choose_from_is_told_none_and_nothing_is_looked_for(
    agent: Agent, swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(agent, "good", 1.0)
    assert agent.before_task(TEXT).route is not None

    def refused(*_: object) -> None:
        raise AssertionError("the patterns around the task were read")

    monkeypatch.setattr(swarm.replica, "nearest", refused)
    assert agent.before_task(TEXT, routes=()).route is None


def test_a_task_that_fails_upgrades_its_session(agent: Agent) -> None:
    first = agent.before_task(TEXT, routes=["a", "b"], session="loop")
    route = present(first.route).route
    assert present(agent.before_task(TEXT, routes=["a", "b"], session="loop").route).route == route
    agent.after_task(first.trajectory_id, success=False, route=route)
    upgraded = present(agent.before_task(TEXT, routes=["a", "b"], session="loop").route)
    assert upgraded.route == ({"a", "b"} - {route}).pop()


def test_the_outcome_settles_what_its_decision_reserved(agent: Agent, swarm: Swarm) -> None:
    do(agent, "dear", 1.0, cost=0.5)
    swarm.router.budgets.put(SWARM, Budget(amount=2.0, period_s=1e9))
    advice = agent.before_task(TEXT, routes=["dear"])
    assert swarm.router.budgets.spending()[SWARM].spent == pytest.approx(0.5)
    agent.after_task(advice.trajectory_id, success=True, route="dear", cost=0.2)
    assert swarm.router.budgets.spending()[SWARM].spent == pytest.approx(0.2)


def test_with_no_route_left_the_hook_answers_which_bound_excluded_which(agent: Agent) -> None:
    do(agent, "poor", 0.0)
    advice = present(agent.before_task(TEXT, routes=["poor"], min_quality=0.9).route)
    assert advice.route == ""
    assert "poor: expected quality" in advice.why
    assert "min_quality 0.9" in advice.why


def test_the_outcome_keeps_decision_session_and_tools(agent: Agent, swarm: Swarm) -> None:
    advice = agent.before_task(TEXT, routes=["a"], session="s", tools=["json.loads", "re"])
    agent.after_task(advice.trajectory_id, success=True, route="a")
    stored = decode_trajectory(swarm.outcomes("coder-1").read_after("0-0", 10)[0][1])
    assert stored.context == {
        "decision": present(advice.route).decision_id,
        "session": "s",
        "tools": "json.loads\nre",
    }


def test_a_failed_route_is_told_in_a_session_by_another_process_too(
    agent: Agent, swarm: Swarm, background: Background
) -> None:
    opened = agent.before_task(TEXT, routes=["a", "b"], session="s")
    taken = present(opened.route).route
    # Ended by a process that did not open it: session and decision come from the open trajectory in Redis.
    Agent("coder-1", swarm=swarm).after_task(opened.trajectory_id, success=False, route=taken)
    assert present(agent.before_task(TEXT, routes=["a", "b"], session="s").route).route != taken


def test_without_redis_the_hook_routes_from_what_it_knows_and_stays_sticky(
    own_redis: PrivateRedis, new_agent: Callable[..., Agent]
) -> None:
    agent = new_agent()
    for _ in range(4):
        do(agent, "bad", 0.0)
        do(agent, "good", 1.0)
    own_redis.kill()
    routes = ["bad", "good"]
    advice = present(agent.before_task(TEXT, routes=routes, strategy="quality", session="s").route)
    assert (advice.route, advice.decision_id) == ("good", "")
    do(agent, "good", 0.0, routes=routes, session="s")
    assert present(agent.before_task(TEXT, routes=routes, session="s").route).route == "bad"
    assert agent.health().redis_failures > 0


def test_options_for_routes_that_cannot_be_used_leave_no_task_open(agent: Agent) -> None:
    for options in ({"strategy": "best"}, {"max_cost": -1.0}, {"tools": ["\n"]}, {"session": 3}):
        with pytest.raises(ValueError, match=r"strategy|max_cost|tools|session"):
            agent.before_task(TEXT, **options)
    assert agent.health().open_tasks == 0
