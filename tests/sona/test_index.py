from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, cluster, unit_vectors

from swarm.errors import BoundsError, InputError, ShapeError
from swarm.sona import Cluster, PatternIndex, SonaConfig, Tally
from swarm.sona.index import _SHARES, _largest
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
    around = 0.0
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
        around += mass
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
        worth = min(0.2 * around, 0.1)
        expected = (worth * pi[a] + worked.get(a, 0.0)) / (worth + worked.get(a, 0.0) + failed.get(a, 0.0))
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
    # Up to the rounding of float32, as below.
    assert {h.action: h.score for h in index.rank(y, 99)} == pytest.approx(
        {h.action: h.score for h in fresh.rank(y, 99)}, rel=1e-5
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
    clusters = random_clusters(seed, n)
    index = index_of(clusters)
    rng = np.random.default_rng(seed + 1)
    x, y = unit_vectors(rng, 6), unit_vectors(rng, 6)
    batch = index.score_batch(x, y=y, agents=agents)
    assert batch.shape == (6, len(index.names))
    for row in range(6):
        one = {h.action: h.score for h in index.rank(x[row], 99, y=y[row], agents=agents)}
        finite = {a: s for a, s in zip(index.names, batch[row].tolist(), strict=True) if s > -math.inf}
        assert finite == pytest.approx(one, rel=1e-4, abs=1e-12)
        assert finite == pytest.approx(slow_rank(clusters, x[row], agents, y=y[row]), rel=1e-4, abs=1e-9)


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
        masses = [
            (c.n if c.confirmed else min(c.n, 2.0)) ** 0.7 * math.exp((float(x[row] @ c.centroid) - 1.0) / TAU)
            for c in clusters
        ]
        own = [(mass, c.mean_quality) for mass, c in zip(masses, clusters, strict=True) if c.action == asked[row]]
        worked = sum(mass * quality for mass, quality in own)
        failed = PHI * sum(mass * (1.0 - quality) for mass, quality in own)
        start = float(pi[candidates.rows[asked[row]]]) if asked[row] in candidates.rows else 0.0
        worth = min(0.2 * sum(masses), 0.1)
        expected = (worth * start + worked) / (worth + worked + failed) if clusters else start
        assert found[row] == pytest.approx(expected, rel=1e-4)


def _times(c: Cluster, often: float) -> Cluster:
    """The cluster with so many times its outcomes."""
    return replace(
        c,
        n=often * c.n,
        sum_quality=often * c.sum_quality,
        sum_quality2=often * c.sum_quality2,
        sum_embedding=often * c.sum_embedding,
    )


@PROPERTY
@given(st.integers(0, 10_000), st.integers(1, 30), st.sampled_from([0.01, 0.5, 100.0]))
def test_so_many_times_every_outcome_changes_nothing_of_what_to_expect(seed: int, n: int, often: float) -> None:
    # So little of each that the prior's share of all is below its bound, also of a hundred times as much.
    clusters = [_times(replace(c, confirmed=True), 1e-6) for c in random_clusters(seed, n)]
    again = [_times(c, often) for c in clusters]
    rng = np.random.default_rng(seed + 1)
    x, y = unit_vectors(rng, 12), unit_vectors(rng, 12)
    asked = [f"a{k}" for k in rng.integers(5, size=12)]
    once, repeated = index_of(clusters).expected(x, y, asked), index_of(again).expected(x, y, asked)
    np.testing.assert_allclose(repeated, once, rtol=1e-4, atol=1e-9)


# Expertise


def slow_expertise(clusters: Collection[Cluster], x: Vector, agents: Sequence[str]) -> list[float]:
    """sum_a pi_a share_ka of each agent for one query, cluster by cluster."""
    sums: dict[str, Doubles] = {}
    confirmed: dict[str, dict[str, float]] = {}
    for c in clusters:
        if not c.positive:
            continue
        if c.n > 0.0:
            sums[c.action] = sums.get(c.action, np.zeros(DIM)) + c.sum_embedding
        if c.confirmed:
            own = confirmed.setdefault(c.action, {})
            for name, tally in c.agents.items():
                if name != "library":
                    own[name] = own.get(name, 0.0) + tally.sum_quality
    masses = {a: math.exp(float(x @ total / np.linalg.norm(total)) / TAU) for a, total in sums.items()}
    everything = math.exp(0.2 / TAU) + sum(masses.values())
    result = []
    for agent in agents:
        known = 0.0
        for a, mass in masses.items():
            own = confirmed.get(a, {})
            total = sum(own.values())
            known += mass / everything * (own.get(agent, 0.0) / total if total > 0.0 else 0.0)
        result.append(known)
    return result


ASKED = ("bob", "nobody", "library", "ada")


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(1, 8))
def test_expertise_equals_a_plain_loop_for_one_query_and_for_many(seed: int, n: int, actions: int) -> None:
    clusters = random_clusters(seed, n, actions)
    index = index_of(clusters)
    x = unit_vectors(np.random.default_rng(seed + 1), 5)
    found = index.expertise(x, ASKED)
    assert found.shape == (5, 4)
    for row, query in zip(found, x, strict=True):
        assert row.tolist() == pytest.approx(slow_expertise(clusters, query, ASKED), rel=1e-4, abs=1e-9)
        one = index.expertise(query, ASKED)
        assert one.shape == (4,)
        assert one.tolist() == pytest.approx(row.tolist(), rel=1e-5, abs=1e-12)
    assert (found >= 0.0).all()
    assert (found.sum(axis=1) <= 1.0 + 1e-9).all()


