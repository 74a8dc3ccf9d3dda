"""Records of the router: the same after a round trip, and refused when damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from routing_support import DIM, expected, routed

from swarm.errors import DamagedRecordError, InputError, RecordError
from swarm.sona.routing.declared import DeclaredRoute
from swarm.sona.routing.features import FeatureMap
from swarm.sona.routing.request import Exploration, RouteRequest, Strategy
from swarm.sona.routing.statistics import route_statistics
from swarm.wire.codec import decode, encode
from swarm.wire.route_records import (
    Budget,
    Decision,
    PublishedRoutes,
    Session,
    decode_budget,
    decode_decision,
    decode_declared,
    decode_published,
    decode_session,
    decode_statistics,
    encode_budget,
    encode_decision,
    encode_declared,
    encode_published,
    encode_session,
    encode_statistics,
)

STATISTICS = route_statistics([routed(n, ("talker", "counter")[n % 2]) for n in range(12)], FeatureMap(DIM))
DECISION = Decision(
    id="d1",
    text="add",
    agent="coder-1",
    session="s1",
    at_s=12.5,
    request=RouteRequest(
        strategy=Strategy.COST,
        max_cost=0.1 + 0.2,
        failed=("a", "b"),
        exploration=Exploration.THOMPSON,
        seed=2**60,
    ),
    estimates={"a": expected(1.0 / 3.0), "b": expected(0.1 + 0.2, cost=None, latency_ms=None)},
    route="b",
    why="because",
)


def test_statistics_come_back_up_to_one_rounding_of_the_gram_matrix() -> None:
    found = decode_statistics(encode_statistics(STATISTICS))
    assert found.routes.keys() == STATISTICS.routes.keys()
    for name, moments in STATISTICS.routes.items():
        again = found.routes[name]
        assert (again.n, again.sum_quality2) == (moments.n, moments.sum_quality2)
        assert (again.targets == moments.targets).all()
        np.testing.assert_allclose(again.gram, moments.gram, rtol=1e-6, atol=1e-7)
        assert (again.gram == again.gram.T).all()
    # Rounded once is rounded for good: nothing drifts however often it is stored.
    assert encode_statistics(found) == encode_statistics(decode_statistics(encode_statistics(found)))


def test_the_other_records_come_back_the_same_to_the_bit() -> None:
    assert decode_decision(encode_decision(DECISION)) == DECISION
    declared = DeclaredRoute(name="small", cost=0.1 + 0.2, quality=None, speed=1.0)
    assert decode_declared(encode_declared(declared)) == declared
    budget = Budget(amount=10.0, period_s=3600.0, per_task=0.5)
    assert decode_budget(encode_budget(budget)) == budget
    for session in (Session(), Session(route="a", failed=("b", "c"), spent=0.25)):
        assert decode_session(encode_session(session)) == session
    published = decode_published(encode_published(PublishedRoutes(statistics=STATISTICS, cursors={"a": "1-2"})))
    assert published.cursors == {"a": "1-2"}
    assert published.statistics.routes.keys() == STATISTICS.routes.keys()


@pytest.mark.parametrize(
    ("decoder", "record"),
    [
        (decode_statistics, encode_statistics(STATISTICS)),
        (decode_published, encode_published(PublishedRoutes(statistics=STATISTICS))),
        (decode_decision, encode_decision(DECISION)),
        (decode_declared, encode_declared(DeclaredRoute(name="a"))),
        (decode_budget, encode_budget(Budget(amount=1.0, period_s=1.0))),
        (decode_session, encode_session(Session(route="a"))),
    ],
    ids=["statistics", "published", "decision", "declared", "budget", "session"],
)
def test_a_record_that_is_cut_or_of_another_kind_is_damaged(decoder: Callable[[bytes], object], record: bytes) -> None:
    for cut in (b"", record[:-1], record[: len(record) // 2], encode("note", {})):
        with pytest.raises(RecordError):
            decoder(cut)


@pytest.mark.parametrize(
    ("field", "value"),
    [("form", "waves-0"), ("routes", {"": {}}), ("routes", [1]), ("routes", {"a": {"n": -1.0}})],
)
def test_statistics_of_other_features_or_values_are_refused(field: str, value: object) -> None:
    payload = decode("routes", encode_statistics(STATISTICS)) | {field: value}
    with pytest.raises(DamagedRecordError):
        decode_statistics(encode("routes", payload))


def test_moments_that_are_not_finite_or_of_another_length_are_refused() -> None:
    payload = decode("routes", encode_statistics(STATISTICS))
    one = payload["routes"]["talker"]
    for name, value in (
        ("targets", np.full(3, np.nan).tobytes()),
        ("targets", np.full(len(one["targets"]) // 8, np.nan).tobytes()),
        ("gram", one["gram"][:-4]),
        ("n", float("inf")),
    ):
        damaged = payload | {"routes": {"talker": one | {name: value}}}
        with pytest.raises(DamagedRecordError):
            decode_statistics(encode("routes", damaged))


def test_values_out_of_bounds_are_not_encoded() -> None:
    for budget in (Budget(amount=-1.0, period_s=1.0), Budget(amount=1.0, period_s=0.0)):
        with pytest.raises(InputError):
            encode_budget(budget)
    for declared in (DeclaredRoute(name="", cost=1.0), DeclaredRoute(name="a", quality=2.0)):
        with pytest.raises(InputError):
            encode_declared(declared)


def test_of_a_long_text_a_decision_keeps_the_beginning() -> None:
    assert len(decode_decision(encode_decision(replace(DECISION, text="x" * 9_000))).text) == 500
