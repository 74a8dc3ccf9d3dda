"""Sharing, measured on made-up runs whose right figures are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_sharing import measure, one_seed
from benchmarks.harness import run_benchmark
from benchmarks.plans import kinds_of
from benchmarks.scores import area_under_curve
from benchmarks.trajectories import AgentTrajectories, load_agent_trajectories
from swarm.errors import InputError, ShapeError
from swarm.sona.vectors import Flags

KINDS, PER_KIND, DIM = 8, 10, 384


@pytest.fixture
def made_up(folder: Callable[..., Path]) -> Path:
    """Eight kinds of task along eight directions; each of four agents can do two of them, others by luck."""
    rng = np.random.default_rng(3)
    tasks, rows, runs = [], [], []
    for kind in range(KINDS):
        for i in range(PER_KIND):
            name = f"t{kind}.{i}"
            call = f'tool{kind}.func(x="{i}")'
            tasks.append(
                {"task_id": name, "domain": "d", "query": f"do {name}", "template": f"k{kind}", "answer": [call]}
            )
            rows.append(np.eye(DIM)[kind] + 0.03 * rng.standard_normal(DIM))
            for agent in range(4):
                success = int(kind // 2 == agent or rng.random() < 0.1)
                calls = [call] if success else [f'tool{(kind + 1) % KINDS}.func(x="{i}")']
                runs.append({"task_id": name, "agent": f"agent{agent}", "success": success, "calls": calls})
    return folder(tasks=tasks, trajectories=runs, emb={"tasks": np.array(rows, dtype=np.float32)})


@pytest.fixture
def data(made_up: Path) -> AgentTrajectories:
    return load_agent_trajectories(made_up)


def test_a_shared_bank_holds_what_an_own_bank_lacks(data: AgentTrajectories) -> None:
    found = one_seed(data, 0)
    assert found["shared_top1"] > 0.9
    assert found["shared_plain_top1"] > 0.9
    assert found["own_top1"] < 0.75
    assert found["random_top1"] < 0.4
    assert found["own_auc"] > 0.75
    assert found["possible_top1"] == 1.0
    # Each kind has functions of its own: with its template held out nothing right is left.
    assert found["shared_no_template_top1"] == found["possible_no_template_top1"] == 0.0


def test_a_seed_gives_the_same_figures_twice(data: AgentTrajectories) -> None:
    assert one_seed(data, 1) == one_seed(data, 1)


def test_the_label_of_a_held_out_run_is_not_looked_at(data: AgentTrajectories) -> None:
    """Turning the held-out runs' own outcomes around changes no ranking."""
    cells = np.random.default_rng(0).random((4, KINDS * PER_KIND)) < 0.2
    held_out = cells[data.runs.agents, data.runs.tasks]
    turned = load_turned(data, held_out)
    first, second = one_seed(data, 0), one_seed(turned, 0)
    assert first["shared_top1"] == second["shared_top1"]
    assert first["own_top1"] == second["own_top1"]
    assert first["own_auc"] == pytest.approx(1.0 - second["own_auc"])


def load_turned(data: AgentTrajectories, held_out: Flags) -> AgentTrajectories:
    return replace(data, runs=replace(data.runs, success=data.runs.success ^ held_out))


def test_the_command_prints_one_object(made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "sharing.png"
    arguments = ["--data", str(made_up), "--seeds", "1", "--json", "--plot", str(plot)]
    run_benchmark("bench_sharing", "", measure, arguments)
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["data"], found["embedder"]) == ("bench_sharing", "made_up", "minilm")
    assert {"own_top1", "shared_top1", "shared_plain_top1", "random_top1", "own_auc", "shared_auc"} <= set(
        found["metrics"]
    )
    assert plot.stat().st_size > 1000


def test_without_a_folder_it_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run_benchmark("bench_sharing", "", measure, ["--json"])
    assert left.value.code == 2
    assert "trajectories" in capsys.readouterr().err


def test_runs_that_never_succeed_are_refused(folder: Callable[..., Path]) -> None:
    tasks = [{"task_id": str(i), "domain": "d", "query": f"task {i}"} for i in range(20)]
    runs = [{"task_id": str(i), "agent": "a", "success": 0} for i in range(20)]
    data = load_agent_trajectories(folder(tasks=tasks, trajectories=runs, emb={"tasks": np.eye(20, 384)}))
    with pytest.raises(InputError, match="stored successes must be at least 1"):
        one_seed(data, 0)


def test_functions_stand_for_templates_where_there_are_none(folder: Callable[..., Path]) -> None:
    answers = [["a.func(x=1)"], ["a.func(x=2)"], ["b.func()"]]
    tasks = [
        {"task_id": str(i), "domain": "d", "query": f"task {i}", "answer": answer} for i, answer in enumerate(answers)
    ]
    runs = [{"task_id": "0", "agent": "a", "success": 1}]
    data = load_agent_trajectories(folder(tasks=tasks, trajectories=runs, emb={"tasks": np.eye(3, 384)}))
    templates, functions, exact = kinds_of(data.tasks)
    assert templates.tolist() == functions.tolist() == [0, 0, 1]
    assert len(set(exact.tolist())) == 3


def test_the_area_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    scores, truths = rng.integers(0, 5, 40).astype(np.float64), rng.random(40) < 0.4
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[truths] for n in scores[~truths]]
    assert area_under_curve(scores, truths) == pytest.approx(np.mean(pairs))
    with pytest.raises(ShapeError, match="both kinds"):
        area_under_curve(scores, np.zeros(40, dtype=bool))
