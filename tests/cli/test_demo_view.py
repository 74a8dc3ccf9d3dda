"""The live view: what it shows, where it writes, what it costs."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from swarm_cli.demo.layout import Frame, render, sparkline, spread
from swarm_cli.demo.progress import AgentRow, DemoProgress, Success, Tally
from swarm_cli.demo.view import DemoView


def progress_at(tasks_done: int, agents: int = 8, tasks_total: int = 8_000) -> DemoProgress:
    row = AgentRow(name="agent-0", tasks=tasks_done // 8, success=0.5, generation=3, patterns=40, from_others=0.25)
    return DemoProgress(
        tasks_done=tasks_done,
        tasks_total=tasks_total,
        overall=Success(frozen=0.331, learned=0.452),
        recent=Success(frozen=0.324, learned=0.47),
        patterns=1_204,
        consolidations=87,
        merges=34,
        pending=112,
        agents=tuple(row for _ in range(agents)),
    )


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, legacy_windows=False)


def picture(progress: DemoProgress | None, console: Console) -> list[str]:
    frame = Frame(
        title="made · hashed · 8 agents · seed 0",
        phase="every agent meets all labels",
        elapsed=75.0,
        rate=200.0,
        progress=progress,
        history=[progress] if progress else [],
        height=console.height,
    )
    with console.capture() as capture:
        console.print(render(frame), no_wrap=True, crop=False)
    return Console(no_color=True).render_str(capture.get()).plain.splitlines()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60), st.integers(1, 20))
def test_tally_equals_plain_counting(outcomes: list[tuple[bool, bool]], window: int) -> None:
    tally = Tally(window)
    for frozen, learned in outcomes:
        tally.add(frozen=frozen, learned=learned)
    assert tally.tasks == len(outcomes)
    for part, success in ((outcomes, tally.overall), (outcomes[-window:], tally.recent)):
        assert success.frozen == sum(frozen for frozen, _ in part) / max(len(part), 1)
        assert success.learned == sum(learned for _, learned in part) / max(len(part), 1)


@pytest.mark.parametrize("agents", [1, 8, 64])
def test_picture_fits_a_small_terminal(agents: int) -> None:
    lines = picture(progress_at(3_120, agents), terminal())
    assert len(lines) < 24
    text = "\n".join(lines)
    for figure in ("3,120 / 8,000 tasks", "33.1 %", "45.2 %", "+12.1", "+14.6", "1,204", "87", "34", "112", "25.0 %"):
        assert figure in text
    assert ("more" in text) is (agents == 64)


def test_picture_before_the_first_task_is_the_header() -> None:
    lines = picture(None, terminal())
    assert len(lines) == 2
    assert "every agent meets all labels" in lines[1]


def test_history_is_spread_over_the_stream_and_spreading_it_again_changes_nothing() -> None:
    moments = [progress_at(done) for done in (10, 900, 3_900, 4_100)]
    parts = spread(moments, 8)
    assert [moment.tasks_done for moment in parts] == [900, 3_900, 3_900, 3_900, 4_100]
    assert spread(parts, 8) == parts
    assert len(spread([*parts, progress_at(8_000)], 8)) == 8


def test_sparkline_of_nothing_is_flat() -> None:
    assert sparkline([0.0, 0.0], 0.0) == "▁▁"


def test_live_view_draws_on_a_terminal_and_leaves_the_last_figures() -> None:
    console = terminal()
    with DemoView("made", console=console) as view:
        view.phase("each agent meets its own labels")
        for done in range(1, 2_001):
            view.update(progress_at(done, tasks_total=2_000))
    output = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO given above
    assert "each agent meets its own labels" in output
    assert "2,000 / 2,000 tasks" in output


def test_update_draws_at_most_five_times_a_second() -> None:
    console = terminal()
    with DemoView("made", console=console) as view:
        view.update(progress_at(1))
        assert not view.due
        size = console.file.tell()
        view.update(progress_at(2))
        assert console.file.tell() == size


@pytest.mark.parametrize("quiet", [True, False])
def test_without_a_terminal_plain_lines_go_to_stderr_only(capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    with DemoView("made", quiet=quiet) as view:
        view.phase("starting")
        view.update(progress_at(3_120))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0].endswith("starting")
    assert "3,120/8,000 tasks" in captured.err


def test_quiet_view_leaves_even_a_terminal_alone() -> None:
    console = terminal()
    with DemoView("made", quiet=True, console=console) as view:
        view.phase("starting")
        view.update(progress_at(1))
    assert console.file.tell() == 0


def test_a_terminal_that_cannot_show_blocks_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with DemoView("made", console=Console(file=stream, force_terminal=True)) as view:
        view.phase("starting")
    assert "starting" in capsys.readouterr().err
