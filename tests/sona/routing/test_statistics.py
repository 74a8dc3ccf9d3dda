"""Statistics of routes: sums, so that order and grouping do not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from routing_support import DIM, routed

from swarm.sona.routing.features import FEATURES, FeatureMap
from swarm.sona.routing.statistics import (
    NOTHING,
    TOOLS,
    RouteMoments,
    RouteStatistics,
    offered_tools,
    route_statistics,
    sum_statistics,
)

FEATURE_MAP = FeatureMap(DIM)
OUTCOMES = [routed(number, ("talker", "counter")[number % 3 == 0]) for number in range(24)]


def assert_same(one: RouteStatistics, other: RouteStatistics) -> None:
    assert one.routes.keys() == other.routes.keys()
    for name, moments in one.routes.items():
        assert moments.n == other.routes[name].n
        np.testing.assert_allclose(moments.gram, other.routes[name].gram, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moments.targets, other.routes[name].targets, rtol=1e-12, atol=1e-12)


def test_parts_in_any_order_add_up_to_the_whole() -> None:
    whole = route_statistics(OUTCOMES, FEATURE_MAP)
    parts = [route_statistics(OUTCOMES[start : start + 5], FEATURE_MAP) for start in range(0, 24, 5)]
    assert_same(sum_statistics(parts), whole)
    assert_same(sum_statistics(reversed(parts)), whole)
    assert_same(NOTHING + whole, whole)


def test_the_sums_hold_the_plain_means() -> None:
    counter = route_statistics(OUTCOMES, FEATURE_MAP).routes["counter"]
    mine = [outcome for outcome in OUTCOMES if outcome.route == "counter"]
    assert counter.n == len(mine)
    assert counter.mean_quality == np.mean([outcome.quality for outcome in mine])
    np.testing.assert_allclose((counter.mean_cost, counter.mean_latency_ms), (0.02, 200.0))
    assert counter.sum_quality2 == sum(outcome.quality**2 for outcome in mine)


def test_an_outcome_without_a_route_says_nothing_and_the_tools_offered_count() -> None:
    assert route_statistics([replace(OUTCOMES[0], route="")], FEATURE_MAP).routes == {}
    with_tools = replace(OUTCOMES[0], context={TOOLS: "which_city\nadd"})
    assert offered_tools(with_tools.context) == ["which_city", "add"]
    assert offered_tools({}) == []
    before = route_statistics([OUTCOMES[0]], FEATURE_MAP).routes["counter"]
    after = route_statistics([with_tools], FEATURE_MAP).routes["counter"]
    assert not np.allclose(before.gram, after.gram)


def test_of_too_many_routes_those_with_most_outcomes_stay() -> None:
    def moments(n: float) -> RouteMoments:
        return RouteMoments(n=n, sum_quality2=0.0, gram=np.zeros((FEATURES, FEATURES)), targets=np.zeros((3, FEATURES)))

    statistics = RouteStatistics(routes={"a": moments(1.0), "b": moments(3.0), "c": moments(2.0), "d": moments(2.0)})
    assert list(statistics.most_used(3).routes) == ["b", "c", "d"]
    assert list(statistics.most_used(2).routes) == ["b", "c"]
    assert statistics.most_used(4) is statistics
    assert moments(0.0).mean_quality == moments(0.0).mean_cost == 0.0
