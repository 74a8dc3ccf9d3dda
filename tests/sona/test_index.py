from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, cluster, unit_vectors

from swarm.errors import BoundsError, InputError, ShapeError
from swarm.sona import Cluster, PatternIndex, Tally
from swarm.sona.index import _largest
from swarm.sona.vectors import Vector

TAU, PHI = 0.1, 0.8
AGENTS = ("ada", "bob", "cyd")


def random_clusters(seed: int, n: int, actions: int = 4) -> list[Cluster]:
    """Successes and failures of some actions, by up to three agents each."""
    rng = np.random.default_rng(seed)
    result = []
    for i, row in enumerate(unit_vectors(rng, n)):
        tallies = {}
        for agent in AGENTS:
            if rng.random() < 0.5:
                count = float(rng.integers(1, 9))
                tallies[agent] = Tally(n=count, sum_quality=count * float(rng.random()))
        tallies = tallies or {"ada": Tally(n=2.0, sum_quality=1.0)}
        total, quality = sum(t.n for t in tallies.values()), sum(t.sum_quality for t in tallies.values())
        base = cluster(f"c{i}", row, action=f"a{rng.integers(actions)}", positive=bool(rng.random() < 0.7), n=total)
        result.append(replace(base, sum_quality=quality, agents=tallies))
    return result


def index_of(clusters: Collection[Cluster], dim: int = DIM) -> PatternIndex:
    index = PatternIndex(dim, TAU, PHI)
    for c in clusters:
        index.put(c)
    return index


def slow_evidence(n: float, quality: float, positive: bool) -> float:
    mean = (quality + 0.5) / (n + 1.0)
    return math.pow(n, 0.7) * (mean if positive else 1.0 - mean)


def slow_rank(
    clusters: Collection[Cluster], y: Vector, agents: Collection[str] | None, min_quality: float
) -> dict[str, float]:
    """The vote of every action that has a success left, from a loop over the clusters."""
    votes: dict[str, float] = {}
    usable: set[str] = set()
    for c in clusters:
        tallies = [t for name, t in c.agents.items() if agents is None or name in agents]
        n, quality = sum(t.n for t in tallies), sum(t.sum_quality for t in tallies)
        if agents is None:
            n, quality = c.n, c.sum_quality
        if c.positive and c.sum_quality / c.n < min_quality:
            continue
        weight = slow_evidence(n, quality, c.positive)
        kernel = math.exp((float(y @ c.centroid) - 1.0) / TAU)
        votes[c.action] = votes.get(c.action, 0.0) + (weight if c.positive else -PHI * weight) * kernel
        if c.positive and weight > 0.0:
            usable.add(c.action)
    return {action: vote for action, vote in votes.items() if action in usable}


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(1, 8))
def test_search_equals_brute_force(seed: int, n: int, k: int) -> None:
    clusters = random_clusters(seed, n)
    y = unit_vectors(np.random.default_rng(seed + 1), 1)[0]
    scored = [
        (float(y @ c.centroid) + TAU * math.log(slow_evidence(c.n, c.sum_quality, True)), c)
        for c in clusters
        if c.positive
    ]
    scored.sort(key=lambda pair: -pair[0])
    hits = index_of(clusters).search(y, k)
    assert [hit.cluster.id for hit in hits] == [c.id for _, c in scored[:k]]
    for hit, (score, c) in zip(hits, scored, strict=False):
        assert hit.score == pytest.approx(score, abs=1e-5)
        assert hit.similarity == pytest.approx(float(y @ c.centroid), abs=1e-5)


@PROPERTY
@given(
    st.integers(0, 10_000),
    st.integers(0, 40),
    st.one_of(st.none(), st.sets(st.sampled_from([*AGENTS, "nobody"]))),
    st.sampled_from([0.0, 0.3, 0.6]),
)
def test_rank_equals_brute_force_with_every_filter(
    seed: int, n: int, agents: set[str] | None, min_quality: float
) -> None:
    clusters = random_clusters(seed, n)
    y = unit_vectors(np.random.default_rng(seed + 1), 1)[0]
    expected = slow_rank(clusters, y, agents, min_quality)
    hits = index_of(clusters).rank(y, 100, agents=agents, min_quality=min_quality)
    assert {hit.action for hit in hits} == set(expected)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    total = sum(max(0.0, vote) for vote in expected.values())
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.action], rel=1e-4, abs=1e-9)
        assert hit.share == pytest.approx(max(0.0, expected[hit.action]) / total if total else 0.0, rel=1e-4, abs=1e-9)
        # The pattern is the nearest usable success of the action.
        own = [
            c
            for c in clusters
            if c.action == hit.action and c.positive and c.mean_quality >= min_quality
            and (agents is None or agents & set(c.agents))
        ]  # fmt: skip
        assert hit.similarity == pytest.approx(max(float(y @ c.centroid) for c in own), abs=1e-6)
        assert hit.pattern in own
        against = [
            c.n for c in clusters if c.action == hit.action and not c.positive
            and float(y @ c.centroid) >= hit.similarity - TAU
        ]  # fmt: skip
        assert hit.failures == sum(against)
    assert [hit.action for hit in index_of(clusters).rank(y, 2, agents=agents, min_quality=min_quality)] == [
        hit.action for hit in hits[:2]
    ]


