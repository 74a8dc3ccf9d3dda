"""What the patterns around a task say of routes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from routing_support import expected
from swarm_support import some_cluster

from swarm.sona.clusters import RouteTally
from swarm.sona.index import Hit
from swarm.sona.routing.near import HALFWAY, combined, near_evidence, with_near


def hit(similarity: float, **routes: RouteTally) -> Hit:
    return Hit(cluster=replace(some_cluster(0), routes=routes), similarity=similarity, score=similarity)


def did(n: float, quality: float) -> RouteTally:
    return RouteTally(
        n=n, sum_quality=n * quality, sum_quality2=n * quality**2, sum_latency_ms=n * 20.0, sum_cost=n * 3.0
    )


def test_nothing_nearby_says_nothing() -> None:
    assert near_evidence([]) == {}
    assert near_evidence([hit(0.9)]) == {}
    assert with_near(expected(0.4), None) == expected(0.4)


def test_clusters_count_by_the_kernel_of_their_distance_to_the_nearest() -> None:
    found = near_evidence([hit(0.8, a=did(4, 1.0)), hit(0.6, a=did(10, 0.0), b=did(2, 0.5))], temperature=0.1)
    weight = float(np.exp(-2.0))
    assert found["a"].n == pytest.approx(4.0 + 10.0 * weight)
    assert found["a"].sum_quality == pytest.approx(4.0)
    assert found["b"].n == pytest.approx(2.0 * weight)


def test_much_evidence_nearby_corrects_the_regression_and_little_does_not() -> None:
    little, much = with_near(expected(0.2), did(6, 1.0)), with_near(expected(0.2), did(HALFWAY, 1.0))
    assert little.quality == pytest.approx(0.2, abs=0.03)
    assert much.quality == pytest.approx(0.6)
    assert much.cost == 1.0


def test_where_the_regression_knows_nothing_the_patterns_take_its_place() -> None:
    found = combined({"a": expected(0.5, error=0.35, cost=None, latency_ms=None, outcomes=0.0)}, {"a": did(9, 1.0)})
    assert found["a"].quality == pytest.approx(9.5 / 10.0)
    assert (found["a"].cost, found["a"].latency_ms, found["a"].outcomes) == (3.0, 20.0, 9.0)
    assert found["a"].quality_error < 0.35
