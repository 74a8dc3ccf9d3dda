"""The merge: the bank is a function of the agents' current generations, whatever the order and the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarm_support import Report, outcomes_in, some_outcome, some_vector

from swarm.services.background import Background
from swarm.services.labels import label_patterns
from swarm.services.merge import MERGE_SIMILARITY, Merger, bank_of, merge_agents
from swarm.services.receipts import ReceiptState
from swarm.services.route_update import RouteMerger
from swarm.services.swarm import Swarm
from swarm.sona.clusters import Cluster
from swarm.sona.standing import Verdict
from swarm.store.connection import Client
from swarm.wire.records import encode_cluster


def near(region: int, number: int) -> Cluster:
    """A cluster of one outcome in one of a few regions, so that agents meet there."""
    vector = some_vector(region) + 0.02 * some_vector(10_000 + number)
    outcome = replace(some_outcome(number), embedding=vector, id=f"t{number}")
    return replace(outcome, action=f"action-{region % 3}").as_cluster(0.3)


@st.composite
def swarms(draw: st.DrawFn) -> list[list[Cluster]]:
    """The clusters of a few agents; trajectories have ids of their own."""
    parts: list[list[Cluster]] = []
    number = 0
    for agent in range(draw(st.integers(1, 4))):
        clusters = []
        for region in draw(st.lists(st.integers(0, 5), max_size=6)):
            number += 1
            cluster = near(region, number)
            clusters.append(replace(cluster, agents={f"agent-{agent}": cluster.agents["coder-1"]}))
        parts.append(clusters)
    return parts


def stored(patterns: Sequence[Cluster]) -> dict[str, bytes]:
    return {pattern.id: encode_cluster(pattern) for pattern in patterns}


@given(swarms(), st.randoms())
def test_the_order_of_the_agents_does_not_matter(parts: list[list[Cluster]], random: st.RandomRandomModule) -> None:  # type: ignore[name-defined]
    other = [random.sample(part, len(part)) for part in random.sample(parts, len(parts))]
    assert stored(merge_agents(other)) == stored(merge_agents(parts))


@given(swarms())
def test_the_totals_are_those_of_the_parts(parts: list[list[Cluster]]) -> None:
    patterns = merge_agents(parts)
    alone = [cluster for part in parts for cluster in part]
    for name in ("n", "sum_quality", "sum_quality2"):
        assert sum(getattr(p, name) for p in patterns) == pytest.approx(sum(getattr(c, name) for c in alone))
    assert tallies(patterns) == pytest.approx(tallies(alone))
    for pattern in patterns:
        assert sum(tally.n for tally in pattern.agents.values()) == pytest.approx(pattern.n)
        assert sum(pattern.task_types.values()) == pytest.approx(pattern.n)


def tallies(clusters: Sequence[Cluster]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for cluster in clusters:
        for name, tally in cluster.agents.items():
            found[f"{name} n"] += tally.n
            found[f"{name} quality"] += tally.sum_quality
    return dict(found)


@given(swarms())
def test_only_clusters_of_one_action_and_sign_become_one_pattern(parts: list[list[Cluster]]) -> None:
    alone: dict[tuple[str, bool], float] = defaultdict(float)
    merged: dict[tuple[str, bool], float] = defaultdict(float)
    for cluster in (cluster for part in parts for cluster in part):
        alone[cluster.action, cluster.positive] += cluster.n
    for pattern in merge_agents(parts):
        merged[pattern.action, pattern.positive] += pattern.n
    assert merged == pytest.approx(alone)


@given(swarms())
def test_the_parts_are_left_as_they_were(parts: list[list[Cluster]]) -> None:
    before = [stored(part) for part in parts]
    merge_agents(parts)
    assert [stored(part) for part in parts] == before


def test_what_two_agents_learned_in_one_place_is_one_pattern_with_both_tags() -> None:
    one = replace(near(1, 1), agents={"a": near(1, 1).agents["coder-1"]})
    two = replace(near(1, 3), agents={"b": near(1, 3).agents["coder-1"]})
    [pattern] = merge_agents([[one], [two]])
    assert (pattern.n, pattern.agents["a"].n, pattern.agents["b"].n) == (2.0, 1.0, 1.0)
    assert float(one.centroid.dot(two.centroid)) >= MERGE_SIMILARITY


def test_no_agents_make_no_patterns() -> None:
    assert merge_agents([]) == merge_agents([[], []]) == []


def test_the_bank_equals_a_merge_from_scratch_after_every_generation(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    for round_ in range(4):
        for number, agent in enumerate(("a", "b", "c")):
            if (round_ + number) % 3:
                report(agent, 40 * round_, 40 * (round_ + 1))
                background.consolidate(agent, "worker", 0.0)
        background.merge("worker", 0.0)
        states = swarm.agents.states(swarm.agents.names())
        parts = {name: swarm.agents.clusters(name) for name in states}
        patterns = bank_of(parts, {name: state.verdict for name, state in states.items()})
        expected = {p.id: (p.n, p.sum_quality, dict(p.agents)) for p in patterns}
        assert {p.id: (p.n, p.sum_quality, dict(p.agents)) for p in swarm.bank.patterns()} == expected
        counted = [state.processed for state in states.values() if state.verdict is not Verdict.QUARANTINED]
        assert outcomes_in(swarm.bank.patterns()) == sum(counted)


def test_a_new_generation_replaces_the_old_one_instead_of_adding_to_it(
    swarm: Swarm, background: Background, report: Report
) -> None:
    for last in (10, 20, 30):
        report("a", last - 10, last)
        background.consolidate("a", "worker", 0.0)
        assert background.merge("worker", 0.0)["status"] == "published"
        assert outcomes_in(swarm.bank.patterns()) == last


def test_another_worker_goes_on_where_the_first_one_stopped(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    report("a", 0, 10)
    report("b", 0, 10)
    background.drain(0.0)
    report("a", 10, 20)
    other = Background(swarm.settings, client)
    other.drain(0.0)
    report("b", 10, 20)
    # The first one's memory is two generations old by now.
    background.drain(0.0)
    assert outcomes_in(swarm.bank.patterns()) == 40
    assert stored_counts(swarm) == {"a": 20.0, "b": 20.0}


def stored_counts(swarm: Swarm) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for pattern in swarm.bank.patterns():
        for name, tally in pattern.agents.items():
            found[name] += tally.n
    return dict(found)


def test_a_merge_with_nothing_new_writes_nothing(swarm: Swarm, background: Background, report: Report) -> None:
    report("a", 0, 5)
    background.drain(0.0)
    version = swarm.bank.version()
    assert background.merge("worker", 0.0)["status"] == "idle"
    assert (swarm.bank.version(), swarm.bank.merges()) == (version, 1)


def test_a_merge_publishes_only_what_changed(swarm: Swarm, background: Background, report: Report) -> None:
    report("a", 0, 10)
    report("b", 50, 60)
    background.drain(0.0)
    version = swarm.bank.version()
    report("b", 100, 101)
    background.consolidate("b", "worker", 0.0)
    found = background.merge("worker", 0.0)
    assert (found["put"], found["removed"]) == (1, 0)
    changes = swarm.bank.changes_since(version)
    assert changes is not None
    assert len(changes.put) == 1


def test_while_somebody_else_has_the_lease_the_merge_waits(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    report("a", 0, 5)
    background.consolidate("a", "worker", 0.0)
    lease = swarm.bank.lease(30.0)
    assert lease is not None
    assert background.merge("worker", 0.0)["status"] == "busy"
    assert swarm.bank.count() == 0
    routes = RouteMerger(swarm.agents, swarm.router.store)
    merger = Merger(swarm.agents, swarm.bank, routes, 30.0)
    assert merger.is_due()
    lease.release()
    assert merger.run().status == "published"
    assert not merger.is_due()


def test_an_outcome_is_not_called_searchable_before_its_generation_is_merged(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("a", 0, 5)
    background.drain(0.0)
    report("a", 5, 10)
    background.consolidate("a", "worker", 0.0)
    assert swarm.receipt("a", "a-4").state is ReceiptState.SEARCHABLE
    assert swarm.receipt("a", "a-5").state is ReceiptState.CONSOLIDATED


def test_patterns_have_labels_from_their_words(swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("decode a JSON document", "json")
    swarm.store_pattern("decode a compressed archive", "zipfile")
    background.drain(0.0)
    labels = {pattern.response: pattern.label for pattern in swarm.bank.patterns()}
    assert "json" in labels["json"]
    assert "archive" in labels["zipfile"]


def test_labels_hang_on_the_bank_alone_and_not_on_its_history(swarm: Swarm, background: Background) -> None:
    tasks = [("decode a JSON document", "json"), ("decode an archive", "zipfile"), ("archive a JSON document", "tar")]
    for number, (task, output) in enumerate(tasks):
        swarm.store_pattern(task, output)
        if number != 1:
            background.drain(0.0)
    patterns = swarm.bank.patterns()
    assert [pattern.label for pattern in label_patterns(patterns)] == [pattern.label for pattern in patterns]
    assert len({pattern.label for pattern in patterns}) == 3


def test_texts_without_words_make_patterns_without_labels(swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("???", "!!!")
    background.drain(0.0)
    assert [pattern.label for pattern in swarm.bank.patterns()] == [""]
