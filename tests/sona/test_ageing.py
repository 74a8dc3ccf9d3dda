"""Ageing: sums decay as the formula says, in any batches and order; what is too old goes; what is pinned stays."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, near, trajectory, unit_vectors

from swarm.sona import Cluster, Learned, PatternIndex, SonaConfig, Trajectory, merge_clusters, run_cycle
from swarm.sona.adapter import Adapter
from swarm.sona.ageing import MAX_HALF_LIVES, NO_AGEING, Ageing, AgeingRules, Pin, Pins
from swarm.sona.clusters import family_of
from swarm.sona.ewc import EwcMemory
from swarm.sona.grouping import regroup
from swarm.sona.snapshot import cluster_as_dict
from swarm.sona.vectors import unit

DAY = 86_400.0
HALF_LIFE = 10 * DAY
CONFIG = SonaConfig(dim=DIM, pattern_clusters=200, base_lora_lr=0.0)


def outcomes(times: Sequence[float]) -> list[Trajectory]:
    """Outcomes of these times around one place, all of one action."""
    rng, [centre] = np.random.default_rng(1), unit_vectors(np.random.default_rng(0), 1)
    return [
        replace(trajectory(f"t{i}", near(rng, centre, 0.05), 0.5 + 0.5 * (i % 2), action="a"), at_s=t, route="r")
        for i, t in enumerate(times)
    ]


def nothing() -> Learned:
    return Learned(
        clusters=(), base=tuple(Adapter.initial(CONFIG, np.random.default_rng(0)).base), ewc=EwcMemory.empty()
    )


def cycle(learned: Learned, batch: Sequence[Trajectory], ageing: Ageing | None) -> tuple[Learned, int]:
    after, report = run_cycle(learned, batch, PatternIndex(CONFIG), CONFIG, np.random.default_rng(3), ageing=ageing)
    return after, report.expired


def sums(clusters: Sequence[Cluster]) -> list[float]:
    """Every kind of sum of the clusters together."""
    found: list[float] = np.sum([cluster.sum_embedding for cluster in clusters], axis=0).tolist()
    for cluster in clusters:
        assert cluster.n == pytest.approx(sum(tally.n for tally in cluster.agents.values()))
        assert cluster.n == pytest.approx(sum(route.n for route in cluster.routes.values()))
        assert cluster.n == pytest.approx(sum(cluster.task_types.values()))
    found += [sum(getattr(c, name) for c in clusters) for name in ("n", "sum_quality", "sum_quality2")]
    return found


@PROPERTY
@given(
    st.lists(st.floats(1.0, 300 * DAY), min_size=1, max_size=12),
    st.lists(st.integers(1, 5), min_size=12, max_size=12),
    st.floats(0.0, 30 * DAY),
)
def test_whatever_the_batches_sums_are_those_of_the_formula(times: list[float], sizes: list[int], later: float) -> None:
    end = max(times) + later
    rules = AgeingRules(half_life_s=HALF_LIFE)
    learned, waiting = nothing(), outcomes(times)
    expected = outcomes(times)
    for size in sizes:
        batch, waiting = waiting[:size], waiting[size:]
        if batch:
            learned, _ = cycle(learned, batch, rules.at(end))
    ageing = rules.at(end)
    assert ageing is not None
    weights = [2.0 ** -min((end - t) / HALF_LIFE, MAX_HALF_LIVES) for t in times]
    wanted = [w * t.as_cluster(0.3).n for w, t in zip(weights, expected, strict=True)]
    current = [ageing.current(cluster) for cluster in learned.clusters]
    assert sum(c.n for c in current) == pytest.approx(sum(wanted), rel=1e-9)
    vectors = np.sum([w * t.as_cluster(0.3).sum_embedding for w, t in zip(weights, expected, strict=True)], axis=0)
    np.testing.assert_allclose(sums(current)[:DIM], vectors, rtol=1e-9, atol=1e-12 * sum(wanted))
    qualities = sum(w * t.quality for w, t in zip(weights, expected, strict=True))
    assert sum(c.sum_quality for c in current) == pytest.approx(qualities, rel=1e-9)


@PROPERTY
@given(st.lists(st.floats(1.0, 300 * DAY), min_size=2, max_size=5))
def test_merging_at_one_time_is_order_free(times: list[float]) -> None:
    ageing = Ageing(at_s=max(times), half_life_s=HALF_LIFE)
    clusters = [ageing.current(t.as_cluster(0.3)) for t in outcomes(times)]
    expected = cluster_as_dict(merge_clusters(clusters))
    for order in itertools.permutations(clusters):
        assert cluster_as_dict(merge_clusters(order)) == expected


def test_a_half_life_halves_and_means_stay() -> None:
    [outcome] = outcomes([DAY])
    ageing = Ageing(at_s=DAY + HALF_LIFE, half_life_s=HALF_LIFE)
    cluster = replace(outcome.as_cluster(0.3), n=8.0, sum_quality=6.0)
    aged = ageing.current(cluster)
    assert (aged.n, aged.sum_quality, aged.mean_quality) == (4.0, 3.0, cluster.mean_quality)
    np.testing.assert_allclose(aged.centroid, cluster.centroid)
    assert cluster_as_dict(ageing.kept(aged)) == cluster_as_dict(cluster)
    assert ageing.current(ageing.dated(replace(cluster, last_s=1e12))).n == 8.0


def test_however_old_no_sum_becomes_zero() -> None:
    [outcome] = outcomes([1.0])
    aged = Ageing(at_s=1e15, half_life_s=1.0).current(outcome.as_cluster(0.3))
    assert aged.n > 0.0
    assert np.isfinite(aged.centroid).all()


def test_a_cluster_that_nothing_joins_stays_the_same_object() -> None:
    rules = AgeingRules(half_life_s=HALF_LIFE)
    first, _ = cycle(nothing(), outcomes([DAY]), rules.at(DAY))
    other = replace(outcomes([20 * DAY])[0], id="other", embedding=unit(np.ones(DIM, dtype=np.float32)), action="b")
    second, _ = cycle(first, [other], rules.at(20 * DAY))
    assert any(cluster is first.clusters[0] for cluster in second.clusters)
    assert len(second.clusters) == 2


def test_without_rules_nothing_ages() -> None:
    assert NO_AGEING.at(5.0) is None
    assert NO_AGEING.on_grid(5.0) is None


def test_what_is_too_old_goes_and_is_counted() -> None:
    rules = AgeingRules(ttl_s=30 * DAY)
    first, expired = cycle(nothing(), outcomes([DAY]), rules.at(2 * DAY))
    assert (len(first.clusters), expired) == (1, 0)
    second, expired = cycle(first, [], rules.at(31 * DAY - 1.0))
    assert (len(second.clusters), expired) == (1, 0)
    third, expired = cycle(second, [], rules.at(31 * DAY))
    assert (len(third.clusters), expired) == (0, 1)
    # Newer evidence keeps the older that it joined.
    kept, _ = cycle(first, [replace(outcomes([20 * DAY])[0], id="newer")], rules.at(20 * DAY))
    assert (len(kept.clusters), cycle(kept, [], rules.at(45 * DAY))[1]) == (1, 0)
    # An outcome that comes much too late is not learned at all.
    late, expired = cycle(nothing(), outcomes([DAY]), rules.at(60 * DAY))
    assert (len(late.clusters), expired) == (0, 1)


def test_an_outcome_without_a_time_or_from_the_future_counts_as_of_now() -> None:
    ageing = AgeingRules(half_life_s=HALF_LIFE, ttl_s=30 * DAY).at(60 * DAY)
    learned, expired = cycle(nothing(), outcomes([0.0, 9_000 * DAY]), ageing)
    assert (expired, [c.n for c in learned.clusters], [c.last_s for c in learned.clusters]) == (0, [2.0], [60 * DAY])


def pin_of(cluster: Cluster) -> Pin:
    return Pin(id=cluster.id, family=family_of(cluster), direction=cluster.centroid)


def test_what_is_pinned_neither_decays_nor_expires() -> None:
    first, _ = cycle(nothing(), outcomes([DAY, DAY]), None)
    [cluster] = first.clusters
    rules = AgeingRules(half_life_s=HALF_LIFE, ttl_s=30 * DAY, pins=Pins([pin_of(cluster)]))
    old = rules.at(900 * DAY)
    assert old is not None
    assert old.current(cluster) is cluster
    after, expired = cycle(first, [], old)
    assert (after.clusters, expired) == (first.clusters, 0)
    # Another action in the same place, and the same action in another place, are not covered.
    elsewhere = replace(cluster, sum_embedding=-cluster.sum_embedding)
    for other in (replace(cluster, action="b"), replace(cluster, positive=False), elsewhere):
        assert old.is_expired(other)
        assert old.current(other).n < cluster.n


def test_what_is_pinned_is_not_pruned() -> None:
    config = replace(CONFIG, pattern_clusters=10, min_cluster_size=3)
    rng = np.random.default_rng(5)
    [place] = outcomes([DAY])
    pinned = place.as_cluster(0.3)
    many = [
        replace(
            trajectory(f"n{i}", unit(rng.standard_normal(DIM).astype(np.float32)), 1.0, action=f"x{i}"), at_s=50 * DAY
        ).as_cluster(0.3)
        for i in range(20)
    ]
    assert pinned.id not in {c.id for c in regroup([pinned], many, config, np.random.default_rng(0)).clusters}
    grouping = regroup([pinned], many, config, np.random.default_rng(0), Pins([pin_of(pinned)]))
    assert pinned in grouping.clusters
    assert len(grouping.clusters) == 11


def test_pins_beyond_the_bound_keep_one_cluster_each() -> None:
    config = replace(CONFIG, pattern_clusters=10, join_similarity=0.9999)
    new = [t.as_cluster(0.3) for t in outcomes([DAY] * 30)]
    grouping = regroup((), new, config, np.random.default_rng(0), Pins([pin_of(new[0])]))
    assert [cluster.n for cluster in grouping.clusters] == [30.0]


def test_the_bank_ages_in_steps() -> None:
    rules = AgeingRules(half_life_s=100 * DAY, ttl_s=1_000 * DAY)
    keys = {ageing.key for hour in range(96) if (ageing := rules.on_grid(5_000 * DAY + hour * 3600.0))}
    # Expiry once an hour; the weights once a day, a hundredth of the half-life.
    assert len(keys) == 96
    times = {ageing.at_s for hour in range(96) if (ageing := rules.on_grid(5_000 * DAY + hour * 3600.0))}
    assert len(times) == 4
    first = rules.on_grid(5_000 * DAY)
    assert first is not None
    assert first.key == (rules.on_grid(5_000 * DAY + 1.0) or first).key
