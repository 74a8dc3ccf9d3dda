"""The metric of what does not matter among the tasks of one action."""

from __future__ import annotations

import numpy as np
import pytest

from swarm.errors import BoundsError, ShapeError
from swarm.sona.clusters import Cluster
from swarm.sona.metric import Metric
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Doubles, unit_rows


def cluster(embedding: object, action: str, name: str, quality: float = 1.0) -> Cluster:
    row = np.asarray(embedding, dtype=np.float32)
    return Trajectory(id=name, embedding=row, quality=quality, action=action).as_cluster(0.3)


def some_clusters(seed: int = 0, dim: int = 6) -> list[Cluster]:
    rng = np.random.default_rng(seed)
    return [cluster(rng.standard_normal(dim), f"a{i % 3}", str(i)) for i in range(12)]


def slow_matrix(clusters: list[Cluster], ridge: float) -> Doubles:
    """The module's formulas, one cluster at a time."""
    d = len(clusters[0].centroid)
    scatter, total = np.zeros((d, d)), 0.0
    for action in {c.action for c in clusters}:
        family = [c for c in clusters if c.action == action]
        mean = sum(c.n * c.centroid.astype(np.float64) for c in family) / sum(c.n for c in family)
        for c in family:
            scatter += c.n * np.outer(c.centroid - mean, c.centroid - mean)
            total += c.n
    spread = np.trace(scatter) / total / d
    values, directions = np.linalg.eigh((scatter + ridge * spread * np.eye(d)) / (total + ridge) / spread)
    return np.asarray(directions @ np.diag(values**-0.5) @ directions.T)


def test_the_matrix_is_that_of_the_formula() -> None:
    clusters = some_clusters()
    matrix = Metric.within_actions(clusters, 6, ridge=2.0).matrix
    assert matrix is not None
    np.testing.assert_allclose(matrix, slow_matrix(clusters, 2.0), atol=1e-5)


def test_without_two_tasks_of_one_action_it_is_the_identity() -> None:
    x = np.eye(4, dtype=np.float32)[:2]
    metric = Metric.within_actions([cluster(x[0], "a", "0"), cluster(x[1], "b", "1")], 4)
    assert metric.matrix is None
    assert metric.apply(x).tobytes() == x.tobytes()
    assert Metric.within_actions([], 4).matrix is None
    assert Metric.within_actions([cluster(x[0], "a", "0"), cluster(x[0], "a", "1")], 4).matrix is None


def test_what_varies_within_an_action_counts_less() -> None:
    # Tasks of each action differ along the third direction, the actions along the first two.
    clusters = [cluster([1, 0, v], "a", f"a{v}") for v in (-0.5, 0, 0.5)] + [
        cluster([0, 1, v], "b", f"b{v}") for v in (-0.5, 0, 0.5)
    ]
    query = unit_rows(np.array([[1.0, 0.2, 1.5], [0.2, 1.0, 1.5]], dtype=np.float32))
    mapped = Metric.within_actions(clusters, 3, ridge=1.0).apply(query)
    assert query[0] @ query[1] > 0.7
    assert mapped[0] @ mapped[1] < 0.6


def test_failures_say_nothing_about_it() -> None:
    clusters = some_clusters()
    failed = [cluster(np.arange(6) + i, "a0", f"f{i}", quality=0.0) for i in range(3)]
    with_failures = Metric.within_actions([*clusters, *failed], 6).matrix
    without = Metric.within_actions(clusters, 6).matrix
    assert with_failures is not None
    assert without is not None
    assert with_failures.tobytes() == without.tobytes()


def test_the_order_of_clusters_does_not_matter() -> None:
    clusters = some_clusters()
    first, second = (Metric.within_actions(order, 6).matrix for order in (clusters, clusters[::-1]))
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_clusters_and_queries_are_mapped_alike_and_inputs_stay() -> None:
    clusters = some_clusters()
    before = clusters[0].sum_embedding.copy()
    metric = Metric.within_actions(clusters, 6)
    mapped = metric.mapped(clusters)
    np.testing.assert_allclose(mapped[0].centroid, metric.apply(clusters[0].centroid), atol=1e-6)
    assert clusters[0].sum_embedding.tobytes() == before.tobytes()
    assert (mapped[0].n, mapped[0].id) == (clusters[0].n, clusters[0].id)


def test_a_batch_is_mapped_as_its_rows() -> None:
    metric = Metric.within_actions(some_clusters(), 6)
    batch = np.random.default_rng(1).standard_normal((4, 6))
    np.testing.assert_allclose(metric.apply(batch), [metric.apply(row) for row in batch], atol=1e-6)


def test_bad_values_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"must have shape \(5,\), got \(6,\)"):
        Metric.within_actions(some_clusters(), 5)
    with pytest.raises(BoundsError, match="ridge must be in"):
        Metric.within_actions([], 6, ridge=0.0)
    with pytest.raises(ShapeError, match="x must have shape"):
        Metric.within_actions([], 6).apply([1.0, 2.0])
