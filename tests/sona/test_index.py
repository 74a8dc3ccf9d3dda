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
from swarm.sona import Cluster, PatternIndex, SonaConfig, Tally
from swarm.sona.index import _largest
from swarm.sona.vectors import Doubles, Vector

TAU, PHI = 0.1, 0.8
CONFIG = SonaConfig(dim=DIM, temperature=TAU, failure_weight=PHI)
AGENTS = ("ada", "bob", "library")


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
        confirmed = bool(rng.random() < 0.8)
        total, quality = sum(t.n for t in tallies.values()), sum(t.sum_quality for t in tallies.values())
        base = cluster(f"c{i}", row, action=f"a{rng.integers(actions)}", positive=bool(rng.random() < 0.7), n=total)
        result.append(replace(base, sum_quality=quality, agents=tallies, confirmed=confirmed))
    return result


def index_of(clusters: Collection[Cluster], config: SonaConfig = CONFIG) -> PatternIndex:
    index = PatternIndex(config)
    for c in clusters:
        index.put(c)
    return index


def slow_evidence(n: float, quality: float, positive: bool) -> float:
    mean = (quality + 0.5) / (n + 1.0)
    return math.pow(n, 0.7) * (mean if positive else 1.0 - mean)


def slow_rank(
    clusters: Collection[Cluster],
    x: Vector,
    agents: Collection[str] | None = None,
    min_quality: float = 0.0,
    y: Vector | None = None,
) -> dict[str, float]:
    """What every action that worked somewhere is ranked by: the formulas of `ranking`, cluster by cluster."""
    sums: dict[str, Doubles] = {}
    given: dict[str, Doubles] = {}
    successes: dict[str, float] = {}
    worked: dict[str, float] = {}
    failed: dict[str, float] = {}
    here: dict[str, float] = {}
    usable: set[str] = set()
    for c in clusters:
        tallies = {name: t for name, t in c.agents.items() if agents is None or name in agents}
        n, quality = sum(t.n for t in tallies.values()), sum(t.sum_quality for t in tallies.values())
        a = c.action
        if n > 0.0 and c.positive:
            mean_embedding = c.sum_embedding / c.n
            sums[a] = sums.get(a, np.zeros(DIM)) + n * mean_embedding
            taught = sum(t.n for name, t in tallies.items() if name == "library")
            if taught:
                given[a] = given.get(a, np.zeros(DIM)) + taught * mean_embedding
            if c.confirmed:
                found = sum(t.sum_quality for name, t in tallies.items() if name != "library")
                successes[a] = successes.get(a, 0.0) + found
        if n == 0.0 or (c.positive and c.mean_quality < min_quality):
            continue
        if c.positive and not c.insisted:
            usable.add(a)
        near_it = math.exp((float(x @ c.centroid) - 1.0) / TAU)
        mass = (n if c.confirmed else min(n, 2.0)) ** 0.7 * near_it
        worked[a] = worked.get(a, 0.0) + mass * quality / n
        failed[a] = failed.get(a, 0.0) + PHI * mass * (1.0 - quality / n)
        here[a] = here.get(a, 0.0) + PHI * mass * near_it * (1.0 - quality / n)
    near, frozen = {}, {}
    for a, total in sums.items():
        near[a] = math.exp(float((x if y is None else y) @ total / np.linalg.norm(total)) / TAU)
        start = given.get(a, total)
        frozen[a] = math.exp(float(x @ start / np.linalg.norm(start)) / TAU)
    pi = {a: mass / (math.exp(0.2 / TAU) + sum(near.values())) for a, mass in near.items()}
    pi0 = {a: mass / (math.exp(0.2 / TAU) + sum(frozen.values())) for a, mass in frozen.items()}
    backed = {a: successes.get(a, 0.0) / (successes.get(a, 0.0) + 5.0) for a in sums}
    g = sum(pi0[a] * backed[a] for a in sums)
    scores = {}
    for a in usable:
        f = failed.get(a, 0.0)
        expected = (0.05 * pi[a] + worked.get(a, 0.0)) / (0.05 + worked.get(a, 0.0) + f)
        scores[a] = g * expected + (1.0 - g + 1.0 - backed[a]) * pi0[a] * 0.02 / (0.02 + here.get(a, 0.0))
    return scores


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
    y, bent = unit_vectors(np.random.default_rng(seed + 1), 2)
    expected = slow_rank(clusters, y, agents, min_quality, bent)
    hits = index_of(clusters).rank(y, 100, y=bent, agents=agents, min_quality=min_quality)
    assert {hit.action for hit in hits} == set(expected)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    total = sum(expected.values())
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.action], rel=1e-4, abs=1e-9)
        assert hit.share == pytest.approx(expected[hit.action] / total, rel=1e-4, abs=1e-9)
        # The pattern is the nearest usable success of the action.
        own = [
            c
            for c in clusters
            if c.action == hit.action and c.positive and not c.insisted and c.mean_quality >= min_quality
            and (agents is None or agents & set(c.agents))
        ]  # fmt: skip
        assert hit.similarity == pytest.approx(max(float(y @ c.centroid) for c in own), abs=1e-6)
        assert hit.pattern in own
        against = [
            c.n for c in clusters if c.action == hit.action and not c.positive
            and float(y @ c.centroid) >= hit.similarity - TAU
        ]  # fmt: skip
        assert hit.failures == sum(against)
    best = index_of(clusters).rank(y, 2, y=bent, agents=agents, min_quality=min_quality)
    assert [hit.action for hit in best] == [hit.action for hit in hits[:2]]


