from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, cluster, near, trajectory, unit_vectors

from swarm.sona import Cluster, SonaConfig
from swarm.sona.clusters import family_of
from swarm.sona.grouping import Grouping, regroup
from swarm.sona.vectors import Vector

CONFIG = SonaConfig(dim=DIM, pattern_clusters=10)


def outcomes(seed: int, n: int, actions: int, spread: float = 0.4, start: int = 0) -> list[Cluster]:
    """Clusters of one outcome each, near five centres, of some actions and of none; some failed."""
    rng = np.random.default_rng([seed, start])
    centres = unit_vectors(np.random.default_rng(seed), 5)
    result = []
    for i in range(start, start + n):
        action = "" if rng.random() < 0.3 else str(rng.integers(actions))
        t = trajectory(f"t{i}", near(rng, centres[rng.integers(5)], spread), float(rng.random() < 0.6), action=action)
        result.append(replace(t, at_s=float(i)).as_cluster(0.3))
    return result


def group(known: tuple[Cluster, ...], new: list[Cluster], config: SonaConfig = CONFIG) -> Grouping:
    return regroup(known, new, config, np.random.default_rng(0))


def slow_join(known: list[Cluster], new: list[Cluster], threshold: float) -> list[tuple[frozenset[str], float]]:
    """Members by exemplar id and number of outcomes of each group, from a loop without arrays."""
    centres: list[Vector] = [c.centroid for c in known]
    members = [{e.trajectory_id for e in c.exemplars} for c in known]
    counts = [c.n for c in known]
    for c in new:
        similarities = [float(centre @ c.centroid) for centre in centres]
        best = max(range(len(centres)), key=lambda i: similarities[i], default=-1)
        if best >= 0 and similarities[best] >= threshold:
            members[best] |= {e.trajectory_id for e in c.exemplars}
            counts[best] += c.n
        else:
            centres.append(c.centroid)
            members.append({e.trajectory_id for e in c.exemplars})
            counts.append(c.n)
    return sorted(((frozenset(m), n) for m, n in zip(members, counts, strict=True)), key=lambda g: (sorted(g[0]), g[1]))


@PROPERTY
@given(st.integers(0, 1000), st.integers(1, 14))
def test_joining_equals_a_slow_reference(seed: int, n: int) -> None:
    config = SonaConfig(dim=DIM, pattern_clusters=1000, join_similarity=0.8)
    known = group((), outcomes(seed, n, 2), config).clusters
    new = outcomes(seed, n, 2, start=100)
    found = group(known, new, config).clusters
    families: dict[tuple[str, bool], tuple[list[Cluster], list[Cluster]]] = defaultdict(lambda: ([], []))
    for c in known:
        families[family_of(c)][0].append(c)
    for c in new:
        families[family_of(c)][1].append(c)
    for family, (old, fresh) in families.items():
        expected = slow_join(old, fresh, 0.8)
        mine = [c for c in found if family_of(c) == family]
        assert sorted(n for _, n in expected) == sorted(c.n for c in mine)
        # Exemplars are bounded to eight; smaller groups can be compared member by member.
        small = {(m, n) for m, n in expected if len(m) < 8}
        assert small == {(frozenset(e.trajectory_id for e in c.exemplars), c.n) for c in mine if len(c.exemplars) < 8}


@PROPERTY
@given(st.integers(0, 1000), st.integers(0, 60), st.integers(1, 30))
def test_every_outcome_is_counted_and_the_bound_holds_for_both_signs(seed: int, n: int, actions: int) -> None:
    new = outcomes(seed, n, actions)
    grouping = group((), new)
    for positive in (True, False):
        clusters = [c for c in grouping.clusters if c.positive == positive]
        assert len(clusters) <= CONFIG.pattern_clusters
        given_n = sum(c.n for c in new if c.positive == positive)
        if not grouping.pruned:
            assert sum(c.n for c in clusters) == given_n
    assert len({c.id for c in grouping.clusters}) == len(grouping.clusters)


@PROPERTY
@given(st.integers(0, 1000), st.integers(0, 60), st.integers(1, 30))
def test_regrouping_without_new_outcomes_changes_nothing(seed: int, n: int, actions: int) -> None:
    first = group((), outcomes(seed, n, actions))
    again = group(first.clusters, [])
    assert again.pruned == 0
    assert len(again.clusters) == len(first.clusters)
    assert {id(c) for c in again.clusters} == {id(c) for c in first.clusters}


