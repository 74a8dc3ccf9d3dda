"""Recall: past solutions in the metric in which what does not matter counts less."""

from __future__ import annotations

import numpy as np

from swarm.sona import SonaConfig, SonaEngine, Trajectory
from swarm.sona.recall import Recall
from swarm.sona.vectors import Vector, unit_rows

DIM = 16
CONFIG = SonaConfig(dim=DIM, join_similarity=1.0)


def tasks(n: int, seed: int) -> tuple[Vector, list[str]]:
    """Queries whose first two coordinates decide the action, while large differences elsewhere do not matter."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, DIM), dtype=np.float32)
    kinds = rng.integers(2, size=n)
    x[np.arange(n), kinds] = 0.6
    x[:, 2:] = rng.standard_normal((n, DIM - 2)) * 0.5
    return unit_rows(x), [f"plan {kind}" for kind in kinds]


def taught(n: int = 200) -> SonaEngine:
    engine = SonaEngine(CONFIG)
    for i, (x, action) in enumerate(zip(*tasks(n, 0), strict=True)):
        engine.submit_trajectory(Trajectory(id=f"t{i}", embedding=x, quality=1.0, action=action, response=action))
    engine.force_learn()
    return engine


def test_recall_finds_the_right_plan_where_plain_similarity_is_misled() -> None:
    engine = taught()
    queries, right = tasks(200, 1)
    recalled = np.mean(
        [engine.recall(x, 1)[0].cluster.action == action for x, action in zip(queries, right, strict=True)]
    )
    plain = np.mean(
        [engine.find_patterns(x, 1)[0].cluster.action == action for x, action in zip(queries, right, strict=True)]
    )
    assert recalled > plain + 0.05


def test_what_is_recalled_are_the_patterns_themselves_in_base_space() -> None:
    engine = taught(50)
    known = {cluster.id: cluster for cluster in engine.bank.clusters()}
    for hit in engine.recall(tasks(1, 2)[0][0], 5):
        assert hit.cluster is known[hit.cluster.id]


def test_new_patterns_are_recalled_after_the_next_cycle() -> None:
    engine = taught(50)
    engine.recall(tasks(1, 2)[0][0], 1)
    x = np.eye(DIM, dtype=np.float32)[5]
    engine.submit_trajectory(Trajectory(id="late", embedding=x, quality=1.0, action="late"))
    engine.force_learn()
    assert engine.recall(x, 1)[0].cluster.action == "late"


def test_an_empty_bank_recalls_nothing() -> None:
    assert Recall((), CONFIG).search(tasks(1, 0)[0][0], 5) == []
