"""The router of a swarm: learned by consolidation and merge, exactly once; kept, replayed, bounded by budgets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from swarm_support import DIM, a_registration, make_swarm

from swarm.errors import InputError, NoRouteError, UnknownIdError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.routing.declared import DeclaredRoute
from swarm.sona.routing.features import FeatureMap
from swarm.sona.routing.statistics import RouteStatistics, route_statistics
from swarm.sona.trajectory import Trajectory
from swarm.store import routes
from swarm.store.budgets import SWARM, agent_scope
from swarm.store.connection import Client, connect
from swarm.wire.keys import DECISIONS_LENGTH
from swarm.wire.route_records import Budget, decode_statistics

ASK, LIST = "Which city is it?", "Add 1, 2, 3, 4, 5, 6, 7, 8 and 9."


def outcome(swarm: Swarm, number: int, route: str, agent: str = "coder-1") -> Trajectory:
    """`talker` is good at questions, `counter` at figures, and dearer."""
    text = f"Which city is {number}?" if number % 2 == 0 else "Add " + ", ".join(map(str, range(number, number + 9)))
    fits = (route == "talker") == (number % 2 == 0)
    return Trajectory(
        id=f"{agent}-{route}-{number}",
        embedding=swarm.embed(text),
        quality=1.0 if fits else 0.0,
        route=route,
        cost=0.02 if route == "counter" else 0.01,
        latency_ms=200.0,
        text=text,
        agent=agent,
        at_s=1000.0 + number,
    )


def report(swarm: Swarm, first: int, last: int, agent: str = "coder-1") -> list[Trajectory]:
    if swarm.agents.registration(agent) is None:
        swarm.register(agent, "coder", a_registration().config)
    told = [outcome(swarm, n, r, agent) for n in range(first, last) for r in ("talker", "counter")]
    for one in told:
        swarm.record(one, one.id)
    return told


@pytest.fixture
def learned(swarm: Swarm, background: Background) -> Swarm:
    report(swarm, 0, 40)
    background.drain(0.0)
    return swarm


def assert_same(one: RouteStatistics, other: RouteStatistics) -> None:
    assert one.routes.keys() == other.routes.keys()
    for name, moments in one.routes.items():
        assert moments.n == other.routes[name].n
        np.testing.assert_allclose(moments.gram, other.routes[name].gram, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(moments.targets, other.routes[name].targets, rtol=1e-9, atol=1e-9)


def published(swarm: Swarm) -> RouteStatistics:
    found = swarm.router.store.published_since(None)
    assert found is not None
    return found.published.statistics


def test_a_swarm_that_knows_no_route_says_so(swarm: Swarm) -> None:
    with pytest.raises(NoRouteError, match="none is known"):
        swarm.route(ASK)
    assert swarm.route(ASK, routes=["a", "b"]).expected_quality == 0.5


def test_the_answer_says_what_it_rests_on(learned: Swarm) -> None:
    asked, listed = learned.route(ASK, strategy="quality"), learned.route(LIST, strategy="quality")
    assert (asked.route, listed.route) == ("talker", "counter")
    assert asked.model == "talker"
    assert listed.estimated_cost == listed.cost == pytest.approx(0.02, rel=0.2)
    assert listed.latency_ms == pytest.approx(200.0, rel=0.2)
    assert asked.outcomes == 40.0
    assert "from 40 outcomes" in asked.why
    assert [candidate.route for candidate in asked.candidates] == ["talker", "counter"]
    shown = asked.as_dict(explain=True)
    assert shown["candidates"][1]["expected"]["quality"] < asked.expected_quality
    assert "candidates" not in asked.as_dict()


def test_another_process_knows_the_same_after_the_merge(learned: Swarm, settings: Settings) -> None:
    with connect(settings) as client:
        other = make_swarm(settings, client)
        found, own = (swarm.route(LIST, strategy="quality") for swarm in (other, learned))
    assert (found.route, found.expected_quality) == (own.route, own.expected_quality)


def test_the_published_sums_are_those_of_all_outcomes_each_once(swarm: Swarm, background: Background) -> None:
    told = report(swarm, 0, 6)
    background.drain(0.0)
    told += report(swarm, 6, 10)
    told += report(swarm, 3, 9, agent="coder-2")
    background.drain(0.0)
    background.merge("worker", 0.0)
    assert_same(published(swarm), route_statistics(told, FeatureMap(DIM)))


def test_an_outcome_of_this_process_counts_at_once_and_not_again_after_the_merge(
    swarm: Swarm, background: Background
) -> None:
    swarm.register("coder-1", "coder", a_registration().config)
    for number in range(6):
        one = outcome(swarm, number, "talker")
        swarm.router.learn(one, swarm.record(one, one.id).stream_id)
    assert swarm.router.knowledge.outcomes()["talker"][0] == 6.0
    background.drain(0.0)
    swarm.router.refresh()
    assert swarm.router.knowledge.outcomes()["talker"][0] == 6.0
    later = outcome(swarm, 7, "talker")
    swarm.router.learn(later, swarm.record(later, later.id).stream_id)
    assert swarm.router.knowledge.outcomes()["talker"][0] == 7.0
    # A merge that does not contain it yet leaves it counted.
    report(swarm, 20, 22, agent="coder-2")
    background.consolidate("coder-2", "worker", 0.0)
    background.merge("worker", 0.0)
    swarm.router.refresh()
    assert swarm.router.knowledge.outcomes()["talker"][0] == 9.0


def test_a_rollback_and_a_rewind_take_the_statistics_along(swarm: Swarm, background: Background) -> None:
    first = report(swarm, 0, 5)
    background.drain(0.0)
    version = swarm.agents.state("coder-1").generation
    later = report(swarm, 5, 8)
    background.drain(0.0)
    wrong = later[0]
    swarm.rewind(wrong.id)
    stored = swarm.agents.routes("coder-1")
    assert stored is not None
    kept = [one for one in [*first, *later] if one.id != wrong.id]
    assert_same(decode_statistics(stored), route_statistics(kept, FeatureMap(DIM)))
    assert_same(published(swarm), route_statistics(kept, FeatureMap(DIM)))
    swarm.rollback("coder-1", version)
    rolled_back = swarm.agents.routes("coder-1")
    assert rolled_back is not None
    assert_same(decode_statistics(rolled_back), route_statistics(first, FeatureMap(DIM)))


def test_declared_routes_are_candidates_with_what_was_said_of_them(swarm: Swarm) -> None:
    swarm.router.store.declare(DeclaredRoute(name="small", cost=0.25, quality=0.8, speed=0.95))
    swarm.router.store.declare(DeclaredRoute(name="large", cost=10.0, quality=0.97, speed=0.6))
    best = swarm.route(ASK, strategy="quality")
    assert (best.route, best.expected_quality, best.cost, best.latency_ms) == ("large", 0.97, 10.0, 4000.0)
    assert swarm.route(ASK, strategy="cost-optimized").route == "small"
    assert swarm.route(ASK, strategy="speed").route == "small"
    assert swarm.route(ASK, strategy="quality", max_cost=5.0).route == "small"
    assert swarm.router.store.forget("large")
    assert swarm.route(ASK, strategy="quality").route == "small"


def test_a_kept_decision_is_replayed_bit_for_bit_though_the_swarm_has_learned_more(
    learned: Swarm, background: Background
) -> None:
    advice = learned.route(ASK, strategy="quality", exploration="thompson", seed=7)
    for one in (outcome(learned, n, "talker") for n in range(100, 130)):
        learned.record(replace(one, quality=0.0), f"bad-{one.id}")
    background.drain(0.0)
    decision, again = learned.router.replay(advice.decision_id)
    assert (again.route, again.why, again.candidates) == (advice.route, advice.why, advice.candidates)
    assert decision.text == ASK
    with pytest.raises(UnknownIdError, match="unknown or has expired"):
        learned.router.replay("no-such-decision")


def test_decisions_are_counted_by_route_and_reason_of_as_many_as_there_is_room_for(
    learned: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = learned.router.store
    assert store.decided() == {}
    for text in (ASK, ASK, LIST):
        learned.route(text)
    learned.route(ASK, routes=["talker"])
    assert store.decided() == {
        ("counter", "strategy"): 1,
        ("talker", "only"): 1,
        ("talker", "strategy"): 2,
    }
    monkeypatch.setattr(routes, "MAX_COUNTED", 3)
    for route in ("one", "another"):
        learned.route(ASK, routes=[route])
    learned.route(ASK, routes=["talker"])
    assert (store.decided()["", ""], store.decided()["talker", "only"], len(store.decided())) == (2, 2, 4)


def test_the_latest_decisions_are_listed_with_the_same_choice_made_again(learned: Swarm, client: Client) -> None:
    made = [learned.route(f"a question {number}", routes=["talker", "counter"]) for number in range(5)]
    client.delete(learned.keys.decision(made[3].decision_id))
    found = learned.decisions(3)
    assert [replay.decision.id for replay in found] == [made[4].decision_id, made[2].decision_id]
    assert all(replay.is_same for replay in found)
    assert [replay.again.candidates for replay in found] == [made[4].candidates, made[2].candidates]
    with pytest.raises(InputError, match="count must be in"):
        learned.decisions(DECISIONS_LENGTH + 1)


def test_a_decision_expires(learned: Swarm, client: Client) -> None:
    advice = learned.route(ASK)
    left_s = client.ttl(learned.keys.decision(advice.decision_id))
    assert 0 < left_s <= learned.settings.receipt_ttl


def test_a_session_keeps_its_route_and_an_upgrade_never_goes_back(learned: Swarm, settings: Settings) -> None:
    first = learned.route(ASK, strategy="quality", session="s1")
    assert learned.route(LIST, strategy="quality", session="s1").route == first.route == "talker"
    assert learned.route(LIST, strategy="quality", session="s2").route == "counter"
    learned.router.failed("s1", "talker")
    with connect(settings) as client:
        elsewhere = make_swarm(settings, client)
        assert elsewhere.route(ASK, strategy="quality", session="s1").route == "counter"
        elsewhere.router.failed("s1", "counter")
    with pytest.raises(NoRouteError, match="talker: it failed"):
        learned.route(ASK, strategy="quality", session="s1")


def test_the_decisions_of_a_task_with_its_upgrades_cost_no_more_than_the_task_may(learned: Swarm) -> None:
    def ask(session: str, most: float, **options: Any) -> str:
        return learned.route(LIST, strategy="quality", session=session, max_cost_per_task=most, **options).route

    first = learned.route(ASK, strategy="quality", session="t1", max_cost_per_task=1.0)
    learned.router.failed("t1", first.route)
    # What the first try was expected to cost is gone; the upgrade alone would have fitted.
    upgrade = learned.route(ASK, routes=["counter"], strategy="quality")
    with pytest.raises(NoRouteError, match=r"counter: expected cost .* is above the budget left"):
        ask("t1", upgrade.cost + first.cost / 2.0)
    assert ask("t1", upgrade.cost + first.cost + 1e-9) == "counter"
    assert ask("t2", upgrade.cost + 1e-9) == "counter"
    # A budget of the swarm bounds it as well, whichever leaves less.
    learned.router.budgets.put(SWARM, Budget(amount=100.0, period_s=1e9))
    assert ask("t3", 0.012) == "talker"
    with pytest.raises(NoRouteError, match="max_cost_per_task leaves too little for the fallback"):
        ask("t4", 0.0, fallback="talker")


def test_budgets_bound_what_is_taken_and_are_given_back_when_a_task_was_cheaper(learned: Swarm) -> None:
    learned.router.budgets.put(SWARM, Budget(amount=0.045, period_s=1e9))
    dear = [learned.route(LIST, strategy="quality") for _ in range(2)]
    assert [advice.route for advice in dear] == ["counter", "counter"]
    with pytest.raises(NoRouteError, match="the budget left"):
        learned.route(LIST, routes=["counter"], strategy="quality")
    assert learned.router.settle(dear[0].decision_id, 0.0)
    assert learned.route(LIST, routes=["counter"], strategy="quality").route == "counter"


def test_the_budget_of_an_agent_bounds_that_agent_alone(learned: Swarm) -> None:
    learned.router.budgets.put(agent_scope("poor"), Budget(amount=0.012, period_s=1e9))
    assert learned.route(LIST, strategy="quality", agent="poor").route == "talker"
    assert learned.route(LIST, strategy="quality", agent="rich").route == "counter"
    learned.router.budgets.put(agent_scope("rich"), Budget(amount=1.0, period_s=1e9, per_task=0.012))
    assert learned.route(LIST, strategy="quality", agent="rich").route == "talker"


def test_a_fallback_beyond_the_budget_is_refused(learned: Swarm) -> None:
    learned.router.budgets.put(SWARM, Budget(amount=0.001, period_s=1e9))
    with pytest.raises(NoRouteError, match="too little left for the fallback"):
        learned.route(LIST, routes=["counter"], fallback="talker")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"routes": "talker"}, "routes must be a collection of names"),
        ({"routes": [""]}, "routes must be a collection of names"),
        ({"routes": ["a\n"]}, "printable"),
        ({"routes": [str(n) for n in range(129)]}, "128 at most"),
        ({"strategy": "best"}, "strategy"),
        ({"max_cost": -1.0}, "max_cost"),
        ({"max_cost_per_task": -1.0, "session": "s"}, "max_cost_per_task must be in"),
        ({"max_cost_per_task": 1.0}, "max_cost_per_task needs a session"),
        ({"min_quality": 1.1}, "min_quality"),
        ({"timeout_ms": float("inf")}, "timeout_ms"),
        ({"seed": -1}, "seed"),
        ({"session": "x" * 201}, "session"),
    ],
)
def test_options_out_of_bounds_are_refused_by_name(swarm: Swarm, options: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        swarm.route(ASK, **options)  # type: ignore[arg-type]  # that is the point
