"""Tasks in sequence, measured on made-up texts whose tasks pull one direction to different labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bandit import bench_config, seeded_engine
from benchmarks.bench_forgetting import SeedResult, add_arguments, baseline_of, best_l2, core_of, measure, rules
from benchmarks.forgetting_learners import BATCH, PROTOTYPES, Rule, plain_training, success_of, success_table
from benchmarks.forgetting_tasks import draw_tasks, summary
from benchmarks.harness import run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts
from swarm.errors import InputError
from swarm.sona.adapter import Adapter
from swarm.sona.ewc import EwcMemory
from swarm.sona.training import Outcomes, flatten, train

LABELS, PER_LABEL, DIM, DOMAINS = 6, 64, 384, 3
COMMON = DIM - 1


def write(folder: Callable[..., Path], name: str = "made_up", with_domains: bool = True) -> Path:
    """Texts along their label, blurred along the others; a little along their domain, and much along what all share.

    Who learns one domain only can do so by what all share, and then prefers that domain's labels for every text.
    """
    rng = np.random.default_rng(5)
    rows, vectors = [], []
    for label in range(LABELS):
        for i in range(PER_LABEL):
            row: dict[str, object] = {"text": f"{label} {i}", "label": f"l{label}"}
            row["split"] = "test" if i % 4 == 0 else "train"
            if with_domains:
                row["domain"] = f"d{label % DOMAINS}"
            rows.append(row)
            vector = np.zeros(DIM)
            vector[:LABELS] = 0.3 * rng.standard_normal(LABELS)
            vector[label] += 0.5
            vector[LABELS + label % DOMAINS] = 0.3
            vector[COMMON] = 0.8
            vectors.append(vector)
    return folder(name, data=rows, emb={"embedding": np.array(vectors, dtype=np.float32)})


@pytest.fixture
def data(folder: Callable[..., Path]) -> LabelledTexts:
    return load_labelled_texts(write(folder))


def test_the_three_figures_are_those_worked_by_hand() -> None:
    table = np.array([[0.9, 0.2, 0.1], [0.6, 0.8, 0.2], [0.3, 0.5, 0.7]])
    # (.3 - .9 + .5 - .8) / 2
    assert summary(table) == pytest.approx({"final": 0.5, "bwt": -0.45, "learned": 0.8})


def test_tasks_are_the_domains_in_an_order_drawn_by_the_seed(data: LabelledTexts) -> None:
    assert data.domains is not None
    orders = set()
    for seed in range(6):
        tasks = draw_tasks(data, seed)
        assert len(tasks.requests) == len(tasks.tests) == DOMAINS
        found = [set(data.domains[rows].tolist()) for rows in tasks.requests]
        assert [set(data.domains[rows].tolist()) for rows in tasks.tests] == found
        assert sorted(map(len, found)) == [1] * DOMAINS
        assert sorted(np.concatenate(tasks.requests).tolist()) == sorted(tasks.stream.requests.tolist())
        orders.add(tuple(min(domains) for domains in found))
    assert len(orders) > 1


def test_without_domains_the_labels_come_in_five_parts(folder: Callable[..., Path]) -> None:
    tasks = draw_tasks(load_labelled_texts(write(folder, with_domains=False)), 0)
    parts = [set(tasks.stream.labels[rows].tolist()) for rows in tasks.requests]
    assert sorted(map(len, parts)) == [1, 1, 1, 1, 2]
    assert set.union(*parts) == set(range(LABELS))


def test_more_than_ten_domains_become_ten_tasks(folder: Callable[..., Path]) -> None:
    rows = [
        {"text": f"{d} {i}", "label": f"l{d}", "domain": f"d{d}", "split": "test" if i % 4 == 0 else "train"}
        for d in range(13)
        for i in range(12)
    ]
    vectors = np.repeat(np.eye(13, DIM), 12, axis=0)
    tasks = draw_tasks(load_labelled_texts(folder(data=rows, emb={"embedding": vectors})), 0)
    assert [len(np.unique(tasks.stream.labels[rows])) for rows in tasks.requests] == [2, 2, 2] + [1] * 7


def test_a_label_without_requests_is_in_no_task(folder: Callable[..., Path]) -> None:
    """Five training rows are all seeds: nothing of that label is ever asked, so it is not tested either."""
    rows = [
        {"text": f"{label} {i}", "label": f"l{label}", "split": "test" if i % 4 == 0 else "train"}
        for label, n in enumerate((40, 40, 6))
        for i in range(n)
    ]
    vectors = np.eye(3, DIM)[[0] * 40 + [1] * 40 + [2] * 6]
    tasks = draw_tasks(load_labelled_texts(folder(data=rows, emb={"embedding": vectors})), 0)
    assert {int(tasks.stream.labels[rows[0]]) for rows in tasks.tests} == {0, 1}


def test_data_of_one_task_is_refused(folder: Callable[..., Path]) -> None:
    rows = [
        {"text": f"{label} {i}", "label": label, "split": "test" if i % 4 == 0 else "train"}
        for label, n in (("a", 40), ("b", 6))
        for i in range(n)
    ]
    made = folder(data=rows, emb={"embedding": np.eye(2, DIM)[[0] * 40 + [1] * 6]})
    with pytest.raises(InputError, match="at least 2 labels"):
        draw_tasks(load_labelled_texts(made), 0)


def test_the_baselines_trainer_gives_the_core_s_weights_bit_by_bit(data: LabelledTexts) -> None:
    tasks = draw_tasks(data, 0)
    config = bench_config(DIM, 0, ewc_lambda=50.0)
    candidates = seeded_engine(tasks.stream, config).bank.index.candidates()
    rows = tasks.stream.requests[: BATCH + 40]
    rng = np.random.default_rng(1)
    tried = rng.integers(0, LABELS, len(rows))
    outcomes = Outcomes(data.embedding[rows], tried, rng.random(len(rows), dtype=np.float32))
    pairs = Adapter.initial(config, rng).base
    parameters = flatten(pairs)
    ewc = EwcMemory([np.ones_like(p) for p in parameters], [p + np.float32(0.1) for p in parameters], tasks=1)
    theirs = train(pairs, outcomes, candidates, ewc, config, np.random.default_rng(2))
    mine = plain_training(pairs, outcomes, candidates, ewc, config, np.random.default_rng(2), PROTOTYPES)
    assert [p.tobytes() for p in flatten(mine)] == [p.tobytes() for p in flatten(theirs)]
    naive = plain_training(pairs, outcomes, candidates, ewc, config, np.random.default_rng(2), 0)
    assert flatten(naive)[0].tobytes() != flatten(theirs)[0].tobytes()


def test_naive_forgets_what_ours_keeps_and_both_learn(data: LabelledTexts) -> None:
    tasks = draw_tasks(data, 0)
    # Trained hard, because a tiny stream has few steps.
    config = bench_config(DIM, 0, base_epochs=15, base_lora_lr=0.01)
    known = seeded_engine(tasks.stream, config).bank.index
    candidates = known.candidates()
    frozen = success_of(baseline_of(Rule(), candidates, config).base, tasks, candidates).mean()
    naive = summary(success_table(baseline_of(Rule(), candidates, config), tasks, candidates))
    ours = summary(success_table(core_of(known, config), tasks, candidates))
    assert naive["learned"] > frozen + 0.05
    assert naive["final"] < frozen - 0.2
    assert ours["final"] > frozen + 0.05
    assert ours["learned"] > frozen
    assert ours["bwt"] > naive["bwt"] + 0.3


def test_the_best_anchor_is_that_of_the_best_mean_final() -> None:
    names = [name for name, rule in rules().items() if rule.l2]
    results = [
        SeedResult(
            tables={name: np.full((2, 2), value) for name, value in zip(names, values, strict=True)}, boundaries=1
        )
        for values in ([0.9, 0.1, 0.6, 0.1], [0.1, 0.1, 0.6, 0.8])
    ]
    assert best_l2(results) == names[2]


def test_the_command_prints_three_figures_of_each_learner(
    folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "forgetting.png"
    arguments = ["--data", str(write(folder)), "--seeds", "1", "--json", "--plot", str(plot)]
    run_benchmark("bench_forgetting", "", measure, arguments, add_arguments)
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["data"], found["embedder"]) == ("bench_forgetting", "made_up", "minilm")
    learners = {
        "frozen",
        *rules(),
        "best_l2",
        "ours",
        "ours_without_ewc",
        "ours_1000",
        "ours_1000_without_ewc",
        "joint",
        "bank",
        "whole",
    }
    wanted = {f"{name}_{figure}" for name in learners for figure in ("final", "bwt", "learned")}
    assert set(found["metrics"]) == wanted | {"ours_boundaries"}
    assert plot.stat().st_size > 1000


def test_passes_out_of_bounds_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run_benchmark("bench_forgetting", "", measure, ["--epochs", "0"], add_arguments)
    assert left.value.code == 2
    assert "epochs must be" in capsys.readouterr().err
