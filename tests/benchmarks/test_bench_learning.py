"""The stream with bandit feedback, and what is learned from it, on made-up texts whose labels overlap."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bandit import (
    TRIES,
    Stream,
    adapter_cycle,
    adapter_scores,
    bench_config,
    draw_stream,
    drive,
    ranked,
    scores,
    seeded_engine,
)
from benchmarks.bench_learning import measure, one_seed
from benchmarks.bounds import logistic_scores, neighbour_scores, share_right
from benchmarks.harness import run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts
from benchmarks.published import PublishedRule

LABELS, TRAIN, TEST, DIM, NUISANCE = 8, 70, 20, 384, 24
NAMES = {
    "frozen",
    "micro",
    "bank",
    "base",
    "all",
    "published_rule",
    "logistic_bound",
    "knn_bound",
    "share_of_gap",
    "worst_dip",
    "all_events",
    "all_quarantined",
}


@pytest.fixture
def made_up(folder: Callable[..., Path]) -> Path:
    """Eight labels along eight directions, drowned in a few others that say nothing: what an adapter can leave out."""
    rng = np.random.default_rng(5)
    rows, vectors = [], []
    for label in range(LABELS):
        for i in range(TRAIN + TEST):
            split = "train" if i < TRAIN else "test"
            rows.append({"text": f"text {label} {i}", "label": f"label{label}", "split": split})
            x = 0.02 * rng.standard_normal(DIM)
            x[label] += 1.0
            x[LABELS : LABELS + NUISANCE] += 0.45 * rng.standard_normal(NUISANCE)
            vectors.append(x)
    rows.append({"text": "nothing of the kind", "label": "oos", "split": "train"})
    vectors.append(np.eye(DIM)[100])
    return folder(data=rows, emb={"embedding": np.array(vectors, dtype=np.float32)})


@pytest.fixture
def data(made_up: Path) -> LabelledTexts:
    return load_labelled_texts(made_up)


@pytest.fixture
def stream(data: LabelledTexts) -> Stream:
    return draw_stream(data, 0)


def test_a_stream_parts_the_rows_in_scope(data: LabelledTexts, stream: Stream) -> None:
    assert np.bincount(stream.labels[stream.seeds]).tolist() == [5] * LABELS
    together = np.concatenate([stream.seeds, stream.requests])
    assert sorted(together.tolist()) == np.flatnonzero(data.train).tolist()
    assert (stream.labels[together] >= 0).all()
    assert draw_stream(data, 0).requests.tolist() == stream.requests.tolist()
    assert draw_stream(data, 1).requests.tolist() != stream.requests.tolist()


def test_an_agent_goes_down_its_list_until_it_is_told_that_it_was_right(stream: Stream) -> None:
    engine = seeded_engine(stream, bench_config(DIM, 0))
    asked = stream.requests[:40]
    order = ranked(engine, stream.embedding[asked], TRIES)
    told: list[tuple[int, int]] = []

    def judge(row: int, label: int) -> float:
        told.append((row, label))
        return stream.right_or_wrong(row, label)

    driven = drive(engine, stream, asked, judge=judge)
    expected = []
    for row, labels in zip(asked.tolist(), order.tolist(), strict=True):
        right = labels.index(stream.labels[row]) if stream.labels[row] in labels else TRIES - 1
        expected += [(row, label) for label in labels[: right + 1]]
    assert told == expected
    assert driven.events == len(told)
    assert driven.right_at_first == int((order[:, 0] == stream.labels[asked]).sum())
    assert not engine.buffered()


def test_both_rankings_begin_as_the_frozen_one(stream: Stream) -> None:
    engine = seeded_engine(stream, bench_config(DIM, 0))
    queries = stream.embedding[stream.test]
    frozen = ranked(engine, queries, 1)[:, 0]
    assert ranked(engine, queries, 1, adapter_scores)[:, 0].tolist() == frozen.tolist()
    rule = PublishedRule(stream)
    assert rule.labels[rule.ranked(queries, 1)[:, 0]].tolist() == frozen.tolist()


def test_an_adapter_over_fixed_seeds_reaches_its_ranking(stream: Stream) -> None:
    """The guard must not stand between: a tier that has learned would be shown as one that cannot."""
    engine = seeded_engine(stream, bench_config(DIM, 0, micro_lora_lr=0.0))
    queries = stream.embedding[stream.test]
    before, clusters = adapter_scores(engine, queries), engine.bank.clusters()
    drive(engine, stream, score=adapter_scores, cycle=lambda: adapter_cycle(engine))
    assert engine.promotions
    assert engine.bank.clusters() == clusters
    assert np.abs(adapter_scores(engine, queries) - before).max() > 1e-3


def test_what_learns_comes_nearer_to_the_bound(data: LabelledTexts) -> None:
    found = one_seed(data, None, 0).metrics
    assert set(found) == NAMES
    best = max(found["logistic_bound"], found["knn_bound"])
    assert found["frozen"] + 0.05 < best
    for name in ("bank", "base", "all"):
        assert found[name] > found["frozen"], name
    assert found["share_of_gap"] == pytest.approx((found["all"] - found["frozen"]) / (best - found["frozen"]))
    assert 0.0 <= found["worst_dip"] < 0.1
    assert abs(found["published_rule"] - found["frozen"]) < 0.02


def test_a_seed_gives_the_same_figures_twice(data: LabelledTexts) -> None:
    rows = np.flatnonzero(data.train)
    small = replace(data, splits=np.where(np.isin(np.arange(len(data.texts)), rows[::3]), 1, data.splits))
    assert one_seed(small, None, 1).metrics == one_seed(small, None, 1).metrics


def test_test_labels_reach_nobody_who_learns(stream: Stream) -> None:
    """With the labels of the test rows turned around, every answer stays the same."""
    turned = np.array(stream.labels)
    turned[stream.test] = (turned[stream.test] + 1) % LABELS
    answers = []
    for labels in (stream.labels, turned):
        other = replace(stream, labels=labels)
        engine = seeded_engine(other, bench_config(DIM, 0))
        drive(engine, other, other.requests[:250])
        answers.append(scores(engine, other.embedding[other.test]))
    assert np.array_equal(answers[0], answers[1])


def test_the_published_rule_learns_nothing_from_what_is_right_at_once_or_never(stream: Stream) -> None:
    rule = PublishedRule(stream)
    rule.learn(np.array([2]), np.array([1.0], dtype=np.float32))
    rule.learn(np.array([2, 3, 4]), np.zeros(3, dtype=np.float32))
    assert not rule.up.any()
    rule.learn(np.array([2, 3]), np.array([0.0, 1.0], dtype=np.float32))
    assert rule.up.any()
    assert np.array_equal(rule.up[0], rule.up[1])


def test_bounds_follow_the_definition(data: LabelledTexts) -> None:
    train, test = np.flatnonzero(data.train), np.flatnonzero(data.test)
    similarities = data.embedding[test].dot(data.embedding[train].T)
    nearest = np.argsort(-similarities, axis=1)[:, :10]
    votes = [np.bincount(data.labels[train[row]], minlength=LABELS) for row in nearest]
    assert np.array_equal(np.floor(neighbour_scores(data)), votes)
    assert share_right(logistic_scores(data), data) > 0.7


def test_the_learning_command_prints_one_object(
    made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "learning.png"
    run_benchmark(
        "bench_learning", "", measure, ["--data", str(made_up), "--seeds", "1", "--json", "--plot", str(plot)]
    )
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["bench"], found["data"], found["embedder"]) == ("bench_learning", "made_up", "minilm")
    assert set(found["metrics"]) == NAMES
    assert "rows out of scope, left out: 1" in printed.err
    assert plot.stat().st_size > 1000