@PROPERTY
@given(st.integers(0, 10_000), st.lists(st.tuples(st.booleans(), st.integers(0, 25)), max_size=80))
def test_an_index_that_was_changed_step_by_step_equals_one_built_at_once(
    seed: int, steps: list[tuple[bool, int]]
) -> None:
    pool = random_clusters(seed, 26, actions=26)
    index = PatternIndex(DIM, TAU, PHI)
    held: dict[str, Cluster] = {}
    for position, (add, which) in enumerate(steps):
        c = pool[which]
        if add:
            changed = replace(c, action=f"{c.action}-{position % 3}", n=c.n + position)
            index.put(changed)
            held[c.id] = changed
        else:
            index.remove(c.id)
            held.pop(c.id, None)
    assert {c.id: c for c in index.clusters()} == held
    assert len(index) == len(held)
    assert all(index.get(name) is c and name in index for name, c in held.items())
    y = unit_vectors(np.random.default_rng(seed), 1)[0]
    fresh = index_of(held.values())
    assert {h.action: h.score for h in index.rank(y, 99)} == pytest.approx(
        {h.action: h.score for h in fresh.rank(y, 99)}
    )
    assert {h.cluster.id for h in index.search(y, 99)} == {h.cluster.id for h in fresh.search(y, 99)}


def test_names_of_actions_that_are_gone_do_not_add_up() -> None:
    index = PatternIndex(DIM, TAU, PHI)
    rows = unit_vectors(np.random.default_rng(0), 4)
    for i in range(1000):
        index.put(cluster(f"c{i % 4}", rows[i % 4], action=f"action {i}"))
    assert len(index._names) < 200
    assert {hit.action for hit in index.rank(rows[0], 9)} == {f"action {i}" for i in range(996, 1000)}
    assert index.rank(rows[3], 1)[0].action == "action 999"


def test_more_clusters_than_the_first_arrays_hold_are_all_found() -> None:
    clusters = random_clusters(1, 300, actions=300)
    index = index_of(clusters)
    for c in clusters:
        if c.positive:
            assert c.id in {hit.cluster.id for hit in index.search(c.centroid, 3)}