@PROPERTY
@given(st.integers(0, 10_000), st.lists(st.tuples(st.booleans(), st.integers(0, 25)), max_size=80))
def test_an_index_that_was_changed_step_by_step_equals_one_built_at_once(
    seed: int, steps: list[tuple[bool, int]]
) -> None:
    pool = random_clusters(seed, 26, actions=26)
    index = PatternIndex(CONFIG)
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
    index = PatternIndex(CONFIG)
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


def test_a_failure_nearby_turns_the_ranking_and_one_far_away_does_not() -> None:
    x = np.eye(3, DIM, dtype=np.float32)
    known = [cluster("a", x[0], action="a", n=3), cluster("b", 0.9 * x[0] + 0.4359 * x[1], action="b", n=3)]
    assert index_of(known).rank(x[0], 1)[0].action == "a"
    failed_here = cluster("fa", x[0], action="a", positive=False, quality=0.0, n=5)
    assert index_of([*known, failed_here]).rank(x[0], 1)[0].action == "b"
    failed_there = replace(failed_here, sum_embedding=5.0 * x[2].astype(np.float64))
    assert index_of([*known, failed_there]).rank(x[0], 1)[0].action == "a"


# Invariants


def frozen_ranking(clusters: Collection[Cluster], x: Vector) -> list[str]:
    """Actions by the similarity of their prototypes, best first."""
    sums: dict[str, Doubles] = {}
    for c in clusters:
        if c.positive:
            sums[c.action] = sums.get(c.action, np.zeros(DIM)) + c.sum_embedding
    return sorted(sums, key=lambda a: -float(x @ sums[a] / np.linalg.norm(sums[a])))


@PROPERTY
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_what_was_given_and_nothing_else_is_ranked_by_its_prototypes(seed: int, n: int) -> None:
    given_only = [
        replace(c, positive=True, agents={"library": Tally(n=c.n, sum_quality=c.n)}, sum_quality=c.n)
        for c in random_clusters(seed, n, actions=6)
    ]
    index = index_of(given_only)
    for x in unit_vectors(np.random.default_rng(seed + 1), 5):
        hits = index.rank(x, 99)
        assert [hit.action for hit in hits] == frozen_ranking(given_only, x)
        # Without feedback nothing that the adapter learned elsewhere turns the ranking.
        bent = unit_vectors(np.random.default_rng(seed + 2), 1)[0]
        assert [(h.action, h.score) for h in index.rank(x, 99, y=bent)] == [(h.action, h.score) for h in hits]


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_all_agents_by_name_are_the_same_as_everybody(seed: int, n: int) -> None:
    index = index_of(random_clusters(seed, n))
    x, y = unit_vectors(np.random.default_rng(seed + 1), 2)
    everybody, named = index.rank(x, 99, y=y), index.rank(x, 99, y=y, agents=AGENTS)
    assert {h.action: h.score for h in named} == pytest.approx({h.action: h.score for h in everybody}, rel=1e-5)


