"""The regressions: against a plain solution, one outcome at a time against all at once, and what they learn."""

from __future__ import annotations

import numpy as np
import pytest
from routing_support import DIM, routed, some_task

from swarm.sona.routing.features import FEATURES, FeatureMap
from swarm.sona.routing.model import Precisions, RouteModel, RoutePrior
from swarm.sona.routing.statistics import NOTHING, RouteStatistics, outcome_moments, route_statistics
from swarm.sona.routing.traits import task_traits

FEATURE_MAP = FeatureMap(DIM)
LEARNED = route_statistics([routed(n, r) for n in range(120) for r in ("talker", "counter")], FEATURE_MAP)


def phi_of(number: int) -> np.ndarray:
    embedding, text = some_task(number)
    return FEATURE_MAP.of(embedding, task_traits(text))


def test_each_route_is_expected_to_do_what_it_is_good_at() -> None:
    model = RouteModel(LEARNED)
    for number in range(200, 220):
        talker, counter = (model.estimate(route, phi_of(number)) for route in ("talker", "counter"))
        assert (talker.quality > counter.quality) == (number % 2 == 0)
        assert abs((talker.cost or 0.0) - 0.01) < 0.003
        assert abs((counter.latency_ms or 0.0) - 200.0) < 30.0
        assert talker.outcomes == counter.outcomes == 120.0


def test_the_estimate_equals_ridge_regression_solved_over_the_rows() -> None:
    rng = np.random.default_rng(0)
    phi = np.hstack([np.ones((60, 1)), 0.2 * rng.standard_normal((60, FEATURES - 1))])
    quality, cost, latency = rng.random((3, 60))
    one = RouteStatistics(routes={"a": outcome_moments(phi, quality, cost, latency)})
    precisions = Precisions(traits=3.0, subject=7.0)
    held = precisions.as_array(1.0)
    gram = phi.T @ phi
    centred = phi.T @ (quality - quality.mean())
    common = np.linalg.solve(gram + np.diag(2.0 * held), centred)
    common[0] = 0.5
    # As rows: sqrt(Lambda) (w - w0) = 0 beside phi w = q.
    rows = np.vstack([phi, np.diag(np.sqrt(held))])
    weights = np.linalg.lstsq(rows, np.concatenate([quality, np.sqrt(held) * common]), rcond=None)[0]
    new = np.concatenate([[1.0], 0.2 * rng.standard_normal(FEATURES - 1)])
    found = RouteModel(one, precisions=precisions).estimate("a", new)
    assert found.quality == pytest.approx(min(1.0, max(0.0, float(new @ weights))), abs=1e-8)


def test_one_outcome_at_a_time_comes_to_what_all_at_once_do() -> None:
    model = RouteModel(LEARNED)
    model.estimate("talker", phi_of(1))  # solved now, and from here on updated
    more = [routed(number, "talker", quality=0.5) for number in range(300, 340)]
    for outcome in more:
        phi = FEATURE_MAP.of(outcome.embedding, task_traits(outcome.text))
        model.learn("talker", phi, outcome.quality, outcome.cost, outcome.latency_ms)
    fresh = RouteModel(model.statistics)
    fresh._common = model._common  # what routes have in common is looked at anew by a new model only
    got, wanted = model.estimate("talker", phi_of(7)), fresh.estimate("talker", phi_of(7))
    assert got.outcomes == 160.0
    for name in ("quality", "quality_error", "cost", "latency_ms"):
        assert getattr(got, name) == pytest.approx(getattr(wanted, name), rel=1e-7)


def test_an_untried_route_has_what_was_declared_of_it_else_the_general_prior() -> None:
    model = RouteModel(NOTHING, {"known": RoutePrior(quality=0.9, cost=0.3, latency_ms=50.0)})
    known, unknown = model.estimate("known", phi_of(1)), model.estimate("unknown", phi_of(1))
    assert (known.quality, known.cost, known.latency_ms, known.outcomes) == (0.9, 0.3, 50.0, 0.0)
    assert (unknown.quality, unknown.cost, unknown.latency_ms) == (0.5, None, None)
    assert unknown.quality_error > known.quality_error


def test_outcomes_outweigh_what_was_declared_and_narrow_the_error() -> None:
    few = route_statistics([routed(n, "a", quality=0.0) for n in range(2)], FEATURE_MAP)
    many = route_statistics([routed(n, "a", quality=0.0) for n in range(100)], FEATURE_MAP)
    prior = {"a": RoutePrior(quality=0.9)}
    after_few, after_many = (RouteModel(s, prior).estimate("a", phi_of(2)) for s in (few, many))
    assert 0.2 < after_few.quality < 0.9
    assert after_many.quality < 0.1
    assert after_many.quality_error < after_few.quality_error


def test_predicted_costs_never_fall_below_a_tenth_of_the_mean() -> None:
    phi = np.zeros((2, FEATURES))
    phi[:, 0], phi[0, 1], phi[1, 1] = 1.0, 1.0, -1.0
    one = RouteStatistics(
        routes={"a": outcome_moments(np.repeat(phi, 50, axis=0), np.ones(100), np.repeat([2.0, 0.0], 50), np.ones(100))}
    )
    far = np.zeros(FEATURES)
    far[0], far[1] = 1.0, -50.0
    assert RouteModel(one).estimate("a", far).cost == pytest.approx(0.1)
