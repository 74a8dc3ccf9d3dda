from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, cluster, trajectory, unit_vectors

from swarm.errors import InputError
from swarm.sona import Cluster, Exemplar, RouteTally, Tally, action_of, merge_clusters
from swarm.sona.clusters import MAX_EXEMPLARS, best_exemplars, check_cluster, cluster_id, family_of

NAMES = st.sampled_from(["ada", "bob", "cyd"])


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """A cluster of whole numbers of outcomes, with everything filled in."""
    seed = draw(st.integers(0, 10_000))
    n = draw(st.integers(1, 20))
    quality = draw(st.integers(0, n))
    agent, route = draw(NAMES), draw(NAMES)
    at_s = float(draw(st.integers(0, 5)))
    exemplars = tuple(
        Exemplar(text=f"t{i}", quality=draw(st.sampled_from([0.0, 0.5, 1.0])), agent=agent, trajectory_id=f"{seed}-{i}",
                 at_s=at_s)
        for i in range(draw(st.integers(0, 10)))
    )  # fmt: skip
    base = cluster(f"id{seed}", np.random.default_rng(seed).standard_normal(4), n=n, quality=quality / n, first_s=at_s)
    return replace(
        base,
        agents={agent: Tally(n=n, sum_quality=quality)},
        routes={route: RouteTally(n=n, sum_quality=quality, sum_quality2=quality, sum_latency_ms=n, sum_cost=n / 4)},
        task_types={draw(st.sampled_from(["General", "CodeGen"])): float(n)},
        exemplars=best_exemplars(exemplars),
    )


def assert_same_sums(one: Cluster, other: Cluster) -> None:
    assert (one.id, one.action, one.first_s, one.last_s) == (other.id, other.action, other.first_s, other.last_s)
    assert (one.n, one.sum_quality) == pytest.approx((other.n, other.sum_quality))
    assert one.sum_quality2 == pytest.approx(other.sum_quality2)
    np.testing.assert_allclose(one.sum_embedding, other.sum_embedding, rtol=1e-9, atol=1e-9)
    assert one.agents == other.agents
    assert one.routes == other.routes
    assert one.task_types == other.task_types
    assert one.exemplars == other.exemplars


@PROPERTY
@given(st.lists(clusters(), min_size=1, max_size=4))
def test_merging_is_the_same_in_any_order(group: list[Cluster]) -> None:
    merged = merge_clusters(group)
    for order in permutations(group):
        other = merge_clusters(order)
        assert_same_sums(merged, other)
        if len({(c.first_s, c.id) for c in group}) == len(group):
            # Members that cannot be told apart are summed as they come; all others give the same bits.
            assert other.sum_embedding.tobytes() == merged.sum_embedding.tobytes()
            assert other.response == merged.response


@PROPERTY
@given(clusters(), clusters(), clusters())
def test_merging_is_associative_up_to_rounding(a: Cluster, b: Cluster, c: Cluster) -> None:
    at_once = merge_clusters([a, b, c])
    assert_same_sums(at_once, merge_clusters([merge_clusters([a, b]), c]))
    assert_same_sums(at_once, merge_clusters([a, merge_clusters([b, c])]))


@PROPERTY
@given(st.lists(clusters(), min_size=1, max_size=5))
def test_merged_sums_equal_a_slow_reference(group: list[Cluster]) -> None:
    merged = merge_clusters(group)
    assert merged.n == sum(c.n for c in group)
    assert sum(tally.n for tally in merged.agents.values()) == merged.n
    assert sum(route.n for route in merged.routes.values()) == merged.n
    assert sum(merged.task_types.values()) == merged.n
    for name in {name for c in group for name in c.agents}:
        parts = [c.agents[name] for c in group if name in c.agents]
        assert merged.agents[name] == Tally(n=sum(t.n for t in parts), sum_quality=sum(t.sum_quality for t in parts))
    np.testing.assert_allclose(merged.sum_embedding, sum(c.sum_embedding for c in group), rtol=1e-9, atol=1e-9)
    every = {(e.agent, e.trajectory_id): e for c in group for e in c.exemplars}
    assert len(merged.exemplars) == min(MAX_EXEMPLARS, len(every))


