"""The index for many clusters answers what the exact one does: as good as always, and always nearly with its scores."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sona_support import cluster, near, unit_vectors

from swarm.errors import BoundsError, InputError, ShapeError
from swarm.sona import Cluster, PatternIndex, SonaConfig, Tally, large_view
from swarm.sona.inverted_file import sample_size
from swarm.sona.large_index import LargeIndex
from swarm.sona.vectors import Doubles, Vector

D = 32
CONFIG = SonaConfig(dim=D)
AGENTS = ("ada", "bob", "cleo", "library", "library-b")
KEPT: dict[bytes, Cluster] = {}


def pack(kept: Cluster) -> bytes:
    """The core knows no bytes: here a cluster stands for itself."""
    key = repr(replace(kept, sum_embedding=None)).encode()  # type: ignore[arg-type]  # all but the sum
    KEPT[key] = kept
    return key


def unpack(data: bytes, sum_embedding: Doubles) -> Cluster:
    return replace(KEPT[data], sum_embedding=sum_embedding)


def made_up(n: int, seed: int = 0, *, per_centre: int = 30, confirmed: float = 0.8) -> list[Cluster]:
    """Successes and failures of two actions a centre, sometimes of others, by one agent or two."""
    rng = np.random.default_rng(seed)
    centres = unit_vectors(np.random.default_rng(77), max(2, n // per_centre), D)
    found = []
    for i in range(n):
        place = int(rng.integers(len(centres)))
        action = 2 * place + int(rng.random() < 0.4) if rng.random() < 0.9 else int(rng.integers(2 * len(centres)))
        worked = bool(rng.random() < 0.75)
        tallies = {}
        for name in rng.choice(AGENTS, int(rng.integers(1, 3)), replace=False).tolist():
            count = float(rng.integers(1, 20))
            tallies[name] = Tally(n=count, sum_quality=count * float(rng.uniform(0.6, 1.0) if worked else 0.0))
        total, quality = sum(t.n for t in tallies.values()), sum(t.sum_quality for t in tallies.values())
        base = cluster(f"c{seed}-{i}", near(rng, centres[place], 0.6), action=f"a{action}", positive=worked, n=total)
        known = bool(rng.random() < confirmed)
        found.append(replace(base, sum_quality=quality, agents=tallies, confirmed=known))
    return found


def asked(n: int, clusters: int, seed: int = 5) -> Vector:
    rng = np.random.default_rng(seed)
    centres = unit_vectors(np.random.default_rng(77), max(2, clusters // 30), D)
    return np.array([near(rng, centres[rng.integers(len(centres))], 0.6) for _ in range(n)])


def both(clusters: Sequence[Cluster]) -> tuple[PatternIndex, LargeIndex]:
    """The exact index and the large one of the same clusters."""
    exact = PatternIndex(CONFIG)
    exact.put_all(clusters)
    sample = np.array([c.centroid for c in clusters[: sample_size(len(clusters))]]).reshape(-1, D)
    large = LargeIndex(CONFIG, sample, len(clusters), pack, unpack)
    for start in range(0, len(clusters), 500):
        large.put_all(clusters[start : start + 500])
    large.settle()
    return exact, large


def check_alike(
    exact: PatternIndex, large: LargeIndex, queries: Vector, recall: float, within: float, **options: object
) -> None:
    """Nearly the same actions, with scores that differ by at most `within`, and the same first ones."""
    found = 0
    total = 0
    for x in queries:
        wanted = {hit.action: hit for hit in exact.rank(x, 5, **options)}  # type: ignore[arg-type]
        hits = {hit.action: hit for hit in large.rank(x, 5, **options)}  # type: ignore[arg-type]
        total += len(wanted)
        for action in wanted.keys() & hits.keys():
            found += 1
            assert hits[action].score == pytest.approx(wanted[action].score, abs=within)
            assert hits[action].similarity == pytest.approx(wanted[action].similarity, abs=1e-5)
            assert hits[action].pattern.id == wanted[action].pattern.id
        assert not wanted or next(iter(wanted)) in hits
    assert found >= recall * total


@pytest.fixture(scope="module")
def many() -> tuple[PatternIndex, LargeIndex]:
    """More than one list."""
    return both(made_up(6000))


def test_actions_are_ranked_as_by_the_exact_index(many: tuple[PatternIndex, LargeIndex]) -> None:
    check_alike(*many, asked(60, 6000), 0.98, 0.01)


def test_whose_temperature_and_failure_weight_count_can_be_said_at_the_query(
    many: tuple[PatternIndex, LargeIndex],
) -> None:
    # A narrow kernel: what lies further away than the lists that are looked at counts nothing in either index.
    own = SonaConfig(dim=D, temperature=0.03, failure_weight=3.0)
    check_alike(*many, asked(20, 6000), 0.9, 0.02, config=own)
    x = asked(1, 6000)[0]
    assert many[1].rank(x, 3, config=own)[0].score != many[1].rank(x, 3)[0].score


@pytest.mark.parametrize("agents", [["ada"], ["ada", "library"], ["nobody"], []])
def test_the_evidence_of_some_agents_counts_alone(many: tuple[PatternIndex, LargeIndex], agents: list[str]) -> None:
    check_alike(*many, asked(40, 6000), 0.97, 0.01, agents=agents)


def test_a_filter_of_many_rows_looks_through_lists(
    many: tuple[PatternIndex, LargeIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, large = many
    x = asked(1, 6000)[0]
    everything = len(large.looked_at(x, ["bob"])[0])
    monkeypatch.setattr(large_view, "FEW", 100)
    monkeypatch.setattr(large_view, "_WIDER", 2)
    check_alike(exact, large, asked(40, 6000), 0.95, 0.01, agents=["bob", "nobody"])
    assert 0 < len(large.looked_at(x, ["bob", "nobody"])[0]) < everything


def test_of_few_clusters_the_answers_are_exact_but_for_rounding() -> None:
    exact, large = both(made_up(400))
    check_alike(exact, large, asked(40, 400), 1.0, 1e-5)
    check_alike(exact, large, asked(40, 400), 1.0, 1e-5, agents=["cleo", "library-b"])
    check_alike(exact, large, asked(40, 400), 1.0, 1e-5, min_quality=0.8)


def test_a_bent_query_meets_the_prototypes_and_the_query_itself_the_clusters() -> None:
    exact, large = both(made_up(400))
    for x, y in zip(asked(20, 400), asked(20, 400, seed=6), strict=True):
        wanted, found = exact.rank(x, 3, y=y), large.rank(x, 3, y=y)
        assert [hit.action for hit in found] == [hit.action for hit in wanted]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in wanted], abs=1e-5)
    best = large.rank_batch(asked(20, 400), y=asked(20, 400, seed=6))
    assert best == exact.rank_batch(asked(20, 400), y=asked(20, 400, seed=6))


def test_whatever_is_put_and_removed_it_answers_as_one_that_was_made_anew() -> None:
    rng = random.Random(4)
    held = {c.id: c for c in made_up(300)}
    exact, large = both(list(held.values()))
    fresh = made_up(900, seed=1)
    for step in range(30):
        gone = rng.sample(sorted(held), 8)
        new = fresh[30 * step : 30 * step + rng.randrange(30)]
        grown = [
            replace(held[name], n=held[name].n + 2.0, sum_embedding=1.5 * held[name].sum_embedding)
            for name in rng.sample(sorted(held), 8)
            if name not in gone
        ]
        for name in gone:
            del held[name]
            exact.remove(name)
            large.remove(name)
        large.remove("never there")
        held |= {c.id: c for c in (*new, *grown)}
        exact.put_all([*new, *grown])
        large.put_all([*new, *grown])
        check_alike(exact, large, asked(3, 300, seed=step), 1.0, 1e-4)
        check_alike(exact, large, asked(3, 300, seed=step), 1.0, 1e-4, agents=["ada", "library"])
    assert len(large) == len(exact) == len(held)
    assert {c.id: c.n for c in large.clusters()} == {c.id: c.n for c in held.values()}
    assert all(name in large for name in held)
    assert "never there" not in large
    again, anew = both(list(held.values()))
    check_alike(again, anew, asked(10, 300), 1.0, 1e-4)


def test_a_cluster_comes_back_as_it_was_but_for_the_rounding_of_its_sum() -> None:
    clusters = made_up(50)
    _, large = both(clusters)
    for kept in clusters:
        found = large.get(kept.id)
        assert found is not None
        assert replace(found, sum_embedding=kept.sum_embedding) == kept
        assert np.allclose(found.sum_embedding, kept.sum_embedding, rtol=1e-5, atol=1e-5)
    assert large.get("none") is None


def test_what_one_agent_insists_on_is_for_that_agent_alone() -> None:
    insisted = replace(
        cluster("mine", np.eye(D)[0], action="odd", n=30.0),
        confirmed=False,
        agents={"ada": Tally(n=30.0, sum_quality=30.0)},
    )
    exact, large = both([insisted, *made_up(200, confirmed=1.0)])
    x = np.eye(D, dtype=np.float32)[0]
    for index in (exact, large):
        assert "odd" not in {hit.action for hit in index.rank(x, 5)}
        assert "odd" not in {hit.action for hit in index.rank(x, 5, asker="bob")}
        assert index.rank(x, 5, asker="ada")[0].pattern.id == "mine"


def test_searches_for_patterns_are_those_of_the_exact_index() -> None:
    exact, large = both(made_up(400))
    for x in asked(20, 400):
        for wanted, found in ((exact.search(x, 7), large.search(x, 7)), (exact.nearest(x, 7), large.nearest(x, 7))):
            assert [hit.cluster.id for hit in found] == [hit.cluster.id for hit in wanted]
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in wanted], abs=1e-5)


def test_what_training_reads_is_that_of_the_exact_index() -> None:
    exact, large = both(made_up(400))
    for wanted, found in (
        (exact.candidates(), large.candidates()),
        (exact.candidates_without("ada"), large.candidates_without("ada")),
        (exact.candidates_without("library"), large.candidates_without("library")),
    ):
        assert found.rows.keys() == wanted.rows.keys()
        for name, row in wanted.rows.items():
            assert np.allclose(found.prototypes[found.rows[name]], wanted.prototypes[row], atol=1e-5)
    for x in asked(10, 400):
        assert large.expertise(x, AGENTS) == pytest.approx(exact.expertise(x, AGENTS), abs=1e-4)
    batch = asked(4, 400)
    assert np.allclose(large.expertise(batch, AGENTS), exact.expertise(batch, AGENTS), atol=1e-4)
    wanted_found, found_found = (index.found_by_others("ada", index.candidates().rows) for index in (exact, large))
    assert sorted(found_found.weights) == pytest.approx(sorted(wanted_found.weights), rel=1e-3)
    rows = np.arange(len(found_found.weights))
    assert sorted(found_found.actions(rows)) == sorted(wanted_found.actions(rows))
    assert found_found.centroids(rows).shape == (len(rows), D)
    assert np.allclose(sorted(found_found.qualities(rows)), sorted(wanted_found.qualities(rows)), atol=1e-6)


def test_the_nearest_prototypes_compete_with_that_of_an_action() -> None:
    exact, large = both(made_up(400))
    y = asked(1, 400)[0]
    action = exact.rank(y, 1)[0].action
    wanted, found = exact.contest(y, action, 6), large.contest(y, action, 6)
    assert wanted is not None
    assert found is not None
    assert np.allclose(found[0][found[1]], wanted[0][wanted[1]], atol=1e-5)
    assert sorted(found[0].dot(y)) == pytest.approx(sorted(wanted[0].dot(y)), abs=1e-4)
    assert large.contest(y, "unheard of", 6) is None
    assert action in large.actions
    assert "unheard of" not in large.actions


def test_an_empty_index_knows_nothing() -> None:
    large = LargeIndex(CONFIG, np.zeros((0, D), dtype=np.float32), 10, pack, unpack)
    x = np.eye(D, dtype=np.float32)[0]
    assert (large.rank(x, 5), large.search(x, 5), large.nearest(x, 5), large.clusters()) == ([], [], [], ())
    assert large.expertise(x, ["ada"]).tolist() == [0.0]
    assert not large.candidates().rows
    large.put_all([])
    large.put_all(made_up(3))
    assert len(large.rank(x, 5)) > 0


def test_bad_input_is_refused_as_by_the_exact_index() -> None:
    _, large = both(made_up(20))
    x = np.eye(D, dtype=np.float32)[0]
    with pytest.raises(InputError, match="agents must be a collection"):
        large.rank(x, 5, agents="ada")
    with pytest.raises(BoundsError, match="min_quality"):
        large.rank(x, 5, min_quality=1.5)
    with pytest.raises(ShapeError, match=rf"cluster c must have shape \({D},\)"):
        large.put_all([cluster("c", np.ones(D + 1))])


def test_it_says_when_it_holds_twice_what_it_was_made_for() -> None:
    _, large = both(made_up(100))
    assert not large.is_outgrown()
    large.put_all(made_up(150, seed=2))
    assert large.is_outgrown()
    assert len(large.sample(20)) <= 20