@PROPERTY
@given(st.data(), st.integers(0, 10_000), st.integers(1, 30))
def test_equal_contents_put_in_another_order_rank_alike(data: st.DataObject, seed: int, n: int) -> None:
    clusters = random_clusters(seed, n)
    shuffled = data.draw(st.permutations(clusters))
    one, other = index_of(clusters), index_of(shuffled)
    for x in unit_vectors(np.random.default_rng(seed + 1), 3):
        first, second = one.rank(x, 99), other.rank(x, 99)
        # Up to the rounding of float32: BLAS adds up a row of a matrix differently in another position.
        assert {h.action: h.score for h in first} == pytest.approx({h.action: h.score for h in second}, rel=1e-5)
        assert {h.action: h.pattern.id for h in first} == {h.action: h.pattern.id for h in second}
    mine, theirs = one.candidates(), other.candidates()
    assert {a: mine.prototypes[row].tobytes() for a, row in mine.rows.items()} == {
        a: theirs.prototypes[row].tobytes() for a, row in theirs.rows.items()
    }


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 30), st.one_of(st.none(), st.sets(st.sampled_from([*AGENTS, "nobody"]))))
def test_scores_of_a_batch_equal_one_by_one(seed: int, n: int, agents: set[str] | None) -> None:
    index = index_of(random_clusters(seed, n))
    rng = np.random.default_rng(seed + 1)
    x, y = unit_vectors(rng, 6), unit_vectors(rng, 6)
    batch = index.score_batch(x, y=y, agents=agents)
    assert batch.shape == (6, len(index.names))
    for row in range(6):
        one = {h.action: h.score for h in index.rank(x[row], 99, y=y[row], agents=agents)}
        finite = {a: s for a, s in zip(index.names, batch[row].tolist(), strict=True) if s > -math.inf}
        assert finite == pytest.approx(one, rel=1e-4, abs=1e-12)


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_the_quality_to_expect_equals_the_formula_for_any_action(seed: int, n: int) -> None:
    clusters = random_clusters(seed, n)
    index = index_of(clusters)
    rng = np.random.default_rng(seed + 1)
    x, y = unit_vectors(rng, 70), unit_vectors(rng, 70)
    asked = [f"a{k}" for k in rng.integers(6, size=70)]
    found = index.expected(x, y, asked)
    candidates = index.candidates()
    for row in range(0, 70, 9):
        logits = np.exp(candidates.prototypes.astype(np.float64) @ y[row] / TAU)
        pi = logits / (logits.sum() + math.exp(0.2 / TAU))
        own = [c for c in clusters if c.action == asked[row]]
        masses = [
            (c.n if c.confirmed else min(c.n, 2.0)) ** 0.7 * math.exp((float(x[row] @ c.centroid) - 1.0) / TAU)
            for c in own
        ]
        worked = sum(mass * c.mean_quality for mass, c in zip(masses, own, strict=True))
        failed = PHI * sum(mass * (1.0 - c.mean_quality) for mass, c in zip(masses, own, strict=True))
        start = float(pi[candidates.rows[asked[row]]]) if asked[row] in candidates.rows else 0.0
        assert found[row] == pytest.approx((0.05 * start + worked) / (0.05 + worked + failed), rel=1e-4)


def test_what_others_know_leaves_out_the_patterns_of_one_agent_alone() -> None:
    x = np.eye(3, DIM, dtype=np.float32)
    both = {"ada": Tally(n=1, sum_quality=1), "bob": Tally(n=1, sum_quality=1)}
    index = index_of(
        [
            cluster("mine", x[0], action="a", agents={"ada": Tally(n=1, sum_quality=1)}),
            cluster("ours", x[1], action="b", n=2, agents=both),
            cluster("theirs", x[2], action="c", agents={"bob": Tally(n=1, sum_quality=1)}),
            cluster("failed", x[0], action="d", positive=False, quality=0.0, agents={"bob": Tally(n=1)}),
        ]
    )
    others = index.candidates_without("ada")
    assert set(others.rows) == {"b", "c"}
    np.testing.assert_allclose(others.prototypes[others.rows["c"]], x[2], atol=1e-7)
    assert set(index.candidates_without("cyd").rows) == set(index.candidates().rows) == {"a", "b", "c"}


@pytest.mark.parametrize("tau", [0.005, 0.05, 1.0])
def test_scores_are_numbers_at_every_temperature_however_far_the_query_is(tau: float) -> None:
    config = replace(CONFIG, temperature=tau)
    index = index_of(random_clusters(12, 20), config)
    queries = np.concatenate([unit_vectors(np.random.default_rng(13), 20), -index.candidates().prototypes])
    scores = index.score_batch(queries)
    assert np.isfinite(scores[scores > -np.inf]).all()
    assert not np.isnan(scores).any()
    for row, x in zip(scores, queries, strict=True):
        hits = index.rank(x, 99)
        assert len(hits) == int((row > -np.inf).sum())
        # Somebody is nearest still.
        assert hits[0].score > 0.0


