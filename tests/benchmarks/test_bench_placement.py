"""Placement, measured on made-up runs and texts whose right figures are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_placement import measure, seed_of_runs
from benchmarks.harness import run_benchmark
from benchmarks.trajectories import load_agent_trajectories

KINDS, PER_KIND, AGENTS, DIM = 15, 6, 3, 384


@pytest.fixture
def runs(folder: Callable[..., Path]) -> Path:
    """Fifteen kinds of task along as many directions; each of three agents can do five of them, and nothing else."""
    rng = np.random.default_rng(3)
    tasks, rows, found = [], [], []
    for kind in range(KINDS):
        for i in range(PER_KIND):
            name = f"t{kind}.{i}"
            tasks.append({"task_id": name, "domain": "d", "query": f"do {name}", "template": f"k{kind}"})
            rows.append(np.eye(DIM)[kind] + 0.03 * rng.standard_normal(DIM))
            found += [
                {
                    "task_id": name,
                    "agent": f"agent{k}",
                    "success": int(kind % AGENTS == k),
                    "calls": [f"tool{kind}(x={i})"],
                }
                for k in range(AGENTS)
            ]
    return folder(tasks=tasks, trajectories=found, emb={"tasks": np.array(rows, dtype=np.float32)})


def test_each_task_goes_to_the_agent_that_can_do_such_tasks(runs: Path) -> None:
    found = seed_of_runs(load_agent_trajectories(runs), 0)
    assert (found["placed"], found["possible"]) == (1.0, 1.0)
    assert found["random"] == pytest.approx(1 / AGENTS)
    assert found["best_agent"] < 0.7


def test_the_command_prints_one_object(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(runs), "--seeds", "1", "--json", "--plot", str(tmp_path / "plot.png")]
    run_benchmark("bench_placement", "", measure, arguments)
    found = json.loads(capsys.readouterr().out)
    assert found["bench"] == "bench_placement"
    assert {"placed", "random", "best_agent", "possible", "placed_no_template"} <= found["metrics"].keys()


def test_of_texts_the_owner_of_the_domain_is_found(
    folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, rows, vectors = np.random.default_rng(5), [], []
    for label in range(6):
        for i in range(24):
            split = "test" if i % 4 == 3 else "train"
            rows.append({"text": f"text {label} {i}", "label": f"l{label}", "split": split, "domain": f"d{label // 2}"})
            vectors.append(np.eye(DIM)[label] + 0.1 * rng.standard_normal(DIM))
    data = folder(data=rows, emb={"embedding": np.array(vectors, dtype=np.float32)})
    arguments = ["--data", str(data), "--seeds", "1", "--json", "--plot", str(tmp_path / "plot.png")]
    run_benchmark("bench_placement", "", measure, arguments)
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["placed"]["mean"] >= metrics["random"]["mean"]
    assert metrics["owner"]["mean"] <= metrics["possible"]["mean"] <= 1.0
