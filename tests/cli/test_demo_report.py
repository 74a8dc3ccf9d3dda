"""The result as JSON, table and picture."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from swarm.errors import InputError
from swarm_cli.demo.plot import save_plot
from swarm_cli.demo.report import (
    CurvePoint,
    DemoResult,
    Extra,
    HeldOutSuccess,
    HookLatency,
    Latency,
    ShownPattern,
    TrajectoryCounts,
    print_report,
)

CURVE = tuple(
    CurvePoint(
        tasks=tasks,
        frozen=0.33,
        isolated=0.36,
        isolated_lowest=0.34,
        isolated_highest=0.38,
        swarm=0.33 + tasks / 50_000,
    )
    for tasks in range(0, 8_001, 1_000)
)
RESULT = DemoResult(
    data="made",
    embedder="wordllama",
    agents=8,
    seed=3,
    success=HeldOutSuccess(frozen=0.33123456, isolated=0.38, swarm=0.4567),
    cross_agent_share=0.6,
    trajectories=TrajectoryCounts(sent=8_000, consolidated=8_000, lost=0),
    hook_ms=HookLatency(before=Latency(p50=0.31, p99=0.9), after=Latency(p50=0.2, p99=1.4)),
    seconds=61.2,
    extra=Extra(
        requests=4_000,
        labels=75,
        held_out=800,
        own_share_tasks=2_700,
        unseen=HeldOutSuccess(frozen=0.32, isolated=0.31, swarm=0.44),
        curve=CURVE,
    ),
)
PATTERN = ShownPattern(
    asked_by="agent-3",
    request="Is [bold]this[/bold] an identifier? " + "x" * 500,
    answer="builtins",
    expected="str",
    learned_from=tuple((f"agent-{number}", 40 - number) for number in range(8)),
    quality=0.87,
    quality_error=0.04,
    exemplar="Return True if the string is alphabetic.",
    updated_s=1_700_000_000.0,
)


def printed(result: DemoResult, patterns: list[ShownPattern], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(result, patterns, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]  # it is the StringIO given above


def test_json_has_the_promised_fields_and_one_object_for_all_others() -> None:
    found = json.loads(RESULT.to_json())
    extra = found.pop("extra")
    assert found == {
        "data": "made",
        "embedder": "wordllama",
        "agents": 8,
        "seed": 3,
        "success": {"frozen": 0.3312, "isolated": 0.38, "swarm": 0.4567},
        "cross_agent_share": 0.6,
        "trajectories": {"sent": 8_000, "consolidated": 8_000, "lost": 0},
        "hook_ms": {"before": {"p50": 0.31, "p99": 0.9}, "after": {"p50": 0.2, "p99": 1.4}},
        "seconds": 61.2,
    }
    assert extra["unseen"] == {"frozen": 0.32, "isolated": 0.31, "swarm": 0.44}
    assert len(extra["curve"]) == len(CURVE)


def test_json_is_one_line_and_refuses_what_json_cannot_say() -> None:
    assert "\n" not in RESULT.to_json()
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(RESULT, seconds=math.nan).to_json()


def test_report_shows_success_outcomes_and_hooks() -> None:
    text = printed(RESULT, [])
    for figure in (
        "33.1 %",
        "38.0 %",
        "45.7 %",
        "+12.5 points",
        "44.0 %",
        "8,000 consolidated, 0 lost",
        "60.0 %",
        "1.40 ms",
    ):
        assert figure in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_report_shows_a_pattern_with_its_provenance_and_does_not_read_it_as_markup() -> None:
    text = printed(RESULT, [PATTERN])
    for part in (
        "agent-3 asked",
        "[bold]this[/bold]",
        "builtins",
        "str was right",
        "0.87 ± 0.04",
        "agent-0 ×40",
        "and 2 more",
    ):
        assert part in text
    assert "x" * 100 not in text


def test_report_without_unseen_labels_has_one_row() -> None:
    text = printed(replace(RESULT, extra=replace(RESULT.extra, unseen=None)), [])
    assert "never met" not in text


@pytest.mark.parametrize(
    "extra",
    [
        RESULT.extra,
        replace(RESULT.extra, unseen=None),
        replace(RESULT.extra, curve=CURVE[:1]),
        replace(RESULT.extra, curve=(), own_share_tasks=0),
    ],
)
def test_plot_is_a_png_whatever_there_is_to_show(tmp_path: Path, extra: Extra) -> None:
    path = tmp_path / "demo.png"
    save_plot(replace(RESULT, extra=extra), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 20_000


def test_plot_of_a_swarm_that_was_never_right_is_drawn(tmp_path: Path) -> None:
    nothing = HeldOutSuccess(frozen=0.0, isolated=0.0, swarm=0.0)
    curve = tuple(
        replace(point, frozen=0.0, isolated=0.0, isolated_lowest=0.0, isolated_highest=0.0, swarm=0.0)
        for point in CURVE
    )
    result = replace(RESULT, success=nothing, extra=replace(RESULT.extra, unseen=nothing, curve=curve))
    save_plot(result, tmp_path / "demo.png")
    assert (tmp_path / "demo.png").exists()


def test_plot_that_cannot_be_written_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write the plot .*absent.*demo\.png"):
        save_plot(RESULT, tmp_path / "absent" / "demo.png")


def test_plotting_does_not_load_a_window_system() -> None:
    code = "import sys, swarm_cli.demo.plot; print('matplotlib.pyplot' in sys.modules, 'tkinter' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == ["False", "False"]
