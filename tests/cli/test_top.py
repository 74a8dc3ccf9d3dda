"""`swarm top`: rates from successive states, a picture that fits, and a terminal that is left as it was."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cli_support import CommandLine
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support import PrivateRedis, wait_until

from swarm.services.status import AgentStatus, SwarmStatus
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.supervisors import PoolReport, SupervisorBeat
from swarm.store.tasks import RoleCounts
from swarm.store.workers import WorkerBeat
from swarm_agents import Agent
from swarm_cli.top.layout import Frame, render
from swarm_cli.top.pace import WINDOW, Pace

ALTERNATE, ORDINARY = b"\x1b[?1049h", b"\x1b[?1049l"


def agent(name: str, accepted: int, consolidated: int = 0, **more: int) -> AgentStatus:
    values: dict[str, Any] = {"dead": 0, "rewound": 0, "lost": 0, "open": 0, **more}
    return AgentStatus(
        name=name,
        role="coder",
        generation=3,
        accepted=accepted,
        consolidated=consolidated,
        pending=accepted - consolidated,
        oldest_pending_s=1.5 if accepted > consolidated else None,
        verdict="trusted",
        **values,
    )


def swarm_of(*agents: AgentStatus, succeeded: int = 0) -> SwarmStatus:
    return SwarmStatus(
        name="made",
        embedder="hashed@1 (256-d)",
        agents=agents,
        patterns=12,
        bank_version="7",
        merges=3,
        unmerged_agents=0,
        workers=(),
        queue_depth=0,
        tasks=(RoleCounts(role="coder", submitted=succeeded + 2, waiting=2, succeeded=succeeded),),
    )


def picture(status: SwarmStatus, pace: Pace, width: int = 80, height: int | None = 24, alarm: str = "") -> list[str]:
    file = io.StringIO()
    out = Console(file=file, width=width, height=height or 100, color_system=None)
    out.print(
        render(Frame(status=status, pace=pace, at_s=0.0, redis_url="here", height=height, alarm=alarm)), no_wrap=True
    )
    return file.getvalue().splitlines()


def test_rate_is_what_the_counters_grew_by_over_the_time_between() -> None:
    pace = Pace()
    pace.add(swarm_of(agent("a", 10, 5), succeeded=1), 100.0)
    assert pace.rates is None
    pace.add(swarm_of(agent("a", 30, 15), agent("b", 8), succeeded=5), 104.0)
    assert pace.rates is not None
    assert pace.rates.as_dict() == {"accepted": 7.0, "consolidated": 2.5, "submitted": 1.0, "succeeded": 1.0}
    assert (pace.of_agent("a"), pace.of_agent("b"), pace.of_agent("c")) == (5.0, 2.0, 0.0)


@given(st.lists(st.tuples(st.floats(0.2, 5.0), st.integers(0, 1_000)), min_size=1, max_size=40))
def test_rate_over_the_window_equals_plain_counting(steps: list[tuple[float, int]]) -> None:
    pace, moments = Pace(), [(0.0, 0)]
    pace.add(swarm_of(agent("a", 0)), 0.0)
    for seconds, more in steps:
        moments.append((moments[-1][0] + seconds, moments[-1][1] + more))
        pace.add(swarm_of(agent("a", moments[-1][1])), moments[-1][0])
    last_s, last = moments[-1]
    # From the newest look that is a whole window old, or else from the first.
    first_s, first = max((moment for moment in moments[:-1] if moment[0] <= last_s - WINDOW), default=moments[0])
    assert pace.rates is not None
    assert pace.rates.accepted == pytest.approx((last - first) / (last_s - first_s))


def test_an_agent_that_was_forgotten_makes_no_negative_rate() -> None:
    pace = Pace()
    pace.add(swarm_of(agent("a", 100), agent("b", 50)), 0.0)
    pace.add(swarm_of(agent("b", 54)), 1.0)
    assert pace.rates is not None
    assert pace.rates.accepted == 4.0


def test_a_second_look_at_the_same_time_is_no_look() -> None:
    pace = Pace()
    pace.add(swarm_of(agent("a", 1)), 1.0)
    pace.add(swarm_of(agent("a", 2)), 1.0)
    assert pace.rates is None


@pytest.mark.parametrize(("agents", "height"), [(1, 24), (9, 24), (200, 24), (200, 50), (200, 12)])
def test_picture_fits_the_terminal_and_says_what_it_hides(agents: int, height: int) -> None:
    pace = Pace()
    for at_s in (0.0, 2.0):
        status = swarm_of(*(agent(f"coder-{n}", int(100 + n * at_s)) for n in range(agents)))
        pace.add(status, at_s)
    lines = picture(status, pace, height=height)
    shown = [line for line in lines if line.startswith("coder-")]
    assert len(lines) <= max(height, 20)
    assert len(shown) == agents or f"… {agents - len(shown):,} more" in lines[-1]
    assert shown[0].split()[0] == f"coder-{agents - 1}"  # who reports most stands first


def test_what_is_wrong_is_in_the_picture() -> None:
    beat = WorkerBeat(
        name="local@here",
        pool="local",
        host="here",
        pid=1,
        concurrency=2,
        active=1,
        reserved=1,
        done=5,
        consuming=True,
        started_s=0.0,
        beat_s=-2.0,
        reconnects=0,
        outages=0,
        fault="no memory",
    )
    report = PoolReport(pool="coder", wanted=3, why="", failures=4, next_start_s=0.0, fault="ImportError: no handlers")
    elsewhere = SupervisorBeat(host="there", pid=2, started_s=0.0, beat_s=0.0, pools=(report,))
    status = replace(swarm_of(agent("a", 9, lost=2, dead=1)), workers=(beat,), supervisors=(elsewhere,))
    text = "\n".join(picture(status, Pace(), width=140, alarm="as of 10:00:00: Redis is away"))
    for words in (
        "as of 10:00:00: Redis is away",
        "2 lost",
        "no memory",
        "who dies stays dead",
        "coder@there",
        "failed 4 times: ImportError: no handlers",
    ):
        assert words in text
    assert "No worker is alive: swarm up --swarm made" in "\n".join(picture(swarm_of(), Pace()))


@pytest.fixture
def busy(settings: Settings, client: Client, external: CommandLine) -> CommandLine:
    """A swarm with one agent and two outcomes that wait."""
    with Agent("ada", role="coder", swarm=Swarm(settings)) as ada:
        for number in range(2):
            ada.after_task(ada.before_task(f"task {number}").trajectory_id, success=True, output="done")
    return external


def test_once_is_one_object_with_rates(busy: CommandLine) -> None:
    frame = busy.json("top", "--once", "--interval", "0.2")
    assert frame["rates"] == {"accepted": 0.0, "consolidated": 0.0, "submitted": 0.0, "succeeded": 0.0}
    assert frame["error"] is None
    assert frame["status"] == busy.json("status") | {
        "agents": [frame["status"]["agents"][0]],
        "workers": frame["status"]["workers"],
    }
    assert frame["status"]["agents"][0]["accepted"] == 2
    text = busy.run("top", "--once", "--interval", "0.2").stdout
    assert "2 waiting" in text
    assert "\x1b" not in text


def test_json_is_one_object_a_look_and_sees_what_is_reported_meanwhile(busy: CommandLine, settings: Settings) -> None:
    with busy.popen("top", "--json", "--interval", "0.2") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["rates"] is None
        with Agent("ada", role="coder", swarm=Swarm(settings)) as ada:
            ada.after_task(ada.before_task("one more").trajectory_id, success=True, output="done")

        def is_seen() -> bool:
            assert process.stdout is not None
            frame = json.loads(process.stdout.readline())
            return bool(frame["status"]["agents"][0]["accepted"] == 3 and frame["rates"]["accepted"] > 0.0)

        wait_until(is_seen, 20.0, "the third outcome, with a rate")
        process.send_signal(signal.SIGINT)
        assert process.wait(20.0) == 0


def test_redis_that_goes_away_and_comes_back_is_shown(own_redis: PrivateRedis) -> None:
    line = CommandLine(SWARM_REDIS_URL=own_redis.url)
    try:
        with line.popen("top", "--json", "--interval", "0.2") as process:
            assert process.stdout is not None
            out = process.stdout
            assert json.loads(out.readline())["error"] is None
            own_redis.kill()
            wait_until(lambda: json.loads(out.readline())["error"], 30.0, "the alarm")
            own_redis.start()
            wait_until(lambda: json.loads(out.readline())["error"] is None, 30.0, "a state without an alarm")
            process.send_signal(signal.SIGINT)
            assert process.wait(20.0) == 0
    finally:
        line.close()


@dataclass(slots=True)
class Terminal:
    """`swarm top` on a pseudo-terminal of its own."""

    process: subprocess.Popen[bytes]
    master: int
    slave: int
    before: list[object]
    seen: bytearray = field(default_factory=bytearray)

    def wait_for(self, sign: bytes) -> None:
        """Read until the program has written this."""

        def is_there() -> bool:
            os.set_blocking(self.master, False)
            try:
                self.seen += os.read(self.master, 65_536)
            except BlockingIOError:
                time.sleep(0.01)
            return sign in self.seen

        wait_until(is_there, 40.0, f"{sign!r} on the terminal")

    def mode(self) -> list[object]:
        return list(termios.tcgetattr(self.slave))


@contextmanager
def terminal(line: CommandLine) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    before = list(termios.tcgetattr(slave))
    process = subprocess.Popen(
        [sys.executable, "-m", "swarm_cli", "top", "--interval", "0.5"],
        env={**line.environment, "TERM": "xterm", "LINES": "24"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    try:
        yield Terminal(process, master, slave, before)
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("how", ["q", "ctrl-c", "sigterm"])
def test_the_terminal_is_as_before_whatever_ends_it(busy: CommandLine, how: str) -> None:
    with terminal(busy) as seen:
        seen.wait_for(b"q quits")
        assert ALTERNATE in seen.seen
        assert seen.mode() != seen.before
        if how == "q":
            os.write(seen.master, b"q")
        else:
            seen.process.send_signal(signal.SIGINT if how == "ctrl-c" else signal.SIGTERM)
        seen.wait_for(ORDINARY)
        code = seen.process.wait(20.0)
        assert code == (128 + signal.SIGTERM if how == "sigterm" else 0)
        assert seen.mode() == seen.before
        assert b"Traceback" not in seen.seen
