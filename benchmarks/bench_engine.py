"""The engine beside NumPy's floor and the published engine: `python -m benchmarks.bench_engine --json`.

Times are medians in microseconds, one thread, in process. `ratio_to_numpy` is the median of ours / NumPy over the
rounds (1 is the floor), `ratio_to_numpy_middle` where the middle half of the rounds lay (the background cycle has one
round), `ratio_to_peer` is peer / ours (how many times faster ours is). The floor is the plain expression that a
person would write for the same result, without any check; for trajectories it is the copying alone, for
`instant_step` (loop A alone) and `instant_task` (a recorded trajectory that ends in it) the update of the factors
alone, for the background cycle the k-means alone; `ratio_to_minibatch_kmeans` is that cycle / scikit-learn's
MiniBatchKMeans, which clusters the same outcomes and learns nothing else.
"""

from __future__ import annotations

import os

# Threads of BLAS on a busy machine cost far more than they give; this must stand before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from benchmarks.peer import peer_times_us
from benchmarks.timing import middle, times_us
from swarm.sona import SonaConfig, SonaEngine
from swarm.sona.instant import outcome_step
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Vector, unit_rows

PATTERNS = 100
BACKGROUND = 10_000
_STEPS = 3


class Workload:
    """Seeded queries around `PATTERNS` centres, as the peer's script makes them."""

    def __init__(self, dim: int) -> None:
        self.rng = np.random.default_rng(7)
        self.dim = dim
        self.centres = unit_rows(self.rng.standard_normal((PATTERNS, dim)).astype(np.float32))
        # Vectors of their own, as a caller has them; rows of one array would have to be cut out at every use.
        self.pool = list(self.sample(512))
        self.attention = self.rng.random(8).astype(np.float32)

    def sample(self, n: int) -> Vector:
        noise = 0.7 / np.sqrt(self.dim) * self.rng.standard_normal((n, self.dim))
        return unit_rows((self.centres[np.arange(n) % PATTERNS] + noise).astype(np.float32))

    def engine(self, capacity: int = 50_000) -> SonaEngine:
        """An engine that has met every centre, so both tiers are trained and the bank holds `PATTERNS`."""
        engine = SonaEngine(SonaConfig(dim=self.dim, trajectory_capacity=capacity))
        for _ in range(2):
            for i, query in enumerate(self.sample(10 * PATTERNS)):
                self.record(engine, query, i)
            engine.force_learn()
        return engine

    def record(self, engine: SonaEngine, query: Vector, i: int) -> None:
        """One trajectory of three steps that names the action it tried."""
        trajectory = engine.begin_trajectory(query)
        engine.use_pattern(trajectory, f"action-{i % PATTERNS}")
        for step in range(_STEPS):
            engine.add_step(trajectory, self.pool[(i * 7 + step) % 512], self.attention, 0.3 + 0.3 * step)
        engine.end_trajectory(trajectory, 0.5 + 0.05 * (i % 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """One background cycle over `BACKGROUND` outcomes beside two clusterings of them, and how many it trained on."""

    ours_us: float
    numpy_us: float
    minibatch_kmeans_us: float
    trained_on: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Microseconds of ours and of NumPy's floor by key, and the ratios of ours to it: median, middle half."""

    ours: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    ratio: dict[str, float] = field(default_factory=dict)
    middle: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, key: str, ours: Sequence[float], floor: Sequence[float]) -> None:
        """What was timed in the same rounds."""
        ratios = [mine / plain for mine, plain in zip(ours, floor, strict=True)]
        self.ours[key], self.floor[key] = statistics.median(ours), statistics.median(floor)
        self.ratio[key], self.middle[key] = statistics.median(ratios), middle(ratios)


def measure(dim: int, rounds: int) -> tuple[Times, Background]:
    """All times, and the background cycle."""
    work = Workload(dim)
    times = Times()
    recorder, learner = SonaEngine(SonaConfig(dim=dim)), work.engine()
    recorder.set_enabled(False)  # recording alone: what the instant loop costs is a figure of its own

    def tidy() -> None:
        # As a background cycle that comes in time would: the buffers stay short.
        recorder.discard()
        learner.discard()

    for key, (mine, plain) in _pairs(work, recorder, learner).items():
        batch = 200 if dim <= 1024 else 50
        found = times_us({"ours": mine, "numpy": plain}, rounds=rounds, batch=batch, tidy=tidy)
        times.add(key, found["ours"], found["numpy"])
    background = _background(work)
    times.add("background_10k", [background.ours_us], [background.numpy_us])
    return times, background


def _pairs(
    work: Workload, recorder: SonaEngine, learner: SonaEngine
) -> dict[str, tuple[Callable[[int], object], Callable[[int], object]]]:
    engine, pool = work.engine(), work.pool
    micro, base = engine.adapter.micro, engine.adapter.base[0]
    clusters = engine.bank.clusters()
    centroids = np.array([cluster.centroid for cluster in clusters])
    attention, rewards = work.attention, (0.3, 0.6, 0.9)

    def trajectory(i: int) -> None:
        opened = recorder.begin_trajectory(pool[i % 512])
        for step, reward in enumerate(rewards):
            recorder.add_step(opened, pool[(i * 7 + step) % 512], attention, reward)
        recorder.end_trajectory(opened, 0.75)

    recent = [f"action-{i}" for i in range(PATTERNS)]

    adapter, index, config = learner.adapter, learner.bank.index, learner.config

    def instant_step(i: int) -> None:
        outcome_step(adapter, index, pool[i % 512], recent[i % PATTERNS], float(i % 2), config)

    def instant_task(i: int) -> None:
        opened = learner.begin_trajectory(pool[i % 512])
        learner.use_pattern(opened, recent[i % PATTERNS])
        learner.end_trajectory(opened, float(i % 2))
        learner.flush()

    return {
        "micro": (lambda i: engine.apply_micro_lora(pool[i % 512]), _plain_lora(micro, pool)),
        "base": (lambda i: engine.apply_base_lora(0, pool[i % 512]), _plain_lora(base, pool)),
        "trajectory": (trajectory, _plain_copies(work)),
        "find5": (lambda i: engine.find_patterns(pool[i % 512], 5), _plain_search(centroids, pool)),
        "instant_step": (instant_step, _plain_step(micro.copy(), pool)),
        "instant_task": (instant_task, _plain_step(micro.copy(), pool)),
    }


def _plain_lora(pair: LoraPair, pool: Sequence[Vector]) -> Callable[[int], object]:
    down, up, scale = pair.down, np.ascontiguousarray(pair.up.T), np.float32(pair.scale)

    def call(i: int) -> Vector:
        x = pool[i % 512]
        z = x + scale * (up @ (down @ x))
        return np.asarray(z / np.linalg.norm(z), dtype=np.float32)

    return call


def _plain_copies(work: Workload) -> Callable[[int], object]:
    pool, attention = work.pool, work.attention

    def call(i: int) -> object:
        return [pool[i % 512].copy(), *((pool[(i * 7 + s) % 512].copy(), attention.copy(), 0.3) for s in range(_STEPS))]

    return call


def _plain_search(centroids: Vector, pool: Sequence[Vector]) -> Callable[[int], object]:
    def call(i: int) -> object:
        scores = centroids @ pool[i % 512]
        top = np.argpartition(scores, -5)[-5:]
        return top[np.argsort(-scores[top])]

    return call


def _plain_step(pair: LoraPair, pool: Sequence[Vector]) -> Callable[[int], object]:
    def call(i: int) -> None:
        x, g = pool[i % 512], pool[(i + 1) % 512]
        hidden, pulled = pair.down @ x, pair.up @ g
        pair.up -= np.float32(1e-6) * np.outer(hidden, g)
        pair.down -= np.float32(1e-6) * np.outer(pulled, x)

    return call


def _background(work: Workload) -> Background:
    engine = work.engine()
    queries = work.sample(BACKGROUND)
    for i, query in enumerate(queries):
        work.record(engine, query, i)
    engine.flush()
    started = time.perf_counter()
    report = engine.force_learn()
    learned = time.perf_counter()
    _plain_kmeans(queries)
    clustered = time.perf_counter()
    MiniBatchKMeans(PATTERNS, n_init=1, random_state=0).fit(queries)
    return Background(
        ours_us=1e6 * (learned - started),
        numpy_us=1e6 * (clustered - learned),
        minibatch_kmeans_us=1e6 * (time.perf_counter() - clustered),
        trained_on=report.trained_on,
    )


def _plain_kmeans(points: Vector) -> None:
    centres = points[:PATTERNS].copy()
    for _ in range(10):
        labels = (points @ centres.T).argmax(axis=1)
        for j in range(PATTERNS):
            members = points[labels == j]
            if len(members):
                centres[j] = members.mean(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--peer", type=Path, help="folder with the peer's bench_sona.cjs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times, background = measure(options.dim, options.rounds)
    peer = peer_times_us(options.peer, options.dim)
    result = {
        "dim": options.dim,
        "rounds": options.rounds,
        "ours_us": _rounded(times.ours),
        "numpy_us": _rounded(times.floor),
        "peer_us": _rounded(peer),
        "ratio_to_peer": _rounded({key: peer[key] / times.ours[key] for key in peer}),
        "ratio_to_numpy": _rounded(times.ratio),
        "ratio_to_numpy_middle": {key: [round(low, 3), round(high, 3)] for key, (low, high) in times.middle.items()},
        "ratio_to_minibatch_kmeans": round(background.ours_us / background.minibatch_kmeans_us, 3),
        "background_trained_on": background.trained_on,
    }
    print(json.dumps(result) if options.json else _table(result))


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 3) for key, value in values.items()}


def _table(result: dict[str, object]) -> str:
    columns = ("ours_us", "numpy_us", "peer_us", "ratio_to_numpy", "ratio_to_peer")
    lines = [f"{'':16}" + "".join(f"{name:>16}" for name in columns)]
    tables = [result[name] for name in columns]
    for key in ("micro", "base", "trajectory", "find5", "instant_step", "instant_task", "background_10k"):
        cells = [table.get(key) if isinstance(table, dict) else None for table in tables]
        lines.append(f"{key:16}" + "".join(f"{'-' if cell is None else f'{cell:,.2f}':>16}" for cell in cells))
    lines.append(f"background_10k / MiniBatchKMeans: {result['ratio_to_minibatch_kmeans']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