def test_expertise_of_two_agents_worked_by_hand() -> None:
    # The query is at the prototype of a, of which ada has 3 of 4 successes, and orthogonal to that of b, all bob's.
    x = np.eye(3, DIM, dtype=np.float32)
    index = index_of(
        [
            cluster("mine", x[0], action="a", n=6, quality=0.5, agents={"ada": Tally(n=6, sum_quality=3)}),
            cluster("theirs", x[0], action="a", n=1, agents={"bob": Tally(n=1, sum_quality=1)}),
            cluster("other", x[1], action="b", n=9, agents={"bob": Tally(n=9, sum_quality=9)}),
        ]
    )
    total = math.exp(10.0) + 1.0 + math.exp(2.0)
    ada, bob = 0.75 * math.exp(10.0) / total, (0.25 * math.exp(10.0) + 1.0) / total
    assert index.expertise(x[0], ["ada", "bob"]).tolist() == pytest.approx([ada, bob], rel=1e-5)
    assert index.expertise(x[0], ["bob"]).tolist() == pytest.approx([bob], rel=1e-5)
    # Opposite of a, and orthogonal to b still; then far from both.
    known = index.expertise(-x[0], ["ada", "bob"]).tolist()
    assert known == pytest.approx([0.0, 1.0 / (1.0 + math.exp(2.0))], abs=1e-4)
    assert index.expertise((-x[0] - x[1]) / np.float32(math.sqrt(2.0)), ["ada", "bob"]).max() < 1e-3


def test_what_is_unconfirmed_or_failed_or_given_is_no_expertise() -> None:
    x = np.eye(1, DIM, dtype=np.float32)
    known = cluster("known", x[0], agents={"ada": Tally(n=1, sum_quality=1)})
    alone = index_of([known]).expertise(x[0], ["ada", "bob", "library"])
    assert alone[0] > 0.9
    assert alone[1:].tolist() == [0.0, 0.0]
    bob = {"bob": Tally(n=8, sum_quality=8)}
    for more in (
        replace(cluster("loud", x[0], n=8, agents=bob), confirmed=False),
        cluster("failed", x[0], n=8, quality=0.0, positive=False, agents={"bob": Tally(n=8)}),
        cluster("lucky", x[0], n=8, positive=False, agents=bob),
        cluster("given", x[0], n=8, agents={"library": Tally(n=8, sum_quality=8)}),
        cluster("plans", x[0], n=8, agents={"library-of-plans": Tally(n=8, sum_quality=8)}),
        replace(known, n=9, agents={**known.agents, "library": Tally(n=8, sum_quality=8)}),
    ):
        found = index_of([known, more]).expertise(x[0], ["ada", "bob", "library", "library-of-plans"])
        assert found.tolist() == pytest.approx([alone[0], 0.0, 0.0, 0.0], rel=1e-6), more.id
    # Once somebody confirms it, it is.
    shared = cluster("loud", x[0], n=8, agents=bob)
    assert index_of([known, shared]).expertise(x[0], ["ada", "bob"]).tolist() == pytest.approx(
        [alone[0] / 9, alone[0] * 8 / 9], rel=1e-6
    )


