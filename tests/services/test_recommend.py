"""Routes: what each model or tool achieved on tasks near this one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from swarm_support import some_cluster

from swarm.services.recommend import recommend_route
from swarm.sona.clusters import RouteTally
from swarm.sona.index import Hit

TAU = 0.05


def hit(similarity: float, **routes: RouteTally) -> Hit:
    return Hit(cluster=replace(some_cluster(0), routes=routes), similarity=similarity, score=similarity)


def did(n: float, quality: float, cost: float = 1.0) -> RouteTally:
    return RouteTally(
        n=n, sum_quality=n * quality, sum_quality2=n * quality**2, sum_latency_ms=n * 20.0, sum_cost=n * cost
    )


def test_nothing_to_choose_from_is_no_advice() -> None:
    assert recommend_route([], TAU) is None
    assert recommend_route([hit(0.9)], TAU) is None
    assert recommend_route([hit(0.9, a=did(3, 1.0))], TAU, routes=[]) is None


def test_the_route_that_did_better_is_recommended_with_its_means() -> None:
    advice = recommend_route([hit(0.9, good=did(8, 1.0, cost=2.0), bad=did(8, 0.25))], TAU)
    assert advice is not None
    assert (advice.route, advice.outcomes, advice.latency_ms, advice.cost) == ("good", 8.0, 20.0, 2.0)
    assert advice.expected_quality == pytest.approx(8.5 / 9.0)
    assert 0.0 < advice.quality_error < 0.2
    assert "mean quality 1.00 over 8.0 outcomes" in advice.why


def test_evidence_nearby_counts_more() -> None:
    advice = recommend_route([hit(0.95, near=did(4, 0.9)), hit(0.5, near=did(50, 0.0), far=did(50, 1.0))], TAU)
    assert advice is not None
    assert advice.route == "near"


def test_a_route_without_evidence_is_tried_once_the_known_ones_do_worse_than_the_prior() -> None:
    known = [hit(0.9, bad=did(20, 0.1))]
    untried = recommend_route(known, TAU, routes=["bad", "untried"])
    assert untried is not None
    assert (untried.route, untried.outcomes) == ("untried", 0.0)
    assert "never tried" in untried.why
    good = recommend_route([hit(0.9, good=did(20, 0.9))], TAU, routes=["untried", "good"])
    assert good is not None
    assert good.route == "good"


def test_among_equals_the_cheaper_one_is_taken() -> None:
    advice = recommend_route([hit(0.9, dear=did(5, 0.8, cost=9.0), cheap=did(5, 0.8, cost=0.1))], TAU)
    assert advice is not None
    assert advice.route == "cheap"


def test_only_the_routes_asked_for_are_recommended() -> None:
    advice = recommend_route([hit(0.9, a=did(9, 1.0), b=did(9, 0.6))], TAU, routes=["b", "b"])
    assert advice is not None
    assert advice.route == "b"