def test_an_unconfirmed_pattern_counts_as_two_outcomes_at_most_and_backs_nothing() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    rival = cluster("b", x[0], action="b", n=30)

    def scores(n: float, confirmed: bool) -> dict[str, float]:
        loud = cluster("a", x[0], action="a", n=n, quality=0.9)
        return {h.action: h.score for h in index_of([rival, replace(loud, confirmed=confirmed)]).rank(x[0], 2)}

    assert scores(20, confirmed=False) == pytest.approx(scores(2, confirmed=False))
    assert scores(20, confirmed=False) != pytest.approx(scores(20, confirmed=True), rel=1e-3)
    assert scores(1, confirmed=False) != pytest.approx(scores(2, confirmed=False), rel=1e-3)


def test_what_one_agent_insists_on_is_shown_to_that_agent_alone() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    insisted = replace(
        cluster("a", x[0], action="a", n=21, agents={"ada": Tally(n=21, sum_quality=21)}), confirmed=False
    )
    index = index_of([insisted, cluster("b", x[1], action="b")])
    assert {h.action for h in index.rank(x[0], 9, asker="ada")} == {"a", "b"}
    for stranger in ("", "bob"):
        assert [h.action for h in index.rank(x[0], 9, asker=stranger)] == ["b"]
        assert index.rank_batch(x[:1], asker=stranger) == ["b"]
        assert index.rank(x[0], 9, asker=stranger, agents=["ada"]) == []
    assert index.rank_batch(x[:1], asker="ada") == ["a"]
    # Once somebody confirms it, or while it was said a few times only, everybody is shown it.
    for other in (replace(insisted, confirmed=True), replace(insisted, n=20.0)):
        assert {h.action for h in index_of([other]).rank(x[0], 9)} == {"a"}


def test_actions_that_only_failed_are_not_proposed() -> None:
    x = np.eye(1, DIM, dtype=np.float32)
    assert index_of([cluster("f", x[0], positive=False, quality=0.0)]).rank(x[0], 5) == []
    assert index_of([]).rank(x[0], 5) == []
    assert index_of([]).search(x[0], 5) == []


def test_a_cluster_that_decayed_to_nothing_competes_with_nobody() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    faded = replace(
        cluster("faded", x[0], action="a"), n=0.0, sum_quality=0.0, sum_quality2=0.0, sum_embedding=np.zeros(DIM)
    )
    index = index_of([faded, cluster("b", x[1], action="b")])
    assert [hit.action for hit in index.rank(x[0], 5)] == ["b"]
    assert index.contest(x[0], "a", 5) is None
    assert set(index.candidates().rows) == {"b"}
    assert index.search(x[1], 1)[0].cluster.id == "b"


def test_rank_of_a_batch_equals_one_by_one() -> None:
    index = index_of(random_clusters(3, 30))
    rows = unit_vectors(np.random.default_rng(4), 10)
    for agents in (None, ["ada"], ["nobody"]):
        expected = [hits[0].action if (hits := index.rank(row, 1, agents=agents)) else "" for row in rows]
        assert index.rank_batch(rows, agents=agents) == expected


def test_contest_holds_the_nearest_prototypes_and_that_of_the_action() -> None:
    clusters = random_clusters(5, 60, actions=12)
    index = index_of(clusters)
    candidates = index.candidates()
    for y in unit_vectors(np.random.default_rng(6), 5):
        closest = sorted(candidates.rows, key=lambda a: -float(y @ candidates.prototypes[candidates.rows[a]]))
        for action in (closest[0], closest[-1]):
            near = index.contest(y, action, 5)
            assert near is not None
            prototypes, row = near
            expected = {action, *[a for a in closest if a != action][:4]}
            assert prototypes[row].tobytes() == candidates.prototypes[candidates.rows[action]].tobytes()
            assert {p.tobytes() for p in prototypes} == {
                candidates.prototypes[candidates.rows[a]].tobytes() for a in expected
            }
            everyone = index.contest(y, action, 99)
            assert everyone is not None
            assert everyone[0][everyone[1]].tobytes() == prototypes[row].tobytes()
            assert len(everyone[0]) == len(index.names)
    assert index.contest(y, "never tried", 5) is None


def test_candidates_are_copies_that_stay_when_the_index_changes() -> None:
    clusters = random_clusters(7, 20)
    index = index_of(clusters)
    before = index.candidates()
    copy = before.prototypes.tobytes(), dict(before.rows)
    index.replace_all(random_clusters(8, 20))
    index.candidates()
    assert (before.prototypes.tobytes(), before.rows) == copy


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
