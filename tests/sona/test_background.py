from __future__ import annotations

import numpy as np
import pytest
from sona_support import DIM, cluster, near, trajectory, unit_vectors

from swarm.sona import CycleReport, EwcMemory, Learned, PatternIndex, SonaConfig, Trajectory, run_cycle
from swarm.sona.adapter import Adapter

CONFIG = SonaConfig(dim=DIM, base_lora_lr=0.01)


def start(seed: int = 0) -> tuple[Learned, PatternIndex, list[Trajectory]]:
    """What an agent with four patterns knows, the index of them, and sixty outcomes, some about unknown actions."""
    rng = np.random.default_rng(seed)
    centres = unit_vectors(rng, 4)
    index = PatternIndex(DIM, CONFIG.temperature, CONFIG.failure_weight)
    clusters = tuple(cluster(f"c{k}", row, action=str(k)) for k, row in enumerate(centres))
    index.replace_all(clusters)
    trajectories = []
    for i in range(60):
        k = int(rng.integers(4))
        x = near(rng, centres[k] + centres[(k + 1) % 4], 0.4)
        action = "" if i % 6 == 5 else str(k)
        trajectories.append(trajectory(f"t{i}", x, float(rng.random() < 0.8), action=action))
    base = tuple(Adapter.initial(CONFIG, np.random.default_rng(0)).base)
    return Learned(clusters=clusters, base=base, ewc=EwcMemory.empty()), index, trajectories


def run(learned: Learned, trajectories: list[Trajectory], index: PatternIndex) -> tuple[Learned, CycleReport]:
    return run_cycle(learned, trajectories, index, CONFIG, np.random.default_rng(1))


def test_a_cycle_changes_nothing_that_it_was_given() -> None:
    learned, index, trajectories = start()
    before = [pair.up.tobytes() + pair.down.tobytes() for pair in learned.base]
    held = index.clusters()
    after, report = run(learned, trajectories, index)
    assert report.promoted
    assert [pair.up.tobytes() + pair.down.tobytes() for pair in learned.base] == before
    assert (learned.ewc.tasks, after.ewc.tasks) == (0, 1)
    assert index.clusters() == held
    assert learned.clusters == held
    assert after.base is not learned.base


def test_a_cycle_reports_what_it_was_given_and_held_out() -> None:
    learned, index, trajectories = start()
    after, report = run(learned, trajectories, index)
    assert (report.outcomes, report.trained_on, report.held_out) == (60, 40, 10)
    assert report.loss_after < report.loss_before
    assert report.clusters == len(after.clusters)
    assert sum(c.n for c in after.clusters) == 4 + 60


def test_the_same_cycle_gives_the_same_bits() -> None:
    learned, index, trajectories = start()
    one, _ = run(learned, trajectories, index)
    other, _ = run(learned, trajectories, index)
    assert [pair.up.tobytes() for pair in one.base] == [pair.up.tobytes() for pair in other.base]
    assert [c.sum_embedding.tobytes() for c in one.clusters] == [c.sum_embedding.tobytes() for c in other.clusters]


@pytest.mark.parametrize("known", [True, False])
def test_outcomes_that_no_candidate_knows_still_found_clusters(known: bool) -> None:
    learned, index, trajectories = start()
    if not known:
        index.replace_all(())
        learned = Learned(clusters=(), base=learned.base, ewc=learned.ewc)
    strangers = [trajectory(t.id, t.embedding, 1.0, action="new") for t in trajectories]
    after, report = run(learned, strangers, index)
    assert (report.outcomes, report.trained_on, report.promoted) == (60, 0, False)
    assert after.base is learned.base
    assert sum(c.n for c in after.clusters if c.action == "new") == 60


def test_without_outcomes_a_cycle_leaves_everything() -> None:
    learned, index, _ = start()
    after, report = run(learned, [], index)
    assert after == learned
    assert report == CycleReport(clusters=4)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_a_handful_of_outcomes_is_learned_too(n: int) -> None:
    learned, index, trajectories = start()
    after, report = run(learned, [t for t in trajectories if t.action][:n], index)
    assert report.trained_on + (report.held_out if n == 5 else 0) == n
    assert sum(c.n for c in after.clusters) == 4 + n
    assert report.promoted


def test_the_fisher_information_of_a_promoted_cycle_is_remembered_at_its_weights() -> None:
    learned, index, trajectories = start()
    after, _ = run(learned, trajectories, index)
    parameters = [array for pair in after.base for array in (pair.up, pair.down)]
    assert after.ewc.penalty(parameters, 2000.0) == pytest.approx(0.0, abs=1e-3)
    assert all((array >= 0).all() and array.any() for array in after.ewc.importance)
    moved = [p + np.float32(0.1) for p in parameters]
    assert after.ewc.penalty(moved, 2000.0) > 0.0
