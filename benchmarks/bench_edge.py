"""The memory of an engine of preset `edge_deployment`, full: `python -m benchmarks.bench_edge --json`.

`full_mb` is what the engine holds when every bound of it is reached: clusters of both signs, outcomes to rehearse, the
memory of several tasks, ended trajectories that can still be named, and as many waiting as there is room for, each with
three steps, a text and a response. `peak_mb` is the most while it learned, in the background cycle that many outcomes
wait for. Both are megabytes (10^6 bytes) that Python and NumPy allocated for it, by tracemalloc; `rss_mb` is by how
much the process grew meanwhile, tracemalloc's own books included, in whole pages. The promise is `full_mb` below 5, at
256 dimensions: vectors are most of it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import gc
import json
import tracemalloc
from dataclasses import asdict, dataclass

import numpy as np
import psutil

from swarm.sona import SonaConfig, SonaEngine
from swarm.sona.vectors import Vector, unit

PROMISED_MB = 5.0
_ACTIONS = 120
_TASKS = 3
_CYCLES_A_TASK = 3
_STEPS = 3
_TEXT = 200
"""Characters of a task, and of a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was measured, and how full the engine was."""

    dim: int
    full_mb: float
    peak_mb: float
    rss_mb: float
    promised_mb: float
    clusters: int
    waiting: int
    rehearsed: int
    tasks: int

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept."""
        return self.full_mb < self.promised_mb


def measure(dim: int, preset: str = "edge_deployment") -> Memory:
    """Fill an engine to its bounds and look what it holds."""
    rng, process = np.random.default_rng(0), psutil.Process()
    # What is loaded and cached by the first use is no part of an engine.
    _fill(SonaEngine(SonaConfig.preset(preset, dim=dim)), rng, tasks=1)
    gc.collect()
    rss = process.memory_info().rss
    tracemalloc.start()
    try:
        engine = SonaEngine(SonaConfig.preset(preset, dim=dim))
        _fill(engine, rng, tasks=_TASKS)
        gc.collect()
        full, peak = tracemalloc.get_traced_memory()
        grown = process.memory_info().rss - rss
    finally:
        tracemalloc.stop()
    stats = engine.get_stats()
    return Memory(
        dim=dim,
        full_mb=round(full / 1e6, 3),
        peak_mb=round(peak / 1e6, 3),
        rss_mb=round(grown / 1e6, 3),
        promised_mb=PROMISED_MB,
        clusters=stats.patterns,
        waiting=stats.trajectories_buffered,
        rehearsed=len(engine.reservoir),
        tasks=stats.ewc_tasks,
    )


def _fill(engine: SonaEngine, rng: np.random.Generator, tasks: int) -> None:
    """Several tasks with queries of their own, then as many outcomes as may wait."""
    for _ in range(tasks):
        centres = rng.standard_normal((_ACTIONS, engine.config.dim)).astype(np.float32)
        for _ in range(_CYCLES_A_TASK):
            _record_until_full(engine, centres, rng)
            engine.force_learn()
    _record_until_full(engine, centres, rng)


def _record_until_full(engine: SonaEngine, centres: Vector, rng: np.random.Generator) -> None:
    for number in range(engine.config.trajectory_capacity):
        k = int(rng.integers(_ACTIONS))
        noise = rng.standard_normal((1 + _STEPS, engine.config.dim)).astype(np.float32)
        trajectory = engine.begin_trajectory(unit(centres[k] + np.float32(0.5) * noise[0]))
        action = f"action-{int(rng.integers(_ACTIONS)) if number % 2 else k}"
        engine.use_pattern(trajectory, action, f"{action} ".ljust(_TEXT, "y"))
        engine.add_context(trajectory, f"task {number} ".ljust(_TEXT, "x"))
        for step in range(_STEPS):
            engine.add_step(trajectory, unit(noise[1 + step]), None, float(rng.random()))
        engine.end_trajectory(trajectory, float(number % 2 == 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--preset", default="edge_deployment")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.dim, options.preset)
    if options.json:
        print(json.dumps({"bench": "edge", "preset": options.preset, **asdict(found)}))
    else:
        print(
            f"{options.preset}, d = {found.dim}: {found.full_mb} MB full, {found.peak_mb} MB at its peak while learning"
        )


if __name__ == "__main__":
    main()
