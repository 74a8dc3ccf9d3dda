"""The routing benchmark: measures by hand, baselines on made-up logs, whole runs on many forms of folders."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import routing_baselines as baselines
from benchmarks.bench_routing import measure, one_seed
from benchmarks.harness import run_benchmark
from benchmarks.routing_log import load_routing_log
from benchmarks.routing_measures import Logged, apgr, cost_at, curve, heights, worths_usd

Folder = Callable[..., Path]
ROUTERS = (
    "ours",
    "random",
    "best_single",
    "prompt_length",
    "category_mean",
    "best_priced",
    "knn",
    "ridge",
    "linucb",
    "oracle",
)
FIGURES = ("quality", "cost", "aiq", "apgr", "cost95", "online_last", "regret")


def queries(n: int, models: int, **left_out: bool) -> list[dict[str, object]]:
    """Model 0 answers short requests, the last one long ones; the others nothing."""
    rows: list[dict[str, object]] = []
    for number in range(n):
        is_long = number % 2 == 1
        score = [0.0] * models
        score[-1 if is_long else 0] = 1.0
        row: dict[str, object] = {
            "id": str(number),
            "bench": "long" if is_long else "short",
            "split": "test" if number % 3 == 0 else "train",
            "prompt": f"sum {number}" + " and then add some more to it, please, number by number" * is_long,
            "score": score,
            "cost": [0.001 * (1 + model) for model in range(models)],
            "latency_s": [0.1] * models,
        }
        rows.append({name: value for name, value in row.items() if not left_out.get(name)})
    return rows


def test_apgr_of_a_perfect_order_of_chance_and_of_ties() -> None:
    weak, strong = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])
    # Shares 0, 1/4, ... 1 recover 0, 1/2, 1, 1, 1 of the gap.
    assert apgr(strong - weak, weak, strong) == pytest.approx(3.5 / 5.0)
    assert apgr(weak - strong, weak, strong) == pytest.approx(1.5 / 5.0)
    assert apgr(np.zeros(4), weak, strong) == pytest.approx(0.5)
    assert apgr(np.zeros(4), weak, weak) == 0.0


def test_heights_are_those_of_the_best_point_that_is_not_dearer() -> None:
    points = [(2.0, 0.6), (1.0, 0.5), (3.0, 0.4)]
    np.testing.assert_array_equal(heights(points, np.array([0.5, 1.0, 1.9, 2.0, 9.0])), [0.5, 0.5, 0.5, 0.6, 0.6])
    assert cost_at(points, 0.55, 7.0) == 2.0
    assert cost_at(points, 0.95, 7.0) == 7.0


def test_a_curve_goes_from_the_cheapest_to_the_best() -> None:
    logged = Logged(scores=np.array([[0.0, 1.0]] * 4), costs_usd=np.array([[1.0, 5.0]] * 4))
    predicted = logged.scores
    points = curve(lambda worth: np.argmax(predicted - logged.costs_usd / worth, axis=1), logged, np.array([1.0, 5.0]))
    assert points[0] == (1.0, 0.0)
    assert points[-1] == (5.0, 1.0)
    assert (np.diff(worths_usd(np.array([0.0, 1.0]))) > 0).all()
    assert np.isfinite(worths_usd(np.zeros(2))).all()


def some_requests(n: int) -> tuple[baselines.Requests, np.ndarray]:
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 2
    embedding = np.zeros((n, 8), dtype=np.float32)
    embedding[np.arange(n), kind] = 1.0
    embedding += 0.1 * rng.standard_normal((n, 8)).astype(np.float32)
    scores = np.stack([kind == 0, kind == 1], axis=1).astype(np.float64)
    return baselines.Requests(embedding=embedding, lengths=np.where(kind == 1, 210.0, 10.0), categories=kind), scores


@pytest.mark.parametrize(
    "predict", [baselines.by_length, baselines.category_mean, baselines.knn, baselines.ridge, baselines.linucb]
)
def test_every_predictor_learns_what_it_can_see(predict: baselines.Predictor) -> None:
    requests, scores = some_requests(120)
    seen, new = np.arange(100), np.arange(100, 120)
    found = predict(requests.take(seen), scores[seen], requests.take(new))
    assert found.shape == (20, 2)
    assert (found.argmax(axis=1) == new % 2).all()


@pytest.mark.parametrize(
    "run",
    [
        baselines.online_category,
        baselines.online_length,
        baselines.online_knn,
        baselines.online_ridge,
        baselines.online_linucb,
    ],
)
def test_every_bandit_learns_from_what_it_chose(run: Callable[..., np.ndarray]) -> None:
    requests, scores = some_requests(300)
    chosen = run(requests, scores, np.random.default_rng(1))
    assert scores[np.arange(300), chosen][200:].mean() > 0.85


def test_a_context_free_bandit_finds_the_best_model() -> None:
    requests, scores = some_requests(300)
    scores[:, 1] = 0.9
    assert (baselines.online_ucb(requests, scores, np.random.default_rng(0))[200:] == 1).mean() > 0.6


@pytest.mark.parametrize(
    ("models", "n", "left_out"),
    [(2, 60, {}), (3, 60, {"latency_s": True, "bench": True, "split": True}), (20, 24, {"latency_s": True})],
    ids=["two models", "bare", "many models, few rows"],
)
def test_every_form_of_folder_gives_every_figure_for_every_router(
    folder: Folder, models: int, n: int, left_out: dict[str, bool]
) -> None:
    names = [f"model {number}" for number in range(models)]
    log = load_routing_log(folder(queries=queries(n, models, **left_out), models_json=names), "hashed:64")
    found = one_seed(log, 0)
    assert {f"{router}_{figure}" for router in ROUTERS for figure in FIGURES} <= set(found.metrics)
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert set(found.curves) == set(ROUTERS)
    assert found.metrics["oracle_quality"] == 1.0


def test_ours_learns_what_tells_requests_apart(folder: Folder) -> None:
    log = load_routing_log(folder(queries=queries(150, 2), models_json=["a", "b"]), "hashed:64")
    metrics = one_seed(log, 0).metrics
    assert metrics["ours_best_quality"] > 0.95
    assert metrics["ours_aiq"] == pytest.approx(metrics["oracle_aiq"], abs=0.05)
    assert metrics["ours_online_last"] > 0.9
    assert metrics["best_single_quality"] < 0.6


def test_the_command_prints_one_object_and_draws(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder(queries=queries(30, 2), models_json=["a", "b"])
    plot = tmp_path / "curves.png"
    run_benchmark(
        "bench_routing",
        "what it does",
        measure,
        ["--data", str(data), "--embedder", "hashed:64", "--seeds", "1", "--json", "--plot", str(plot)],
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["data"], found["seeds"]) == ("bench_routing", "made_up", 1)
    assert set(found["metrics"]["ours_aiq"]) == {"mean", "lo", "hi"}
    assert plot.stat().st_size > 10_000
