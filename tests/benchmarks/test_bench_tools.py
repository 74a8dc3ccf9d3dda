"""Finding the right tool, measured on made-up requests that their tools' descriptions describe badly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bandit import draw_stream
from benchmarks.bench_tools import TRIES, drive_memory, measure, one_seed
from benchmarks.harness import run_benchmark
from benchmarks.labelled import load_labelled_texts
from benchmarks.retrieval import PastSuccesses, figures_of, ranks_of

TOOLS, TRAIN, TEST, DIM = 12, 30, 10, 384


@pytest.fixture
def made_up(folder: Callable[..., Path]) -> Path:
    """Twelve tools; requests scatter around a direction for each tool, which the descriptions mix up.

    Neither so badly nor for so few tools that an honest agent's feedback would contradict the descriptions: whether it
    is believed then is a question to the core, which `ours_quarantined` answers, not one to this benchmark.
    """
    rng = np.random.default_rng(0)
    rows, vectors = [], []
    for tool in range(TOOLS):
        for i in range(TRAIN + TEST):
            split = "train" if i < TRAIN else "test"
            rows.append({"text": f"request {tool} {i}", "label": f"tool{tool:02d}", "split": split})
            x = np.eye(DIM)[tool] + 0.02 * rng.standard_normal(DIM)
            x[:TOOLS] += 0.3 * rng.standard_normal(TOOLS)
            vectors.append(x)
    described = 0.35 * np.eye(DIM)[:TOOLS]
    described[:, :TOOLS] += 0.1 * rng.standard_normal((TOOLS, TOOLS))
    tools = [{"id": f"tool{tool:02d}", "text": f"does thing {tool}"} for tool in range(TOOLS)]
    return folder(
        data=rows,
        emb={"embedding": np.array(vectors, dtype=np.float32)},
        tools=tools,
        tools_emb={"embedding": described.astype(np.float32)},
    )


def test_feedback_finds_tools_that_descriptions_do_not(made_up: Path) -> None:
    found = one_seed(load_labelled_texts(made_up, needs_tools=True), None, 0)
    ways = ("raw", "past_success", "past_success_own", "logistic_bound", "ours_cold", "ours", "adapter_only")
    wanted = {f"{way}_{figure}" for way in ways for figure in ("recall1", "recall5", "mrr10")}
    assert set(found) == wanted | {"ours_events", "past_success_own_events", "ours_quarantined"}
    for figure in ("recall1", "recall5", "mrr10"):
        # Nothing has been learned yet: the same ranking, to the bit.
        assert found[f"ours_cold_{figure}"] == found[f"raw_{figure}"]
    assert found["raw_mrr10"] < 0.95
    for way in ("past_success", "past_success_own", "ours", "adapter_only"):
        assert found[f"{way}_mrr10"] > found["raw_mrr10"], way
    assert found["ours_quarantined"] == 0.0
    assert TOOLS * TRAIN <= found["ours_events"] <= TOOLS * TRAIN * TRIES


def test_a_memory_keeps_what_its_tries_found_and_nothing_else(made_up: Path) -> None:
    data = load_labelled_texts(made_up, needs_tools=True)
    assert data.tools is not None
    stream = draw_stream(data, 0, per_label=0)
    assert not len(stream.seeds)
    memory = PastSuccesses(data.tools.embedding)
    # The first fifty requests are ranked by the descriptions alone.
    rows = stream.requests[:50]
    places = ranks_of(memory.scores(stream.embedding[rows]), data.tools.labels, stream.labels[rows])
    first = type(stream)(
        embedding=stream.embedding,
        labels=stream.labels,
        seeds=stream.seeds,
        requests=rows,
        test=stream.test,
        seed=0,
    )
    events = drive_memory(memory, first, data.tools)
    assert events == int(np.minimum(places, TRIES).sum())
    own = memory.scores(stream.embedding[rows])[np.arange(50), stream.labels[rows]]
    assert own[places <= TRIES] == pytest.approx(1.0, abs=1e-5)


def test_a_place_counts_all_that_stand_before() -> None:
    rng = np.random.default_rng(2)
    scores, columns = rng.integers(0, 4, (60, 9)).astype(np.float64), rng.permutation(9)
    labels = rng.integers(0, 9, 60)
    order = columns[np.argsort(-scores, axis=1, kind="stable")]
    expected = [row.tolist().index(label) + 1 for row, label in zip(order, labels.tolist(), strict=True)]
    assert ranks_of(scores, columns, labels).tolist() == expected


def test_what_nobody_can_find_has_no_place() -> None:
    scores = np.array([[0.1, -np.inf], [0.1, 0.2]])
    ranks = ranks_of(scores, np.array([4, 5]), np.array([5, 6]))
    assert ranks.tolist() == [np.inf, np.inf]
    assert figures_of("x", ranks) == {"x_recall1": 0.0, "x_recall5": 0.0, "x_mrr10": 0.0}


def test_figures_are_worked_by_hand() -> None:
    found = figures_of("x", np.array([1.0, 2.0, 5.0, 10.0, 11.0]))
    assert found["x_recall1"] == pytest.approx(0.2)
    assert found["x_recall5"] == pytest.approx(0.6)
    assert found["x_mrr10"] == pytest.approx((1 + 1 / 2 + 1 / 5 + 1 / 10) / 5)


def test_the_tools_command_prints_one_object(made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "tools.png"
    run_benchmark("bench_tools", "", measure, ["--data", str(made_up), "--seeds", "1", "--json", "--plot", str(plot)])
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["data"], found["embedder"]) == ("bench_tools", "made_up", "minilm")
    assert {"raw_mrr10", "past_success_mrr10", "ours_cold_recall1", "ours_recall5"} <= set(found["metrics"])
    assert plot.stat().st_size > 1000


def test_without_descriptions_it_says_what_it_needs(
    folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"text {i}", "label": str(i % 2)} for i in range(20)]
    bare = folder(data=rows, emb={"embedding": np.eye(20, DIM, dtype=np.float32)})
    for arguments in (["--json"], ["--json", "--data", str(bare)]):
        with pytest.raises(SystemExit) as left:
            run_benchmark("bench_tools", "", measure, arguments)
        assert left.value.code == 2
        assert "tools.jsonl.gz" in capsys.readouterr().err
