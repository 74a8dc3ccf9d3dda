"""Training from files, measured on very little."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.bench_train import main
from benchmarks.train_files import made_up, parsed


def test_it_measures_speed_memory_and_what_was_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--lines", "400", "--dim", "32", "--actions", "4"]
    main([*sizes, "--json", "--seeds", "1", "--plot", str(tmp_path / "plot.png")])
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["data"], found["seeds"]) == ("bench_train", "made up", 1)
    metrics = {name: estimate["mean"] for name, estimate in found["metrics"].items()}
    assert 0.0 < metrics["lines_per_s"] < metrics["floor_lines_per_s"]
    assert metrics["cpu_to_floor"] > 1.0
    assert 50.0 < metrics["memory_mb"] < 500.0
    assert 0.8 < metrics["trained_share"] < 1.0
    assert metrics["right_first_before"] == 0.0
    assert metrics["right_first_after"] > 0.5


def test_a_made_up_file_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        made_up(tmp_path / name, 1_200, 16, 3, 7)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert parsed(tmp_path / "a") == 1_200
