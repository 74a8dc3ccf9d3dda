"""The benchmark of code search, on a tree of a few functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.bench_codebase import _arguments, measure
from benchmarks.code_questions import questions_of
from benchmarks.harness import run_benchmark

THINGS = ("date", "folder", "number", "colour", "letter", "window", "engine", "garden")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    for thing in THINGS:
        functions = [f'def {verb}_{thing}(x):\n    """{verb.title()} the {thing}."""\n    return x\n' for verb in VERBS]
        (root / f"{thing}.py").write_text("\n\n".join(functions))
    return root


VERBS = ("open", "close", "paint")


def test_questions_are_docstrings_that_no_other_function_has(tree: Path) -> None:
    (tree / "twice.py").write_text('def a():\n    """Open the date."""\n\n\ndef b():\n    """Short."""\n')
    questions, codes = questions_of(tree, ("py",))
    assert len(questions) == len(THINGS) * len(VERBS) - 1
    assert all("Paint" not in codes[question.row] for question in questions)


def test_the_command_prints_one_object(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(tree), "--seeds", "1", "--json", "--plot", str(tmp_path / "p.png")]
    arguments += ["--embedder", "hashed:64", "--feedbacks", "6", "--queries", "6"]
    run_benchmark("bench_codebase", "", measure, arguments, _arguments)
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["chunks"]["mean"] == len(THINGS) * len(VERBS)
    assert metrics["same_after_recall1"]["mean"] >= metrics["same_before_recall1"]["mean"]
    assert metrics["before_recall5"]["mean"] > 0.5
    assert {"hashed_recall5", "after_recall5", "index_s", "second_s", "query_ms"} <= metrics.keys()


def test_more_questions_than_there_are_is_one_line(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run_benchmark("bench_codebase", "", measure, ["--data", str(tree), "--embedder", "hashed:64"], _arguments)
    assert "feedbacks + queries must be at most 24" in capsys.readouterr().err