def test_only_outcomes_of_one_action_and_sign_share_a_cluster() -> None:
    x = unit_vectors(np.random.default_rng(0), 1)[0]
    new = [trajectory(f"t{i}", x, q, action=a).as_cluster(0.3) for i, (a, q) in enumerate(
        [("a", 1.0), ("a", 1.0), ("a", 0.0), ("b", 1.0), ("", 1.0), ("", 1.0)])]  # fmt: skip
    found = Counter((c.action[:1], c.positive, c.n) for c in group((), new).clusters)
    assert found == {("a", True, 2.0): 1, ("a", False, 1.0): 1, ("b", True, 1.0): 1, ("~", True, 2.0): 1}


@pytest.mark.parametrize("seed", range(4))
def test_five_true_clusters_stay_five_over_many_cycles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = unit_vectors(rng, 5)
    known: tuple[Cluster, ...] = ()
    for cycle in range(6):
        new = [
            replace(trajectory(f"{cycle}-{i}", near(rng, centres[i % 5], 0.15)), at_s=float(cycle)).as_cluster(0.3)
            for i in range(50)
        ]
        known = group(known, new).clusters
        assert len(known) == 5
        assert sum(c.n for c in known) == 50.0 * (cycle + 1)


def test_ids_of_known_clusters_stay_when_newer_outcomes_join() -> None:
    config = SonaConfig(dim=DIM, pattern_clusters=1000)
    known = group((), outcomes(3, 30, 2, spread=0.2), config).clusters
    later = group(known, outcomes(3, 200, 2, spread=0.2, start=500), config).clusters
    assert {c.id for c in known} <= {c.id for c in later}


def test_the_bound_holds_when_one_action_has_most_outcomes_and_many_have_one() -> None:
    rng = np.random.default_rng(4)
    many = [cluster(f"m{i}", row, action="big", n=50) for i, row in enumerate(unit_vectors(rng, 60))]
    single = [cluster(f"s{i}", row, action=f"small{i}") for i, row in enumerate(unit_vectors(rng, 9))]
    grouping = group((), [*many, *single])
    assert len(grouping.clusters) == CONFIG.pattern_clusters
    assert grouping.pruned == 0
    assert sum(c.n for c in grouping.clusters) == 60 * 50 + 9
    assert sum(c.action == "big" for c in grouping.clusters) == 1


def test_an_action_with_more_outcomes_keeps_more_clusters() -> None:
    rng = np.random.default_rng(5)
    big = [cluster(f"b{i}", row, action="big", n=16) for i, row in enumerate(unit_vectors(rng, 30))]
    small = [cluster(f"s{i}", row, action="small", n=1) for i, row in enumerate(unit_vectors(rng, 30))]
    kept = Counter(c.action for c in group((), [*big, *small]).clusters)
    assert kept["big"] > 2 * kept["small"] > 0
    assert sum(kept.values()) <= CONFIG.pattern_clusters


def test_actions_beyond_the_bound_go_small_ones_first_then_the_longest_unseen() -> None:
    rng = np.random.default_rng(6)
    rows = unit_vectors(rng, 14)
    proven = [cluster(f"p{i}", rows[i], action=f"proven{i}", n=5, first_s=float(i)) for i in range(11)]
    fresh = [cluster(f"f{i}", rows[11 + i], action=f"fresh{i}", n=4, first_s=100.0) for i in range(3)]
    grouping = group((), [*proven, *fresh])
    assert {c.action for c in grouping.clusters} == {f"proven{i}" for i in range(1, 11)}
    assert grouping.pruned == 4


def test_failures_do_not_take_the_room_of_successes() -> None:
    rng = np.random.default_rng(7)
    failures = [cluster(f"f{i}", x, action=f"a{i}", positive=False, n=9) for i, x in enumerate(unit_vectors(rng, 30))]
    successes = [cluster(f"s{i}", x, action=f"a{i}") for i, x in enumerate(unit_vectors(rng, 5))]
    kept = group((), [*failures, *successes]).clusters
    assert sum(c.positive for c in kept) == 5
    assert sum(not c.positive for c in kept) == CONFIG.pattern_clusters


def test_a_trajectory_that_came_twice_founds_one_cluster_and_loses_no_evidence() -> None:
    # Same id and action, queries far apart: both would found a cluster of the same id.
    rows = np.eye(2, DIM, dtype=np.float32)
    new = [trajectory("same", row, action="a").as_cluster(0.3) for row in rows]
    kept = group((), new).clusters
    assert len(kept) == 1
    assert kept[0].n == 2.0


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_and_one_outcome_are_fine(n: int) -> None:
    assert len(group((), outcomes(8, n, 1)).clusters) == n