@pytest.mark.parametrize("n", [20, 3000])
def test_equal_scores_come_in_the_order_in_which_they_were_put(n: int) -> None:
    x = unit_vectors(np.random.default_rng(2), 1)[0]
    index = index_of([cluster(f"c{i}", x, action=f"a{i}") for i in range(n)])
    assert [hit.cluster.id for hit in index.search(x, 7)] == [f"c{i}" for i in range(7)]
    assert [hit.action for hit in index.rank(x, 7)] == [f"a{i}" for i in range(7)]
    assert [hit.cluster.id for hit in index.nearest(x, 7)] == [f"c{i}" for i in range(7)]


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 600), st.integers(1, 40))
def test_largest_equals_a_stable_sort(seed: int, n: int, k: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 12, n).astype(np.float32)
    scores[scores == 0] = -np.inf
    assert _largest(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


def test_nearest_looks_at_successes_and_failures() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    index = index_of([cluster("good", x[0]), cluster("bad", x[1], positive=False, quality=0.0)])
    assert [hit.cluster.id for hit in index.nearest(x[1], 1)] == ["bad"]
    assert [hit.cluster.id for hit in index.search(x[1], 9)] == ["good"]


def test_a_failure_nearby_turns_the_vote_and_one_far_away_does_not() -> None:
    x = np.eye(3, DIM, dtype=np.float32)
    known = [cluster("a", x[0], action="a", n=3), cluster("b", 0.9 * x[0] + 0.4359 * x[1], action="b", n=3)]
    assert index_of(known).rank(x[0], 1)[0].action == "a"
    failed_here = cluster("fa", x[0], action="a", positive=False, quality=0.0, n=5)
    assert index_of([*known, failed_here]).rank(x[0], 1)[0].action == "b"
    failed_there = replace(failed_here, sum_embedding=5.0 * x[2].astype(np.float64))
    assert index_of([*known, failed_there]).rank(x[0], 1)[0].action == "a"


def test_actions_that_only_failed_are_not_proposed() -> None:
    x = np.eye(1, DIM, dtype=np.float32)
    assert index_of([cluster("f", x[0], positive=False, quality=0.0)]).rank(x[0], 5) == []
    assert index_of([]).rank(x[0], 5) == []
    assert index_of([]).search(x[0], 5) == []


def test_a_cluster_that_decayed_to_nothing_competes_with_nobody() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    faded = replace(cluster("faded", x[0], action="a"), n=0.0, sum_quality=0.0, sum_quality2=0.0)
    index = index_of([faded, cluster("b", x[1], action="b")])
    assert [hit.action for hit in index.rank(x[0], 5)] == ["b"]
    near = index.contest(x[0], "a", 5)
    assert near is not None
    for candidates in (near, index.candidates()):
        assert np.isfinite(candidates.log_evidence).all()
        assert candidates.log_evidence[0] < candidates.log_evidence[1] - 10
    assert index.search(x[1], 1)[0].cluster.id == "b"


def test_rank_of_a_batch_equals_one_by_one() -> None:
    index = index_of(random_clusters(3, 30))
    rows = unit_vectors(np.random.default_rng(4), 10)
    for agents in (None, ["ada"], ["nobody"]):
        expected = [hits[0].action if (hits := index.rank(row, 1, agents=agents)) else "" for row in rows]
        assert index.rank_batch(rows, agents=agents) == expected


def test_contest_holds_the_nearest_successes_and_all_those_of_the_action() -> None:
    clusters = random_clusters(5, 40)
    index = index_of(clusters)
    y = unit_vectors(np.random.default_rng(6), 1)[0]
    near = index.contest(y, "a1", 5)
    assert near is not None
    successes = sorted((c for c in clusters if c.positive), key=lambda c: -float(y @ c.centroid))
    expected = {c.id for c in successes[:5]} | {c.id for c in successes if c.action == "a1"}
    assert len(near.actions) == len(expected)
    rows = {c.centroid.tobytes() for c in clusters if c.id in expected}
    assert {row.tobytes() for row in near.centroids} == rows
    assert index.contest(y, "never tried", 5) is None


def test_candidates_are_copies_that_stay_when_the_index_changes() -> None:
    clusters = random_clusters(7, 20)
    index = index_of(clusters)
    before = index.candidates()
    copy = before.centroids.tobytes(), dict(before.codes)
    index.replace_all(random_clusters(8, 20))
    assert (before.centroids.tobytes(), before.codes) == copy


def test_a_cluster_of_another_dimension_is_refused_and_nothing_changes() -> None:
    index = index_of(random_clusters(9, 3))
    before = index.clusters()
    with pytest.raises(ShapeError, match=r"must have shape \(16,\), got \(4,\)"):
        index.put(cluster("odd", np.ones(4)))
    assert index.clusters() == before
    index.remove("never put")
    assert index.clusters() == before


def test_one_name_as_text_for_agents_is_refused_because_it_would_mean_its_letters() -> None:
    index = index_of(random_clusters(10, 3))
    with pytest.raises(InputError, match="agents must be a collection of names, got the text 'ada'"):
        index.rank(np.full(DIM, 0.25, dtype=np.float32), 3, agents="ada")
    with pytest.raises(InputError, match="agents must be a collection of names"):
        index.rank_batch(np.full((1, DIM), 0.25, dtype=np.float32), agents="ada")


@pytest.mark.parametrize("min_quality", [-0.1, 1.1, math.nan, "x", None])
@pytest.mark.parametrize("n", [0, 3])
def test_a_quality_out_of_bounds_is_refused(min_quality: float, n: int) -> None:
    index = index_of(random_clusters(11, n))
    with pytest.raises(BoundsError, match=r"min_quality must be .*0\.\.1, got"):
        index.rank(np.full(DIM, 0.25, dtype=np.float32), 3, min_quality=min_quality)
