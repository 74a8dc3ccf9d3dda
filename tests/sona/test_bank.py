from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, cluster, near, unit_vectors

from swarm.errors import BoundsError
from swarm.sona import Cluster, ReasoningBank, RouteTally, SonaConfig, Tally
from swarm.sona.bank import merge_near


def bank_of(*clusters: Cluster) -> ReasoningBank:
    bank = ReasoningBank(SonaConfig(dim=DIM))
    bank.replace({"self": clusters})
    return bank


@PROPERTY
@given(st.integers(0, 1000), st.integers(1, 25), st.sampled_from([0.5, 0.8, 0.95]))
def test_merging_leaves_no_two_of_a_family_that_a_larger_one_could_have_taken(
    seed: int, n: int, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    centres = unit_vectors(rng, 3)
    family = [
        cluster(f"c{i}", near(rng, centres[rng.integers(3)], 0.5), n=float(rng.integers(1, 9)), first_s=float(i))
        for i in range(n)
    ]
    merged = merge_near(family, threshold)
    assert sum(c.n for c in merged) == sum(c.n for c in family)
    # Slow reference: in the order of evidence, each takes all that are left and near enough to ITS centroid.
    left = sorted(family, key=lambda c: (-c.n, c.id))
    expected = []
    while left:
        leader = left[0]
        taken = [c for c in left if c is leader or float(c.centroid @ leader.centroid) >= threshold]
        left = [c for c in left if all(c is not t for t in taken)]
        expected.append(sorted(c.id for c in taken))
    sizes = sorted(len(ids) for ids in expected)
    assert len(merged) == len(expected)
    assert sorted(sum(c.n for c in family if c.id in ids) for ids in expected) == sorted(c.n for c in merged)
    assert sum(sizes) == n
    assert merge_near(family[::-1], threshold)[0].n == merged[0].n


def test_near_duplicates_of_one_action_and_sign_merge_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    x = unit_vectors(rng, 1)[0]
    close = [near(rng, x, 0.1) for _ in range(6)]
    bank = bank_of(
        cluster("1", close[0], action="a"),
        cluster("2", close[1], action="a"),
        cluster("3", close[2], action="b"),
        cluster("4", close[3], action="a", positive=False),
        cluster("5", close[4], action="~5"),
        cluster("6", close[5], action="~6"),
    )
    assert bank.merge_similar(0.9) == 2
    assert sorted(c.n for c in bank.clusters()) == [1.0, 1.0, 2.0, 2.0]
    assert bank.merge_similar(0.9) == 0


def test_access_counts_follow_what_was_found_and_stay_with_patterns_that_stay() -> None:
    x = np.eye(3, DIM, dtype=np.float32)
    bank = bank_of(cluster("a", x[0]), cluster("b", x[1]))
    bank.find(x[0], 1)
    bank.find(x[0], 2)
    assert (bank.access_count("a"), bank.access_count("b"), bank.access_count("c")) == (2, 1, 0)
    bank.replace({"self": [cluster("a", x[2])]})
    assert (bank.access_count("a"), bank.access_count("b")) == (2, 0)


def test_decay_scales_every_sum_and_leaves_means_and_centroids() -> None:
    x = unit_vectors(np.random.default_rng(1), 1)[0]
    full = replace(
        cluster("a", x, n=8, quality=0.5, agents={"ada": Tally(n=8, sum_quality=4)}),
        routes={"m": RouteTally(n=8, sum_quality=4, sum_quality2=2, sum_latency_ms=80, sum_cost=1)},
        task_types={"General": 8.0},
    )
    bank = bank_of(full)
    bank.decay(0.25)
    (faded,) = bank.clusters()
    assert (faded.n, faded.sum_quality, faded.agents["ada"].n, faded.task_types["General"]) == (2.0, 1.0, 2.0, 2.0)
    expected = RouteTally(n=2.0, sum_quality=1.0, sum_quality2=0.5, sum_latency_ms=20.0, sum_cost=0.25)
    assert faded.routes["m"] == expected
    assert faded.mean_quality == full.mean_quality
    np.testing.assert_allclose(faded.centroid, full.centroid, atol=1e-7)
    assert faded.quality_error > full.quality_error


def test_pruning_drops_little_evidence_and_poor_successes() -> None:
    x = unit_vectors(np.random.default_rng(2), 4)
    bank = bank_of(
        cluster("few", x[0], n=1),
        cluster("poor", x[1], n=9, quality=0.35),
        cluster("good", x[2], n=9, quality=0.9),
        cluster("failed", x[3], n=9, quality=0.0, positive=False),
    )
    assert bank.prune(min_outcomes=2, min_quality=0.5) == 2
    assert {c.id for c in bank.clusters()} == {"good", "failed"}
    assert bank.prune() == 0


@pytest.mark.parametrize("value", [-0.1, 1.5, math.nan, "x", None, True])
def test_parameters_out_of_bounds_are_refused_and_nothing_changes(value: float) -> None:
    bank = bank_of(*(cluster(f"c{i}", row) for i, row in enumerate(unit_vectors(np.random.default_rng(3), 3))))
    before = bank.clusters()
    with pytest.raises(BoundsError, match="threshold must be"):
        bank.merge_similar(value)
    with pytest.raises(BoundsError, match="keep must be"):
        bank.decay(value)
    with pytest.raises(BoundsError, match="min_quality must be"):
        bank.prune(0.0, value)
    assert bank.clusters() == before


def test_parts_of_several_agents_are_searched_together_and_each_stays_its_own() -> None:
    x = np.eye(3, DIM, dtype=np.float32)
    bank = ReasoningBank(SonaConfig(dim=DIM))
    ada = cluster("a", x[0], action="a", n=2, agents={"ada": Tally(n=2, sum_quality=2)})
    bob = cluster("b", x[1], action="b", n=3, agents={"bob": Tally(n=3, sum_quality=3)})
    bank.replace({"ada": [ada], "bob": [bob]})
    assert [hit.action for hit in bank.rank(x[0], 5)] == ["a", "b"]
    assert (bank.part("ada"), bank.part("bob"), bank.part("cyd")) == ((ada,), (bob,), ())
    bank.decay(0.5)
    assert [(name, part[0].n) for name, part in bank.parts.items()] == [("ada", 1.0), ("bob", 1.5)]


def test_one_pattern_that_several_agents_hold_is_one_with_their_sums() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    bank = ReasoningBank(SonaConfig(dim=DIM))
    bank.replace(
        {
            "ada": [cluster("same", x[0], n=2, agents={"ada": Tally(n=2, sum_quality=2)})],
            "bob": [cluster("same", x[1], n=1, quality=0.5, agents={"bob": Tally(n=1, sum_quality=0.5)})],
        }
    )
    (merged,) = bank.clusters()
    assert (merged.n, merged.sum_quality, set(merged.agents)) == (3.0, 2.5, {"ada", "bob"})
    np.testing.assert_allclose(merged.sum_embedding, 2.0 * x[0] + x[1])


def test_the_part_of_a_silent_agent_is_kept_and_not_searched() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    parts = {"ada": [cluster("a", x[0], action="a")], "bob": [cluster("b", x[1], action="b")]}
    bank = ReasoningBank(SonaConfig(dim=DIM))
    bank.replace(parts, silent=["bob"])
    assert {c.id for c in bank.clusters()} == {"a"}
    assert [hit.action for hit in bank.rank(x[1], 5)] == ["a"]
    assert [hit.cluster.id for hit in bank.find(x[1], 5)] == ["a"]
    assert [c.id for c in bank.part("bob")] == ["b"]
    # What changes every part keeps it silent, and it can be heard again.
    bank.decay(0.5)
    assert bank.silent == {"bob"}
    assert [c.n for c in bank.part("bob")] == [0.5]
    bank.replace(bank.parts)
    assert {c.id for c in bank.clusters()} == {"a", "b"}


def test_parts_given_in_another_order_are_the_same_bank() -> None:
    rng = np.random.default_rng(4)
    parts = {
        agent: [cluster(f"c{k}", x, action=f"a{k}", n=k + 1.0) for k, x in enumerate(unit_vectors(rng, 5))]
        for agent in ("ada", "bob", "cyd")
    }
    one, other = ReasoningBank(SonaConfig(dim=DIM)), ReasoningBank(SonaConfig(dim=DIM))
    one.replace(parts)
    other.replace(dict(reversed(parts.items())))
    for query in unit_vectors(rng, 10):
        assert [(h.action, h.score) for h in one.rank(query, 9)] == [(h.action, h.score) for h in other.rank(query, 9)]
