"""What the tests of the numeric core share: small worlds, clusters and engines, and the state of an engine as bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import settings

from swarm.sona import Cluster, SonaConfig, SonaEngine, Tally, Trajectory, save
from swarm.sona.vectors import Vector, unit, unit_rows

DIM = 16
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
"""Property tests draw the same examples in every run."""


def unit_vectors(rng: np.random.Generator, n: int, dim: int = DIM) -> Vector:
    """n random directions, of shape (n, dim)."""
    return unit_rows(rng.standard_normal((n, dim)).astype(np.float32))


def near(rng: np.random.Generator, centre: Vector, spread: float) -> Vector:
    """A unit vector near `centre`: noise of expected length `spread` is added to it."""
    noise = rng.standard_normal(centre.shape).astype(np.float32) * np.float32(spread / np.sqrt(len(centre)))
    return unit((centre + noise).astype(np.float32))


def cluster(
    name: str,
    embedding: npt.ArrayLike,
    *,
    action: str = "a",
    n: float = 1.0,
    quality: float = 1.0,
    positive: bool = True,
    agents: dict[str, Tally] | None = None,
    first_s: float = 0.0,
) -> Cluster:
    """A cluster of n outcomes with the mean quality `quality`, all at `embedding`."""
    return Cluster(
        id=name,
        action=action,
        positive=positive,
        response=f"do {action}",
        sum_embedding=n * np.array(embedding, dtype=np.float64),
        n=n,
        sum_quality=n * quality,
        sum_quality2=n * quality**2,
        agents=agents or {"self": Tally(n=n, sum_quality=n * quality)},
        first_s=first_s,
        last_s=first_s,
    )


def trajectory(name: str, embedding: Vector, quality: float = 1.0, **values: object) -> Trajectory:
    """A trajectory without steps; further fields by name."""
    return Trajectory(id=name, embedding=embedding, quality=quality, **values)  # type: ignore[arg-type]


def record(engine: SonaEngine, x: object, action: str, quality: float) -> None:
    """One outcome through the recording interface."""
    trajectory_id = engine.begin_trajectory(x)
    engine.use_pattern(trajectory_id, action)
    engine.end_trajectory(trajectory_id, quality)


def seeded(centres: Vector, config: SonaConfig) -> SonaEngine:
    """An engine that knows one success for each of `centres`, action by position, and nothing else."""
    engine = SonaEngine(config)
    for k, centre in enumerate(centres):
        record(engine, centre, str(k), 1.0)
    engine.force_learn()
    return engine


def state(engine: SonaEngine) -> bytes:
    """Everything that is saved of an engine, with its statistics, as bytes."""
    file = io.BytesIO()
    save(engine, file)
    return file.getvalue() + str(engine.get_stats()).encode()


@dataclass(frozen=True, slots=True)
class World:
    """A bandit problem: each class has a centre that is known and queries that lie elsewhere.

    Queries of class k are `bend @ centre_k` with noise. Only whether the tried class was right is ever told.
    """

    centres: Vector
    bend: Vector
    spread: float

    @classmethod
    def make(cls, seed: int, *, classes: int = 12, dim: int = 32, spread: float = 0.35) -> World:
        """A world whose bend has rank 6: queries of some classes are pulled beyond the centres of others."""
        rng = np.random.default_rng(seed)
        centres = unit_vectors(rng, classes, dim)
        bend = np.eye(dim, dtype=np.float32)
        for _ in range(6):
            source, target = rng.choice(classes, 2, replace=False)
            bend += np.float32(2.2) * np.outer(centres[target], centres[source])
        return cls(centres, bend, spread)

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Vector, list[int]]:
        """n queries of shape (n, d), and their classes."""
        labels = rng.integers(len(self.centres), size=n).tolist()
        clean = unit_rows(self.centres[labels] @ self.bend.T)
        return np.array([near(rng, row, self.spread) for row in clean]), labels


def success(engine: SonaEngine, queries: Vector, labels: Sequence[int]) -> float:
    """Share of the queries for which the best action is the right one."""
    return float(np.mean([engine.rank_actions(x, 1)[0].action == str(k) for x, k in zip(queries, labels, strict=True)]))


def adapted_success(engine: SonaEngine, queries: Vector, labels: Sequence[int]) -> float:
    """The same for the nearest prototype to the adapted query: what the adapter alone has learned."""
    candidates = engine.bank.index.candidates()
    names = list(candidates.rows)
    nearest = (engine.apply_lora(queries) @ candidates.prototypes.T).argmax(axis=1)
    return float(np.mean([names[row] == str(k) for row, k in zip(nearest.tolist(), labels, strict=True)]))


def bandit(
    engine: SonaEngine, world: World, seed: int, *, n: int = 1600, keep_clusters: bool = False, coin: bool = False
) -> None:
    """Let the engine act n times and tell it right or wrong about what it tried, with a cycle every 200.

    `keep_clusters` puts the clusters of the start back after each cycle, so that only the adapter learns; `coin`
    tells a coin instead of the truth.
    """
    rng = np.random.default_rng([seed, 1])
    queries, labels = world.draw(rng, n)
    parts = engine.bank.parts
    for i, (x, label) in enumerate(zip(queries, labels, strict=True)):
        action = engine.rank_actions(x, 1)[0].action
        right = bool(rng.random() < 0.5) if coin else action == str(label)
        record(engine, x, action, float(right))
        if (i + 1) % 200 == 0:
            engine.force_learn()
            if keep_clusters:
                engine.bank.replace(parts, engine.bank.silent)