def test_in_an_index_without_clusters_or_with_failures_alone_nobody_knows_anything() -> None:
    x = np.eye(2, DIM, dtype=np.float32)
    emptied = index_of(random_clusters(3, 9))
    removed = index_of([cluster("c", x[0], agents={"ada": Tally(n=1, sum_quality=1)})])
    for index in (emptied, removed):
        assert index.expertise(x[0], ["ada", "bob"]).any()
    emptied.replace_all(())
    removed.remove("c")
    failed = index_of([cluster("f", x[0], quality=0.0, positive=False, agents={"ada": Tally(n=1)})])
    for index in (PatternIndex(CONFIG), emptied, removed, failed):
        assert index.expertise(x[0], ["ada", "bob"]).tolist() == [0.0, 0.0]
        assert index.expertise(x, ["ada"]).tolist() == [[0.0], [0.0]]


@PROPERTY
@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11)), max_size=40))
def test_expertise_follows_every_change_of_the_index(seed: int, steps: list[tuple[int, int]]) -> None:
    pool = random_clusters(seed, 12, actions=3)
    index, held = PatternIndex(CONFIG), dict[str, Cluster]()
    x = unit_vectors(np.random.default_rng(seed), 1)[0]
    for position, (kind, which) in enumerate(steps):
        # Asked before every change, so that what is kept ready would be stale after it.
        index.expertise(x, ASKED)
        c = pool[which]
        if kind < 3:
            held[c.id] = replace(c, action=f"{c.action}-{position % 2}", confirmed=position % 3 > 0)
            index.put(held[c.id])
        elif kind < 5:
            index.remove(c.id)
            held.pop(c.id, None)
        else:
            held = {other.id: other for other in pool[which:]}
            index.replace_all(held.values())
        expected = slow_expertise(held.values(), x, ASKED)
        assert index.expertise(x, ASKED).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_the_last_cluster_that_was_put_takes_its_expertise_with_it() -> None:
    # Removing it moves no other row, and its action stays known by another.
    x = np.eye(1, DIM, dtype=np.float32)
    index = index_of([cluster("first", x[0], agents={"ada": Tally(n=1, sum_quality=1)})])
    alone = index.expertise(x[0], ["ada", "bob"])
    index.put(cluster("last", x[0], agents={"bob": Tally(n=1, sum_quality=1)}))
    assert index.expertise(x[0], ["ada", "bob"]).tolist() == pytest.approx([alone[0] / 2, alone[0] / 2])
    index.remove("last")
    assert index.expertise(x[0], ["ada", "bob"]).tolist() == pytest.approx([alone[0], 0.0])


def test_expertise_is_right_when_actions_are_numbered_anew() -> None:
    index, held = PatternIndex(CONFIG), dict[str, Cluster]()
    rows = unit_vectors(np.random.default_rng(0), 4)
    for i in range(400):
        c = cluster(f"c{i % 4}", rows[i % 4], action=f"action {i}", agents={AGENTS[i % 2]: Tally(n=1, sum_quality=1)})
        index.put(c)
        held[c.id] = c
        expected = slow_expertise(held.values(), rows[0], ASKED)
        assert index.expertise(rows[0], ASKED).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_the_shares_of_many_agents_are_not_kept_for_ever() -> None:
    names = [f"agent {i}" for i in range(5_000)]
    x = unit_vectors(np.random.default_rng(1), 5_000)
    clusters = [
        cluster(f"c{i}", x[i], action=f"a{i % 50}", agents={name: Tally(n=1, sum_quality=1)})
        for i, name in enumerate(names[:2_000])
    ]
    index = index_of(clusters)
    first = index.expertise(x[0], names[:300])
    for start in range(0, 5_000, 300):
        found = index.expertise(x[0], ["agent 7", *names[start : start + 300]])
        assert found[0] == first[7]
        assert len(index._known_shares) <= _SHARES + 301
    assert index.expertise(x[0], names[:300]).tolist() == first.tolist()
    assert first.tolist() == pytest.approx(slow_expertise(clusters, x[0], names[:300]), rel=1e-4)


# Others and candidates


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


def test_whose_temperature_and_failure_weight_count_can_be_said_at_the_query() -> None:
    clusters = random_clusters(5, 24)
    own = SonaConfig(dim=DIM, temperature=0.3, failure_weight=3.0)
    index, its_own = PatternIndex(CONFIG), PatternIndex(own)
    index.put_all(clusters)
    its_own.put_all(clusters)
    for x in unit_vectors(np.random.default_rng(5), 10):
        expected = [(hit.action, hit.score) for hit in its_own.rank(x, 4)]
        assert [(hit.action, hit.score) for hit in index.rank(x, 4, config=own)] == expected
        assert [(hit.action, hit.score) for hit in index.rank(x, 4)] != expected
