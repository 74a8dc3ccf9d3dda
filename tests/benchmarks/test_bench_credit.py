"""Credit to steps, measured on made-up runs that one tool spoils."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_credit import measure, one_seed
from benchmarks.harness import run_benchmark
from benchmarks.trajectories import load_agent_trajectories
from swarm.errors import InputError

KINDS, PER_KIND, DIM = 4, 15, 384


@pytest.fixture
def made_up(folder: Callable[..., Path]) -> Path:
    """Each kind of task needs its own tool; half the runs also call a spoiler, and with it they fail.

    A helper comes along with the spoiler and alone: whole-trajectory credit blames it, and the tools.
    """
    rng = np.random.default_rng(5)
    tasks, rows, runs = [], [], []
    for kind in range(KINDS):
        for i in range(PER_KIND):
            name = f"t{kind}.{i}"
            call = f"tool{kind}.func(i={i})"
            tasks.append({"task_id": name, "domain": "d", "query": f"do {name}", "answer": [call]})
            rows.append(np.eye(DIM)[kind] + 0.03 * rng.standard_normal(DIM))
            for agent in range(2):
                calls = [call]
                if rng.random() < 0.5:
                    calls.append("spoiler.func()")
                if rng.random() < (0.9 if len(calls) > 1 else 0.3):
                    calls.append("helper.func()")
                success = int("spoiler.func()" not in calls)
                runs.append({"task_id": name, "agent": f"agent{agent}", "success": success, "calls": calls})
    return folder(tasks=tasks, trajectories=runs, emb={"tasks": np.array(rows, dtype=np.float32)})


def test_step_credit_tells_the_spoiler_from_its_company(made_up: Path) -> None:
    data = load_agent_trajectories(made_up)
    found = [one_seed(data, seed) for seed in range(3)]
    assert np.mean([run["step_auc"] for run in found]) > 0.95
    assert all(run["gain_auc"] == run["step_auc"] - run["whole_auc"] for run in found)
    assert all(run["gain_auc"] >= 0.0 for run in found)
    assert all(run["step_top1"] == 1.0 for run in found)


def test_a_seed_gives_the_same_credit_twice(made_up: Path) -> None:
    data = load_agent_trajectories(made_up)
    assert one_seed(data, 1) == one_seed(data, 1)


def test_bench_credit_prints_one_object(made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "credit.png"
    arguments = ["--data", str(made_up), "--seeds", "1", "--json", "--plot", str(plot)]
    run_benchmark("bench_credit", "", measure, arguments)
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["seeds"]) == ("bench_credit", 1)
    assert {"step_auc", "whole_auc", "plan_auc", "step_top1", "whole_top1", "gain_auc"} <= set(found["metrics"])
    assert plot.stat().st_size > 1000


def test_runs_without_calls_give_no_credit_to_measure(folder: Callable[..., Path]) -> None:
    tasks = [{"task_id": str(i), "domain": "d", "query": f"task {i}"} for i in range(20)]
    runs = [{"task_id": str(i), "agent": "a", "success": i % 2} for i in range(20)]
    data = load_agent_trajectories(folder(tasks=tasks, trajectories=runs, emb={"tasks": np.eye(20, DIM)}))
    with pytest.raises(InputError, match="no agent has 3 successes"):
        one_seed(data, 0)
