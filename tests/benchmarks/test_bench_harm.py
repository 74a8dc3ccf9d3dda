"""Feedback that is wrong, labels that nobody asks for and strangers, on made-up texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bandit import bench_config, drive, engine_knowing, give, labels_of, success_at_1
from benchmarks.bench_harm import CASES, add_arguments, halved, measure
from benchmarks.harness import run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts
from benchmarks.starts import Start, draw_start
from swarm.sona import SonaEngine

LABELS, TRAIN, TEST, DIM, NUISANCE = 10, 40, 12, 384, 24
PLAIN = {
    "frozen",
    *(f"{case}{end}" for case in CASES for end in ("", "_dip", "_quarantined")),
    *(f"{name}{end}" for name in ("unseen", "seen", "added") for end in ("", "_frozen")),
    *(f"{name}{end}" for name in ("foreign", "guest") for end in ("_before", "_frozen", "_after")),
    "worst_loss",
    "worst_dip",
}


def texts(folder: Callable[..., Path], name: str, seed: int, labels: int = LABELS, **more: object) -> Path:
    """Labels along directions of their own, and noise along a few directions that are common to all."""
    rng = np.random.default_rng(seed)
    rows, vectors = [], []
    for label in range(labels):
        for i in range(TRAIN + TEST):
            split = "train" if i < TRAIN else "test"
            rows.append({"text": f"{name} {label} {i}", "label": f"{name}{label}", "split": split})
            x = 0.02 * rng.standard_normal(DIM)
            x[10 * seed + label] += 1.0
            x[100 : 100 + NUISANCE] += 0.5 * rng.standard_normal(NUISANCE)
            vectors.append(x)
    return folder(name, data=rows, emb={"embedding": np.array(vectors, dtype=np.float32)}, **more)


@pytest.fixture
def home(folder: Callable[..., Path]) -> Path:
    return texts(folder, "home", 0)


@pytest.fixture
def data(home: Path) -> LabelledTexts:
    return load_labelled_texts(home)


@pytest.fixture
def start(data: LabelledTexts) -> Start:
    return draw_start(data, 0)


def known(start: Start) -> SonaEngine:
    return engine_knowing(start.known, start.labels, bench_config(DIM, 0))


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, float], str]:
    run_benchmark("bench_harm", "", measure, [*arguments, "--seeds", "1", "--json"], add_arguments)
    printed = capsys.readouterr()
    return {name: e["mean"] for name, e in json.loads(printed.out)["metrics"].items()}, printed.err


def test_no_case_is_much_worse_than_frozen(
    home: Path, folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    abroad = texts(folder, "abroad", 2, 4)
    plot = tmp_path / "harm.png"
    found, _ = run(["--data", str(home), "--foreign", str(abroad), "--plot", str(plot)], capsys)
    assert set(found) == PLAIN
    assert plot.stat().st_size > 1000
    assert found["honest"] > found["frozen"] + 0.05
    for case in ("shuffled", "inverted"):
        assert found[f"{case}_quarantined"] == 1.0
        # 120 test rows: two of them.
        assert found[case] >= found["frozen"] - 0.02, case
    assert found["honest_quarantined"] == 0.0
    pairs = [(key, key.replace("_frozen", "")) for key in found if key.endswith("_frozen")]
    cases = [found["frozen"] - found[case] for case in CASES]
    cases += [found[frozen] - found.get(case, found.get(f"{case}_after", 0.0)) for frozen, case in pairs]
    assert found["worst_loss"] == pytest.approx(max(0.0, *cases), abs=1e-5)
    assert found["worst_dip"] == pytest.approx(max(found[f"{case}_dip"] for case in CASES), abs=1e-5)
    for case in CASES:
        assert found[f"{case}_dip"] >= max(0.0, found["frozen"] - found[case]) - 1e-5


def test_shuffled_rewards_are_those_of_the_cycle_in_another_order(start: Start) -> None:
    stream = start.stream
    engine = known(start)
    given: list[np.ndarray] = []
    taken: list[np.ndarray] = []

    def tamper(qualities: np.ndarray) -> np.ndarray:
        assert not engine.buffered()
        given.append(qualities)
        taken.append(np.random.default_rng(5).permutation(qualities))
        return taken[-1]

    def cycle() -> None:
        assert [t.quality for t in engine.buffered()] == taken[-1].tolist()
        engine.force_learn()

    driven = drive(engine, stream, stream.requests[:120], tamper=tamper, cycle=cycle, cycle_every=60)
    assert len(given) == 2
    assert sum(map(len, given)) == driven.events
    for before, after in zip(given, taken, strict=True):
        assert 0.0 < before.mean() < 1.0
        assert before.sum() == after.sum()
        assert not np.array_equal(before, after)


def test_flipped_reports_are_as_many_as_they_should_be(start: Start) -> None:
    stream, rng = start.stream, np.random.default_rng(0)
    judge = CASES["wrong20"].judge(stream, rng)
    assert judge is not None
    row = int(stream.requests[0])
    told = [judge(row, int(stream.labels[row])) for _ in range(2000)]
    assert np.mean(told) == pytest.approx(0.8, abs=0.04)
    inverted = CASES["inverted"].judge(stream, rng)
    assert inverted is not None
    assert [inverted(row, label) for label in range(LABELS)] == [
        1.0 - stream.right_or_wrong(row, label) for label in range(LABELS)
    ]


def test_what_is_given_later_is_a_candidate_from_then_on(start: Start) -> None:
    first = np.arange(LABELS) < 7
    engine = known(start.knowing(first))
    drive(engine, start.stream, start.asked(first)[:100])
    assert sorted(labels_of(engine).tolist()) == list(range(7))
    later = start.knowing(~first)
    give(engine, later.known, later.labels, "-later")
    assert sorted(labels_of(engine).tolist()) == list(range(LABELS))
    rows = start.stream.test[~first[start.stream.labels[start.stream.test]]]
    assert success_at_1(engine, replace(start.stream, test=rows)) > 0.3


def test_descriptions_bring_places_too(folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(4)
    described = np.eye(DIM)[:6] + 0.03 * rng.standard_normal((6, DIM))
    tools = [{"id": f"tool{label}", "text": f"does thing {label}"} for label in range(6)]
    path = texts(folder, "tool", 0, 6, tools=tools, tools_emb={"embedding": described.astype(np.float32)})
    abroad = texts(folder, "abroad", 2, 3)
    found, _ = run(["--data", str(path), "--foreign", str(abroad), "--plot", str(path / "harm.png")], capsys)
    places = {f"{name}{end}_mrr10" for name in ("unseen", "seen", "added") for end in ("", "_frozen")}
    assert set(found) == PLAIN | places
    for name in ("unseen", "seen", "added"):
        assert found[name] <= found[f"{name}_mrr10"] <= 1.0


def test_without_foreign_data_half_of_the_labels_are_foreign(data: LabelledTexts) -> None:

    found = halved(draw_start(data, 0))
    assert set(found) == {f"{name}{end}" for name in ("foreign", "guest") for end in ("_before", "_frozen", "_after")}
    # Half as many labels are easier to tell apart.
    assert found["foreign_before"] >= found["foreign_after"] >= found["foreign_frozen"] - 0.02
