"""Agents that live for a session hand over what they learned; a coordinator aggregates it once, in any order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, near, unit_vectors

from swarm.errors import BoundsError, EmbedderMismatchError, InputError, ShapeError
from swarm.sona import SonaConfig
from swarm.sona.clusters import Cluster, Tally
from swarm.sona.ephemeral import EphemeralAgent
from swarm.sona.export import AgentExport, check_export
from swarm.sona.federation import AggregationStatus, FederatedCoordinator

PLACES = unit_vectors(np.random.default_rng(3), 6)
SMALL = SonaConfig(dim=DIM, base_lora_rank=4)


def an_export(agent: str, outcomes: int, *, seed: int = 0, embedder: str = "") -> AgentExport:
    """What an agent exports after so many outcomes."""
    ephemeral = EphemeralAgent(agent, SMALL, embedder=embedder)
    add(ephemeral, 0, outcomes, seed)
    return ephemeral.export_state()


QUALITIES = (0.9, 0.9, 0.0, 0.9, 0.35, 0.0)
"""Of what each of the six actions achieves: one is poor, two fail."""


def add(agent: EphemeralAgent, first: int, last: int, seed: int = 0) -> None:
    """Outcomes near the six places, and a cycle halfway, so that the next one has something to train against."""
    rng = np.random.default_rng([seed, first])
    for i in range(first, last):
        k = (i + seed) % len(PLACES)
        agent.process_trajectory(near(rng, PLACES[k], 0.3), QUALITIES[k], action=str(k), response=f"do {k}")
        if i == (first + last) // 2:
            agent.force_learn()


def facts(coordinator: FederatedCoordinator) -> list[tuple[object, ...]]:
    """All that a coordinator answers, up to rounding."""
    patterns = sorted(coordinator.get_all_patterns(), key=lambda p: p.id)
    found: list[tuple[object, ...]] = [
        (p.id, p.action, p.positive, round(p.n, 9), round(p.sum_quality, 9), sorted(p.agents)) for p in patterns
    ]
    found.append(tuple(np.round(coordinator.apply_lora(PLACES), 5).ravel().tolist()))
    return found


def coordinator_of(*exports: AgentExport) -> FederatedCoordinator:
    coordinator = FederatedCoordinator(config=SonaConfig.preset("coordinator", dim=DIM))
    for export in exports:
        coordinator.aggregate(export)
    return coordinator


def test_an_export_holds_every_outcome_of_its_agent_under_its_name() -> None:
    export = check_export(an_export("scout", 20))
    assert (export.agent, export.generation, export.outcomes) == ("scout", 20, 20.0)
    assert {name for cluster in export.clusters for name in cluster.agents} == {"scout"}
    assert export.mean_quality == pytest.approx(np.mean([QUALITIES[i % 6] for i in range(20)]))


def test_successes_below_the_threshold_stay_out_and_failures_stay_in() -> None:
    export = an_export("scout", 12)
    coordinator = coordinator_of()
    assert coordinator.quality_threshold == 0.4
    result = coordinator.aggregate(export)
    poor = sum(c.n for c in export.clusters if c.positive and c.mean_quality < 0.4)
    failed = sum(c.n for c in export.clusters if not c.positive)
    assert poor == 2
    assert failed == 4
    assert result.trajectories_rejected == poor
    assert result.trajectories_accepted == 12 - poor
    kept = coordinator.get_all_patterns()
    assert sum(p.n for p in kept if not p.positive) == failed
    assert min(p.mean_quality for p in kept if p.positive) >= 0.4
    coordinator.set_quality_threshold(0.0)
    assert sum(p.n for p in coordinator.get_all_patterns()) == 12


def test_aggregating_the_same_generation_again_changes_nothing() -> None:
    export = an_export("scout", 12)
    coordinator = coordinator_of(export, an_export("other", 9, seed=2))
    before = facts(coordinator)
    result = coordinator.aggregate(export)
    assert result.status is AggregationStatus.REPEATED
    assert facts(coordinator) == before


def test_a_newer_generation_replaces_the_older_and_an_older_one_is_stale() -> None:
    agent = EphemeralAgent("scout", SMALL)
    add(agent, 0, 9)
    early = agent.export_state()
    add(agent, 9, 15)
    late = agent.export_state()
    coordinator = coordinator_of(early)
    assert coordinator.aggregate(late).status is AggregationStatus.REPLACED
    assert coordinator.contributions()["scout"].generation == 15
    assert facts(coordinator) == facts(coordinator_of(late))
    assert coordinator.aggregate(early).status is AggregationStatus.STALE
    assert facts(coordinator) == facts(coordinator_of(late))


EXPORTS = [an_export(f"agent-{i}", 6 + 3 * i, seed=i) for i in range(4)] + [an_export("agent-0", 12, seed=0)]


@PROPERTY
@given(st.permutations(range(len(EXPORTS))))
def test_the_order_of_the_exports_does_not_matter(order: list[int]) -> None:
    assert facts(coordinator_of(*(EXPORTS[i] for i in order))) == facts(coordinator_of(*EXPORTS))


def test_the_fused_adapter_is_the_weighted_average_of_what_the_agents_do() -> None:
    exports = [replace(an_export(f"a{i}", 30, seed=i), gain=gain) for i, gain in enumerate((0.1, 0.3))]
    fusion = coordinator_of(*exports).fuse(SonaConfig(dim=DIM, base_lora_rank=16))
    assert fusion is not None
    accepted = [part.trajectories for part in coordinator_of(*exports).contributions().values()]
    weights = np.array([0.1, 0.3]) * accepted
    expected = sum(
        w / weights.sum() * sum(pair.delta(PLACES) for pair in export.pairs)
        for w, export in zip(weights, exports, strict=True)
    )
    assert np.abs(fusion.pairs[0].delta(PLACES) - expected).max() < 1e-5
    assert fusion.lost < 1e-6
    assert np.abs(expected).max() > 1e-3


def test_agents_that_have_learned_nothing_do_not_thin_out_the_fused_adapter() -> None:
    trained = an_export("trained", 30)
    blank = EphemeralAgent("blank", SMALL).export_state()
    alone, beside = coordinator_of(trained), coordinator_of(trained, blank)
    assert np.abs(alone.apply_lora(PLACES) - beside.apply_lora(PLACES)).max() < 1e-6
    assert coordinator_of(blank).fuse(SMALL) is None
    assert (coordinator_of(blank).apply_lora(PLACES) == PLACES).all()


def test_what_an_agent_was_given_does_not_come_back_as_new_evidence() -> None:
    coordinator = coordinator_of(an_export("scout", 12))
    agent = coordinator.create_agent("second")
    assert agent.rank_actions(PLACES[0], 1)[0].action == "0"
    agent.process_trajectory(PLACES[0], 1.0, action="0", response="do 0")
    export = agent.export_state()
    assert export.outcomes == 1.0
    before = sum(p.n for p in coordinator.get_all_patterns())
    coordinator.aggregate(export)
    assert sum(p.n for p in coordinator.get_all_patterns()) == before + 1.0
    with pytest.raises(InputError, match="'second' has exported already"):
        coordinator.create_agent("second")


def test_the_best_known_patterns_come_first() -> None:
    coordinator = coordinator_of(*EXPORTS)
    few = coordinator.get_initial_patterns(3)
    everything = coordinator.get_all_patterns()
    assert len(few) == 3
    assert min(p.n for p in few) >= max(p.n for p in everything if p not in few)
    assert coordinator.create_agent("new", k=3).find_patterns(PLACES[0], 9)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"agent": "no name"}, InputError, "agent must be"),
        ({"generation": -1}, BoundsError, "generation"),
        ({"dim": 32}, ShapeError, "32"),
        ({"gain": float("nan")}, BoundsError, "gain"),
        ({"base": ()}, BoundsError, "base"),
        ({"agent": "somebody"}, InputError, "clusters must be of somebody alone, one is of scout"),
    ],
)
def test_a_bad_export_is_refused(change: dict[str, object], kind: type[Exception], words: str) -> None:
    coordinator = coordinator_of()
    with pytest.raises(kind, match=words):
        coordinator.aggregate(replace(an_export("scout", 6), **change))  # type: ignore[arg-type]  # is the point
    assert coordinator.agents() == []


def test_evidence_of_others_in_an_export_is_refused() -> None:
    export = an_export("scout", 6)
    stolen: Cluster = replace(export.clusters[0], agents={"scout": Tally(n=1.0), "other": Tally(n=1.0)})
    with pytest.raises(InputError, match="one is of other, scout"):
        coordinator_of(replace(export, clusters=(stolen, *export.clusters[1:])))


def test_vectors_of_two_embedders_are_not_mixed() -> None:
    coordinator = coordinator_of(an_export("scout", 6, embedder="minilm"))
    with pytest.raises(EmbedderMismatchError, match=r"'hashed'.*'minilm'"):
        coordinator.aggregate(an_export("other", 6, embedder="hashed"))
    assert coordinator.create_agent("new").embedder == "minilm"


def test_bad_input_to_an_ephemeral_agent_leaves_it_as_it_was() -> None:
    agent = EphemeralAgent("scout", SMALL)
    with pytest.raises(BoundsError, match="quality"):
        agent.process_trajectory(PLACES[0], 1.5)
    with pytest.raises(ShapeError, match="embedding"):
        agent.process_trajectory(np.ones(3), 1.0)
    assert (agent.trajectory_count, agent.export_state().outcomes) == (0, 0.0)
    with pytest.raises(ShapeError, match="base must have the shapes"):
        EphemeralAgent("scout", SMALL, base=[an_export("x", 1).micro])


def test_a_full_buffer_starts_a_cycle_by_itself() -> None:
    agent = EphemeralAgent("scout", SonaConfig(dim=DIM, trajectory_capacity=100, learn_at_utilisation=0.2))
    add(agent, 0, 20)
    assert agent.find_patterns(PLACES[0], 1)
    assert agent.avg_quality == pytest.approx(agent.export_state().mean_quality)


def test_statistics_print_as_json() -> None:
    stats = coordinator_of(*EXPORTS).get_stats()
    assert (stats.agents, stats.patterns) == (4, len(coordinator_of(*EXPORTS).get_all_patterns()))
    assert '"agents": 4' in str(stats)