def test_merging_does_not_touch_its_members() -> None:
    group = [cluster("a", np.ones(4)), cluster("b", -np.ones(4))]
    before = [c.sum_embedding.tobytes() for c in group]
    merge_clusters(group)
    assert [c.sum_embedding.tobytes() for c in group] == before


def test_id_and_action_stay_when_newer_outcomes_join() -> None:
    old = cluster("zzz", np.ones(4), action="~zzz", first_s=1.0)
    newer = [cluster(f"a{i}", np.ones(4), action=f"~a{i}", first_s=2.0 + i) for i in range(5)]
    merged = old
    for other in newer:
        merged = merge_clusters([other, merged])
        assert (merged.id, merged.action) == ("zzz", "~zzz")
    assert merge_clusters([*newer, old]).id == "zzz"


def test_response_and_label_come_from_the_member_with_most_evidence() -> None:
    few = replace(cluster("a", np.ones(4), n=2), response="few", label="l2")
    many = replace(cluster("b", np.ones(4), n=9), response="many", label="l9")
    merged = merge_clusters([few, many])
    assert (merged.response, merged.label) == ("many", "l9")


def exemplar(name: str, quality: float, agent: str = "self") -> Exemplar:
    return Exemplar(text="", quality=quality, agent=agent, trajectory_id=name, at_s=0.0)


def test_exemplars_are_the_best_of_each_trajectory_once() -> None:
    many = [exemplar(str(i), i / 20) for i in range(20)]
    kept = best_exemplars([*many, *many])
    assert [e.trajectory_id for e in kept] == ["19", "18", "17", "16", "15", "14", "13", "12"]
    assert best_exemplars([exemplar("x", 0.1), exemplar("x", 0.9)]) == (exemplar("x", 0.9),)


def test_exemplars_of_two_agents_with_the_same_trajectory_id_are_both_kept() -> None:
    both = [exemplar("1", 1.0, "ada"), exemplar("1", 1.0, "bob")]
    assert set(best_exemplars(both)) == set(both)
    assert best_exemplars(both) == best_exemplars(both[::-1])


def test_expected_quality_and_its_error_worked_by_hand() -> None:
    # Four outcomes of quality 1, 1, 1, 0 with one of the prior at 0.5 (second moment 0.5):
    # mean 3.5 / 5, second moment 3.5 / 5, variance .7 - .49 = .21, error sqrt(.21 / 5).
    c = replace(cluster("a", np.ones(4), n=4), sum_quality=3.0, sum_quality2=3.0)
    assert c.mean_quality == 0.75
    assert c.expected_quality == pytest.approx(0.7)
    assert c.quality_error == pytest.approx((0.21 / 5) ** 0.5)
    empty = replace(c, n=0.0, sum_quality=0.0, sum_quality2=0.0)
    assert (empty.mean_quality, empty.expected_quality, empty.quality_error) == (0.0, 0.5, 0.5)


def test_task_type_is_the_most_frequent_and_among_equals_the_first_by_name() -> None:
    c = cluster("a", np.ones(4))
    assert c.task_type == "General"
    assert replace(c, task_types={"Reasoning": 2.0, "CodeGen": 2.0, "Factual": 1.0}).task_type == "CodeGen"


def test_family_is_the_action_and_sign_or_all_successes_that_name_no_result() -> None:
    assert family_of(cluster("a", [1, 0], action="x")) == ("x", True)
    assert family_of(cluster("a", [1, 0], action="x", positive=False)) == ("x", False)
    assert family_of(cluster("a", [1, 0], action="~1")) == family_of(cluster("b", [1, 0], action="~2"))
    # A failure of the pattern "~1" speaks against it; a failure that names nothing is one among its like.
    assert family_of(cluster("a", [1, 0], action="~1", positive=False)) == ("~1", False)
    assert family_of(cluster("a", [1, 0], action="~a", positive=False)) == ("~", False)


