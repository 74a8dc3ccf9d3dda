"""Command line, seeds, intervals, result and plots of the benchmarks."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.arguments import Options, parse_options, plot_path
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plots import save_bars, save_curves
from benchmarks.seeds import Estimate, run_seeds, summarise
from swarm.errors import BoundsError, EmbedderUnavailableError, InputError, ShapeError

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def squares(offset: float, seed: int) -> dict[str, float]:
    """A measurement that takes no time."""
    return {"square": offset + seed**2, "constant": 2.0}


def where(offset: int, seed: int) -> tuple[int, int, str | None]:
    """The seed, the process that runs it, and how many threads BLAS may have there."""
    return offset + seed, os.getpid(), os.environ.get("OPENBLAS_NUM_THREADS")


def failing(seed: int) -> dict[str, float]:
    """A measurement that refuses its data."""
    raise BoundsError(f"seed must be below 1, got {seed}")


def measure(options: Options) -> Measurement:
    """A benchmark of nothing."""
    runs = run_seeds(partial(squares, 0.5), options.seeds, processes=1)
    metrics = summarise(runs)
    return Measurement(
        data="made_up",
        embedder=options.embedder or "hashed",
        metrics=metrics,
        draw=lambda path: save_bars(path, metrics, title="squares", value_label="square", is_share=False),
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seeds", "0"], "seeds must be in 1..1000, got 0"),
        (["--seeds", "2.5"], "seeds must be a whole number in 1..1000, got '2.5'"),
        (["--seeds", "1001"], "seeds must be in 1..1000, got 1001"),
        (["--plot", "x.doc"], "plot must be a file that ends in .png, .svg, .pdf, got 'x.doc'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--embedder"], "argument --embedder: expected one argument"),
    ],
)
def test_a_bad_command_line_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options("bench_nothing", "Nothing.", arguments)
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", f"bench_nothing: {line}\n")


def test_options_have_their_defaults_and_a_benchmarks_own_ones() -> None:
    options = parse_options(
        "bench_nothing", None, [], lambda parser: parser.add_argument("--depth", type=int, default=3)
    )
    assert (options.data, options.seeds, options.embedder, options.is_json, options.plot) == (
        None,
        5,
        None,
        False,
        None,
    )
    assert options.extra.depth == 3


def test_the_default_plot_is_named_after_benchmark_data_and_embedder() -> None:
    options = parse_options("bench_nothing", None, [])
    path = plot_path(options, "bench_nothing", "banking77", "python:my.module:embed")
    assert path == Path("results/bench_nothing-banking77-python_my.module_embed.png")
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "results/" in ignored


def test_seeds_run_in_fresh_processes_with_one_thread_and_come_back_in_order() -> None:
    found = run_seeds(partial(where, 10), 4)
    assert [seed for seed, _, _ in found] == [10, 11, 12, 13]
    assert os.getpid() not in {process for _, process, _ in found}
    assert {threads for _, _, threads in found} == {os.environ["OPENBLAS_NUM_THREADS"]}


def test_the_error_of_a_seed_comes_through() -> None:
    for processes in (1, 2):
        with pytest.raises(BoundsError, match="seed must be below 1"):
            run_seeds(failing, 3, processes)
    with pytest.raises(BoundsError, match=r"processes must be in 1\.\.2, got 3"):
        run_seeds(failing, 1, 3)


def test_the_interval_is_students() -> None:
    # By hand: mean 3, s = sqrt(2.5), t(0.975, 4) = 2.7764 of the printed tables.
    found = summarise([{"x": float(value)} for value in (1, 2, 3, 4, 5)])["x"]
    half = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)
    assert found.mean == 3.0
    assert found.lo == pytest.approx(3.0 - half, abs=1e-6)
    assert found.hi == pytest.approx(3.0 + half, abs=1e-6)


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    metrics = [f"m{i}" for i in range(4000)]
    found = summarise([dict(zip(metrics, rng.standard_normal(4000).tolist(), strict=True)) for _ in range(5)])
    assert np.mean([e.lo <= 0.0 <= e.hi for e in found.values()]) == pytest.approx(0.95, abs=0.015)


def test_of_one_seed_there_is_no_interval() -> None:
    assert summarise([{"x": 0.25}]) == {"x": Estimate(mean=0.25, lo=0.25, hi=0.25)}


@pytest.mark.parametrize(
    ("runs", "error", "reason"),
    [
        ([], InputError, "runs must be at least 1, got 0"),
        ([{"a": 1.0}, {"a": math.nan}], BoundsError, "metric a must be finite, got nan with seed 1"),
        ([{"a": 1.0}, {"b": 1.0}], InputError, "seed 1 must have the metrics of seed 0, got a difference in a, b"),
    ],
)
def test_runs_that_do_not_fit_are_refused(
    runs: Sequence[dict[str, float]], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        summarise(runs)


def test_json_is_one_object_with_the_promised_fields_and_the_plot_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_benchmark("bench_nothing", None, measure, ["--json", "--seeds", "3"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert out.count("\n") == 1
    assert list(found) == ["bench", "data", "embedder", "seeds", "metrics", "seconds"]
    assert (found["bench"], found["data"], found["embedder"], found["seeds"]) == (
        "bench_nothing",
        "made_up",
        "hashed",
        3,
    )
    assert list(found["metrics"]["square"]) == ["mean", "lo", "hi"]
    assert found["metrics"]["square"]["mean"] == pytest.approx(0.5 + 5 / 3, rel=1e-5)
    assert found["metrics"]["constant"] == {"mean": 2.0, "lo": 2.0, "hi": 2.0}
    assert "seed 2 done, 3 of 3" in err
    assert (tmp_path / "results" / "bench_nothing-made_up-hashed.png").read_bytes().startswith(PNG)


def test_one_seed_is_said_in_the_object_and_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = ["--seeds", "1", "--plot", str(tmp_path / "deep" / "plot.svg")]
    run_benchmark("bench_nothing", None, measure, ["--json", *plot])
    assert "no interval" in json.loads(capsys.readouterr().out)["note"]
    run_benchmark("bench_nothing", None, measure, plot)
    table = capsys.readouterr().out
    assert "1 seed, no interval" in table
    assert "95 %" not in table
    assert (tmp_path / "deep" / "plot.svg").read_text().startswith("<?xml")


def test_the_table_has_mean_and_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_benchmark("bench_nothing", None, measure, ["--seeds", "3", "--plot", str(tmp_path / "plot.png")])
    table = capsys.readouterr().out
    assert "bench_nothing: made_up, hashed, 3 seeds" in table
    [line] = [line for line in table.splitlines() if line.strip().startswith("square")]
    assert line.split() == ["square", "2.1667", "-3.0045", "…", "7.3378"]


@pytest.mark.parametrize(
    "error", [InputError("data must be\n  a folder"), EmbedderUnavailableError("data must be a folder")]
)
def test_data_that_cannot_be_used_is_one_line_and_exit_code_2(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(options: Options) -> Measurement:
        raise error

    with pytest.raises(SystemExit) as caught:
        run_benchmark("bench_nothing", None, refuse, ["--json"])
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "bench_nothing: data must be a folder\n")


def test_a_plot_that_cannot_be_written_leaves_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit) as caught:
        run_benchmark("bench_nothing", None, measure, ["--json", "--plot", str(tmp_path / "file" / "plot.png")])
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert json.loads(out)["bench"] == "bench_nothing"
    assert "cannot write the plot" in err.splitlines()[-1]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_curves_and_bars_of_one_seed_and_one_name_are_drawn(tmp_path: Path, ending: str) -> None:
    save_curves(tmp_path / f"a.{ending}", {"ours": [[0.5]]}, [1.0], title="t", x_label="x", y_label="y", ours=["ours"])
    metrics = {"worse": Estimate(mean=-0.5, lo=-0.6, hi=-0.4), "same": Estimate(mean=0.0, lo=0.0, hi=0.0)}
    save_bars(tmp_path / f"b.{ending}", metrics, title="t", value_label="x", reference=("frozen", -0.1))
    assert all((tmp_path / f"{name}.{ending}").stat().st_size > 1000 for name in "ab")


def test_every_name_and_level_is_written_into_the_picture(tmp_path: Path) -> None:
    curves = {f"name {i}": [[0.1, 0.9], [0.2, 0.9]] for i in range(12)}
    path = tmp_path / "a.svg"
    steps = {name: [1e-4, 1e-2] for name in curves}
    save_curves(path, curves, steps, title="t", x_label="x", y_label="y", levels={"bound": 0.95}, is_log_x=True)
    # Matplotlib writes each text as a comment beside its outlines.
    text = path.read_text()
    assert all(f"<!-- {name}  90.0 % -->" in text for name in curves)
    assert "<!-- bound  95.0 % -->" in text


@pytest.mark.parametrize("values", [[[0.1]], [0.1, 0.2], [[0.1, math.nan]], [], [[0.1, 0.2], [0.3]]])
def test_a_curve_of_another_shape_is_refused(tmp_path: Path, values: Sequence[Sequence[float]]) -> None:
    with pytest.raises(ShapeError, match="curve ours must be"):
        save_curves(tmp_path / "a.png", {"ours": values}, [1.0, 2.0], title="t", x_label="x", y_label="y")


def test_a_program_that_uses_the_harness_runs_its_seeds_in_processes(tmp_path: Path) -> None:
    program = tmp_path / "bench_program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-W", "error", "-m", "bench_program", "--json", "--seeds", "2"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["seed"]["mean"] == 0.5
    assert (tmp_path / "results" / "bench_program-none-none.png").is_file()


PROGRAM = """
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plots import save_bars
from benchmarks.seeds import run_seeds, summarise


def one_seed(seed):
    return {"seed": float(seed)}


def measure(options):
    metrics = summarise(run_seeds(one_seed, options.seeds))
    draw = lambda path: save_bars(path, metrics, title="t", value_label="v")
    return Measurement(data="none", embedder="none", metrics=metrics, draw=draw)


if __name__ == "__main__":
    run_benchmark("bench_program", None, measure)
"""
