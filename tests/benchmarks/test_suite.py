"""The suite: what is run, how figures become rows, how runs are compared, and what an interrupt leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import suite_result
from benchmarks.claims import CLAIMS, beside_claims
from benchmarks.peer import peer_times_us
from benchmarks.small_data import write_small_data
from benchmarks.suite import SUITE
from benchmarks.suite_compare import Verdict, changes, compare, differences
from benchmarks.suite_entry import of_engine, of_report
from benchmarks.suite_figures import Better, Bound, Figure, Reading, Row, Spread, row_of, rows_of
from benchmarks.suite_jobs import Wanted, plan
from benchmarks.suite_plot import save_ratios
from benchmarks.suite_result import Result, load_result, this_place
from benchmarks.suite_run import run_jobs
from benchmarks.suite_tables import print_result
from swarm.errors import InputError, RuntimeSetupError
from swarm_cli.commands.bench import find_checkout

ROOT = Path(__file__).parents[2]
PLACES = {name: Path(name) for name in ("texts", "other", "tools", "routes", "runs")}


def spread(mean: float, half: float = 0.0, n: int = 1) -> Spread:
    return Spread(mean=mean, lo=mean - half, hi=mean + half, n=n)


def row(ours: float = 0.8, half: float = 0.1, n: int = 5, bound: Bound | None = None) -> Row:
    figure = Figure("all", "all tiers", "share", "frozen", "frozen", bound=bound)
    reading = Reading(data="texts", metrics={"all": spread(ours, half, n), "frozen": spread(0.4)})
    return rows_of("learning", [figure], reading, judges_ratio=False)[0]


def result(*rows: Row, **more: object) -> Result:
    made = Result(size="small", rows=rows, place=this_place(), at="2026-01-01T00:00:00Z")
    return replace(made, **more)  # type: ignore[arg-type]  # fields of Result


def test_every_benchmark_of_the_folder_is_in_the_suite() -> None:
    modules = {path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")} | {"fuzz_inputs"}
    assert {entry.module for entry in SUITE} == modules
    assert len({entry.name for entry in SUITE}) == len(SUITE)


def test_a_small_run_needs_no_data_and_leaves_nothing_out_silently() -> None:
    planned = plan(Wanted(), PLACES)
    assert {job.name for job in planned.jobs} | planned.left_out.keys() == {entry.name for entry in SUITE}
    assert all("--data" not in job.arguments or job.arguments[-1] in PLACES for job in planned.jobs)


def test_a_full_run_takes_each_folder_and_says_which_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "banking77").mkdir()
    names = ("learning", "routing", "transfer")
    planned = plan(Wanted(full=True, only=names, data=tmp_path), {})
    assert [job.name for job in planned.jobs] == ["learning banking77", "transfer banking77"]
    assert planned.left_out["learning clinc150"] == "not in --data"
    assert planned.left_out["routing routing_mmlu"] == "not in --data"
    alone = plan(Wanted(full=True, only=names), {})
    assert [job.name for job in alone.jobs] == ["learning", "transfer"]
    assert "standard library instead" in alone.left_out["learning banking77"]
    assert alone.left_out["routing routing_mmlu"] == "no --data"


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (Wanted(only=("nope",)), "--only must be some of engine, .*, got 'nope'"),
        (Wanted(full=True, data=Path("/no/such")), "--data must be a folder, got '/no/such'"),
        (Wanted(data=ROOT), "--data goes with --full"),
    ],
)
def test_a_wrong_wish_is_one_line(wanted: Wanted, line: str) -> None:
    with pytest.raises(InputError, match=line):
        plan(wanted, PLACES)


def test_a_package_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(suite_result, "version", missing)
    assert "scikit-learn is not installed" in this_place()["packages"]


def test_a_row_has_its_ratio_its_spread_and_whether_the_bound_is_met() -> None:
    made = row(0.8, bound=Bound(least=3.0, of_ratio=True))
    assert (made.judged, made.is_met, made.wanted, made.n) == ("ours", False, ">= 3x", 5)
    assert [made.ratio, made.lo, made.hi] == pytest.approx([2.0, 0.7, 0.9])
    assert row_of(json.loads(json.dumps(made.to_dict()))) == made


def test_of_times_the_ratio_is_judged_and_what_has_nothing_beside_it_is_no_row() -> None:
    record = {
        "dim": 8,
        "rounds": 9,
        "ours_us": {"micro": 4.0},
        "numpy_us": {"micro": 2.0},
        "peer_us": {},
        "ratio_to_numpy": {"micro": 2.1},
        "ratio_to_numpy_middle": {"micro": [1.8, 2.3]},
    }
    [entry] = [entry for entry in SUITE if entry.name == "engine"]
    [made] = rows_of("engine", entry.figures, of_engine(record), judges_ratio=True)
    assert (made.value, made.lo, made.hi, made.n, made.better) == (2.1, 1.8, 2.3, 9, Better.LESS)


def test_only_differences_beyond_both_spreads_are_marked() -> None:
    before = row(0.8, 0.1)
    assert compare(row(0.95, 0.1), before).verdict is Verdict.SAME
    assert compare(row(1.05, 0.1), before).verdict is Verdict.BETTER
    worse = compare(row(0.5, 0.1), before)
    assert worse.verdict is Verdict.WORSE
    assert worse.change == pytest.approx(-0.375)
    assert compare(row(0.5, 0.0, n=1), before).verdict is Verdict.UNKNOWN
    assert compare(row(0.8, 0.0, n=1), before).verdict is Verdict.SAME


def test_another_machine_python_commit_or_size_is_said(tmp_path: Path) -> None:
    now = result(row())
    path = tmp_path / "bench.json"
    path.write_text(now.to_json())
    earlier = load_result(path)
    assert differences(now, earlier) == []
    assert changes(now, earlier)[now.rows[0].id].verdict is Verdict.SAME
    other = replace(earlier, size="full", place={**earlier.place, "python": "2.7", "commit": "f00"}, rows=())
    said = differences(now, other)
    assert [line.split(":")[0] for line in said[:3]] == ["another Python", "another commit", "another size"]
    assert said[3] == "1 rows were measured now and not then"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": "swarm-bench/1", "rows": [{"id": 1}]}'])
def test_what_is_no_saved_run_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"--compare|rows must be"):
        load_result(path)


def test_every_claim_has_a_source_and_says_why_it_cannot_be_compared() -> None:
    for claim in CLAIMS:
        assert claim.claimed
        assert claim.source
        assert claim.here is not None or claim.why
    [found] = [claim for claim in beside_claims([row()]) if claim.claimed == "+55 %"]
    assert found.here == pytest.approx(1.0)
    assert found.comparable.startswith("neither data nor measure")


def test_the_table_fits_a_terminal_and_names_what_was_missed_and_failed(tmp_path: Path) -> None:
    missed = row(0.8, bound=Bound(least=3.0, of_ratio=True))
    made = result(missed, failed={"chaos": "exit code 1: lost 2"}, not_run=["fuzz"], left_out={"tools x": "no --data"})
    for earlier in (None, result(row(0.5))):
        out = StringIO()
        print_result(
            made,
            beside_claims(made.rows),
            changes(made, earlier) if earlier else None,
            console=Console(file=out, width=80, highlight=False),
        )
        text = out.getvalue()
        for words in ("2.00", "1 missed", "failed: chaos", "not measured: fuzz", "left out: tools x", "not comparable"):
            assert words in text
        assert ("+60 % better" in text) == (earlier is not None)
        assert max(len(line) for line in text.splitlines() if "Python" not in line) <= 80
    save_ratios(tmp_path / "bench.png", made)
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_a_benchmark_that_fails_is_a_failure_with_its_last_line(tmp_path: Path) -> None:
    [job] = plan(Wanted(only=("tools",)), PLACES).jobs
    outcome = run_jobs([replace(job, arguments=["--data", "/no/such"])], tmp_path, tmp_path, 60.0)
    assert outcome.failed["tools"].startswith("exit code 2: bench_tools: data must be a folder")
    assert (outcome.rows, outcome.reports) == ([], {})


def test_a_benchmark_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    [job] = plan(Wanted(only=("fuzz",)), PLACES).jobs
    outcome = run_jobs([job], tmp_path, tmp_path, 0.2)
    assert outcome.failed == {"fuzz": "took more than 0.2 s"}


def test_a_peer_that_fails_is_left_out_and_takes_no_figure_of_ours_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bench_sona.cjs").write_text("process.exit(3)")
    monkeypatch.setenv("SONA_DIR", str(tmp_path))
    assert peer_times_us(tmp_path, 16) == {}
    assert "peer not measured: " in capsys.readouterr().err


def test_an_installed_package_without_its_source_says_where_to_go(tmp_path: Path) -> None:
    assert find_checkout(tmp_path, ROOT) == ROOT
    with pytest.raises(RuntimeSetupError, match="run `swarm bench` in a checkout"):
        find_checkout(tmp_path)


def test_an_interrupt_keeps_what_was_measured_and_leaves_nothing_running(tmp_path: Path) -> None:
    write_small_data(tmp_path / "data", per_label=8)
    (tmp_path / "data" / "runs").rename(tmp_path / "data" / "workbench")
    words = ["--full", "--only", "fuzz", "--only", "credit", "--data", str(tmp_path / "data"), "--json"]
    words += ["--save", str(tmp_path / "saved")]
    # Not under pytest's folder: a socket's path may have 107 bytes at most.
    scratch = Path(tempfile.mkdtemp(prefix="swarm-suite-"))
    process = subprocess.Popen(
        [sys.executable, "-m", "swarm_cli", "bench", *words],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("credit workbench: measured"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60.0)
    assert process.returncode == 1, err
    found = json.loads(out)
    assert found["not_run"] == ["fuzz"]
    assert {row["bench"] for row in found["rows"]} == {"credit workbench"}
    assert [row.id for row in load_result(tmp_path / "saved" / "bench.json").rows] == [r["id"] for r in found["rows"]]
    assert (tmp_path / "saved" / "credit-workbench.png").is_file()
    # The fuzzed swarm had a Redis and a folder of its own.
    assert list(scratch.iterdir()) == []
    scratch.rmdir()


def test_the_report_of_a_benchmark_is_read_with_its_interval() -> None:
    record = {"data": "texts", "seeds": 3, "metrics": {"all": {"mean": 0.5, "lo": 0.4, "hi": 0.6}}}
    assert of_report(record).metrics["all"] == Spread(mean=0.5, lo=0.4, hi=0.6, n=3)