def test_one_outcome_as_a_cluster_has_every_sum_over_one() -> None:
    x = 3 * unit_vectors(np.random.default_rng(0), 1)[0]
    t = trajectory(
        "t1", x, 0.6, action="a", response="do a", route="m", latency_ms=7.0, cost=0.2, agent="ada", at_s=5.0
    )
    c = t.as_cluster(0.3)
    assert (c.positive, c.n, c.sum_quality) == (True, 1.0, 0.6)
    assert c.sum_quality2 == pytest.approx(0.36)
    assert not t.as_cluster(0.7).positive
    assert c.agents == {"ada": Tally(n=1.0, sum_quality=0.6)}
    expected = RouteTally(n=1.0, sum_quality=0.6, sum_quality2=0.6**2, sum_latency_ms=7.0, sum_cost=0.2)
    assert c.routes == {"m": expected}
    assert (c.first_s, c.last_s, c.response) == (5.0, 5.0, "do a")
    # A query counts once, however long its vector is.
    assert np.linalg.norm(c.sum_embedding) == pytest.approx(1.0)
    np.testing.assert_allclose(c.centroid, x / 3, atol=1e-6)


def test_an_outcome_that_names_no_result_is_an_action_of_its_own() -> None:
    x = np.ones(DIM, dtype=np.float32)
    one, other = trajectory("1", x).as_cluster(0.3), trajectory("2", x).as_cluster(0.3)
    assert one.action == f"~{one.id}"
    assert one.action != other.action


def test_ids_of_clusters_differ_by_action_sign_and_trajectory_and_take_any_text() -> None:
    ids = {cluster_id(a, s, t) for a in ("a", "b", "\ud800") for s in (True, False) for t in ("1", "2")}
    assert len(ids) == 12
    assert cluster_id("a", True, "1") == cluster_id("a", True, "1")


@given(st.text(), st.text())
@PROPERTY
def test_texts_that_differ_in_white_space_only_are_one_action(one: str, other: str) -> None:
    assert (action_of(one) == action_of(other)) == (one.split() == other.split())
    assert action_of(f"  {one}\n") == action_of(one)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n", float("nan"), "n must be in .*, got nan"),
        ("n", -1.0, "n must be in .*, got -1"),
        ("n", "3", "n must be a number"),
        ("sum_quality", float("inf"), "sum_quality must be in"),
        ("positive", 1, "positive must be True or False, got 1"),
        ("action", 5, "action must be text"),
        ("response", None, "response must be text"),
        ("label", b"x", "label must be text"),
        ("sum_embedding", np.full(4, np.nan), "sum_embedding must be finite"),
        ("first_s", float("nan"), "first_s must be in"),
        ("agents", {"ada": Tally(n=float("nan"), sum_quality=0.0)}, "n of 'ada' must be in"),
        ("routes", {"m": RouteTally(n=1.0, sum_quality=-1.0)}, "sum_quality of 'm' must be in"),
        ("task_types", {"General": "many"}, "task_types of 'General' must be a number"),
        ("exemplars", (exemplar("x", 7.5),), r"quality of exemplars must be in 0\.\.1, got 7.5"),
        ("exemplars", (replace(exemplar("x", 1.0), text=5),), "exemplars must be text"),  # type: ignore[arg-type]
    ],
)
def test_a_cluster_from_elsewhere_with_an_impossible_value_is_refused(field: str, value: object, message: str) -> None:
    good = cluster("a", np.ones(4))
    assert check_cluster(good) is good
    with pytest.raises(InputError, match=message):
        check_cluster(replace(good, **{field: value}))  # type: ignore[arg-type]
