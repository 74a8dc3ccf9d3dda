"""The choice: strategies, hard bounds, what happened before, exploration, and the same answer for the same inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routing_support import expected

from swarm.errors import InputError, NoRouteError
from swarm.sona.routing.choice import Reason, choose
from swarm.sona.routing.request import (
    Exploration,
    RouteRequest,
    Strategy,
    check_request,
    check_route,
    parse_exploration,
    parse_strategy,
)

MODELS = {
    "small": expected(0.70, cost=0.1, latency_ms=100.0),
    "large": expected(0.90, cost=3.0, latency_ms=900.0),
    "quick": expected(0.75, cost=1.0, latency_ms=20.0),
}


@pytest.mark.parametrize(
    ("strategy", "route"),
    [(Strategy.QUALITY, "large"), (Strategy.COST, "small"), (Strategy.SPEED, "quick"), (Strategy.BALANCED, "large")],
)
def test_each_strategy_has_its_aim(strategy: Strategy, route: str) -> None:
    assert choose(MODELS, RouteRequest(strategy=strategy)).route == route


def test_worth_decides_instead_of_the_strategy() -> None:
    assert choose(MODELS, RouteRequest(strategy=Strategy.QUALITY, worth=1.0)).route == "small"
    assert choose(MODELS, RouteRequest(strategy=Strategy.COST, worth=1000.0)).route == "large"


@pytest.mark.parametrize(
    ("request_", "route", "reason"),
    [
        (
            RouteRequest(strategy=Strategy.QUALITY, max_cost=2.0),
            "quick",
            "large: expected cost 3 USD is above max_cost 2",
        ),
        (RouteRequest(strategy=Strategy.QUALITY, timeout_ms=200.0), "quick", "900 ms is above timeout_ms 200"),
        (RouteRequest(strategy=Strategy.COST, min_quality=0.8), "large", "0.700 is below min_quality 0.8"),
        (RouteRequest(strategy=Strategy.QUALITY, budget_left=0.5), "small", "above the budget left 0.5 USD"),
        (RouteRequest(strategy=Strategy.QUALITY, failed=("large",)), "quick", "it failed at this task before"),
    ],
)
def test_bounds_are_hard_and_named(request_: RouteRequest, route: str, reason: str) -> None:
    choice = choose(MODELS, request_)
    assert choice.route == route
    assert any(reason in f"{candidate.route}: {candidate.excluded}" for candidate in choice.candidates)
    assert not choice.is_fallback


def test_what_is_not_known_cannot_be_promised() -> None:
    models = {"known": expected(0.5), "new": expected(0.9, cost=None, latency_ms=None, outcomes=0.0)}
    assert choose(models, RouteRequest(strategy=Strategy.QUALITY)).route == "new"
    assert "worth a try" in choose(models, RouteRequest(strategy=Strategy.QUALITY)).why
    for request in (RouteRequest(max_cost=5.0), RouteRequest(timeout_ms=500.0)):
        choice = choose(models, request)
        assert choice.route == "known"
        assert "is unknown" in choice.candidates[1].excluded


def test_with_no_route_left_the_fallback_is_taken_else_the_error_names_every_bound() -> None:
    request = RouteRequest(min_quality=0.95, max_cost=0.01)
    with pytest.raises(NoRouteError, match=r"small: .*min_quality.*"):
        choose(MODELS, request)
    choice = choose(MODELS, replace(request, fallback="small"))
    assert (choice.route, choice.is_fallback) == ("small", True)
    assert "large: expected quality 0.900 is below min_quality 0.95" in choice.why
    with pytest.raises(NoRouteError):
        choose(MODELS, replace(request, fallback="small", failed=("small",)))
    with pytest.raises(NoRouteError, match="none was given"):
        choose({}, RouteRequest())


def test_after_a_failure_the_best_other_route_follows_and_then_the_next() -> None:
    cheap = RouteRequest(strategy=Strategy.COST)
    assert choose(MODELS, cheap).route == "small"
    first = choose(MODELS, replace(cheap, failed=("small",)))
    assert first.route == "large"
    assert choose(MODELS, replace(cheap, failed=("small", "large"))).route == "quick"
    with pytest.raises(NoRouteError):
        choose(MODELS, replace(cheap, failed=("small", "large", "quick")))


def test_a_session_keeps_its_route_until_it_fails_or_breaks_a_bound() -> None:
    sticky = RouteRequest(strategy=Strategy.QUALITY, sticky="small")
    assert choose(MODELS, sticky).route == "small"
    assert choose(MODELS, replace(sticky, failed=("small",))).route == "large"
    assert choose(MODELS, replace(sticky, min_quality=0.8)).route == "large"


def test_among_equals_the_cheaper_one_is_taken() -> None:
    models = {"dear": expected(0.8, cost=9.0), "cheap": expected(0.8, cost=0.1)}
    assert choose(models, RouteRequest(strategy=Strategy.QUALITY)).route == "cheap"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (RouteRequest(), Reason.STRATEGY),
        (RouteRequest(worth=1.0), Reason.STRATEGY),
        (RouteRequest(max_cost=0.5), Reason.ONLY),
        (RouteRequest(exploration=Exploration.THOMPSON), Reason.EXPLORED),
        (RouteRequest(exploration=Exploration.UCB), Reason.EXPLORED),
        (RouteRequest(sticky="small"), Reason.SESSION),
        (RouteRequest(sticky="small", failed=("small",)), Reason.UPGRADE),
        (RouteRequest(max_cost=0.01, fallback="small"), Reason.FALLBACK),
    ],
)
def test_why_a_route_was_taken_is_one_word_too(request_: RouteRequest, reason: Reason) -> None:
    assert choose(MODELS, request_).reason is reason


def test_thompson_tries_each_route_about_as_often_as_it_may_be_the_best() -> None:
    models = {"a": expected(0.6, error=0.1), "b": expected(0.55, error=0.1), "poor": expected(0.1, error=0.01)}
    request = RouteRequest(strategy=Strategy.QUALITY, exploration=Exploration.THOMPSON, scale=1.0)
    taken = [choose(models, replace(request, seed=seed)).route for seed in range(400)]
    # The difference of a and b is normal, 0.05 +- 0.141: positive with probability 0.638.
    assert 0.57 < taken.count("a") / 400 < 0.71
    assert "poor" not in taken
    assert choose(models, replace(request, scale=0.0)).route == "a"


def test_ucb_tries_what_is_untried_and_prefers_little_evidence_among_equals() -> None:
    request = RouteRequest(strategy=Strategy.QUALITY, exploration=Exploration.UCB, scale=1.0)
    models = {"often": expected(0.6, outcomes=500.0), "seldom": expected(0.6, outcomes=5.0)}
    assert choose(models, request).route == "seldom"
    assert choose(models | {"new": expected(0.5, outcomes=0.0)}, request).route == "new"


def test_exploration_stays_within_the_bounds() -> None:
    for kind in (Exploration.THOMPSON, Exploration.UCB):
        for seed in range(50):
            request = RouteRequest(exploration=kind, scale=50.0, seed=seed, max_cost=1.5)
            assert choose(MODELS, request).route != "large"


numbers = st.floats(0.0, 1.0)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(numbers, numbers, numbers), min_size=1),
    st.sampled_from(list(Strategy)),
    st.sampled_from(list(Exploration)),
    st.integers(0, 2**40),
    st.floats(0.0, 1.2),
)
def test_equal_inputs_give_equal_answers_in_any_order_and_no_bound_is_ever_broken(
    routes: dict[str, tuple[float, float, float]], strategy: Strategy, kind: Exploration, seed: int, max_cost: float
) -> None:
    models = {name: expected(q, error=e, cost=c) for name, (q, e, c) in routes.items()}
    request = RouteRequest(strategy=strategy, exploration=kind, seed=seed, max_cost=max_cost)
    try:
        choice = choose(models, request)
    except NoRouteError:
        assert all((one.cost or 0.0) > max_cost for one in models.values())
        return
    assert (choice.chosen.expected.cost or 0.0) <= max_cost
    assert choose(dict(reversed(models.items())), request) == choice


def test_names_and_numbers_out_of_bounds_are_refused_by_name() -> None:
    assert parse_strategy("cost-optimized") is Strategy.COST
    assert parse_exploration("ucb") is Exploration.UCB
    for refused, match in (
        (lambda: parse_strategy("best"), "strategy must be one of quality"),
        (lambda: parse_strategy(3), "strategy"),
        (lambda: parse_exploration("wild"), "exploration must be one of greedy"),
        (lambda: check_route("a\nb"), "route must be 1-200 printable"),
        (lambda: check_request(RouteRequest(max_cost=-1.0)), "max_cost"),
        (lambda: check_request(RouteRequest(min_quality=1.5)), "min_quality"),
        (lambda: check_request(RouteRequest(timeout_ms=float("nan"))), "timeout_ms"),
        (lambda: check_request(RouteRequest(worth=0.0)), "worth"),
        (lambda: check_request(RouteRequest(failed=("",))), "failed"),
    ):
        with pytest.raises(InputError, match=match):
            refused()
