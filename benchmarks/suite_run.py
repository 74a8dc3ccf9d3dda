"""Processes of the suite: timed benchmarks one after another, then the others two at a time.

Each is a process in a session of its own, so that Ctrl-C in a terminal reaches this process alone. It passes the
interrupt on once, and each benchmark ends what it has started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.arguments import one_line, say
from benchmarks.suite_figures import Row, rows_of
from benchmarks.suite_jobs import Job
from swarm.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
AT_A_TIME = 2
_LOOK_S = 0.1
_GRACE_S = 30.0
"""So long an interrupted benchmark may take to end what it has started."""


@dataclass(slots=True)
class Outcome:
    """What came of the jobs; rows are in the order of the jobs."""

    rows: list[Row] = field(default_factory=list)
    reports: dict[str, Any] = field(default_factory=dict)
    """The JSON of each benchmark by the name of its job."""
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    not_run: list[str] = field(default_factory=list)
    """After an interrupt: what had not ended."""


@dataclass(slots=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    started_s: float = field(default_factory=time.monotonic)


def run_jobs(jobs: Sequence[Job], plots: Path, logs: Path, timeout_s: float) -> Outcome:
    """Run all, and keep what was measured, whatever fails or interrupts.

    Parameters
    ----------
    plots, logs : folders for the benchmarks' own pictures, and for what they print
    timeout_s : a benchmark that takes longer is ended, and failed
    """
    outcome = Outcome()
    timed = [job for job in jobs if job.entry.is_timed]
    others = [job for job in jobs if not job.entry.is_timed]
    for batch, at_a_time in ((timed, 1), (others, AT_A_TIME)):
        if outcome.not_run:
            outcome.not_run += [job.name for job in batch]
        else:
            _run_batch(batch, at_a_time, plots, logs, timeout_s, outcome)
    places = {job.name: place for place, job in enumerate(jobs)}
    outcome.rows.sort(key=lambda row: places[row.bench])
    return outcome


def _run_batch(
    jobs: Sequence[Job], at_a_time: int, plots: Path, logs: Path, timeout_s: float, outcome: Outcome
) -> None:
    waiting, running = deque(jobs), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                running.append(_start(waiting.popleft(), plots, logs))
            for one in [one for one in running if _is_over(one, timeout_s)]:
                running.remove(one)
                _take(one, timeout_s, outcome)
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        say("interrupted: ending what runs")
        _end(running)
        outcome.not_run += [one.job.name for one in running] + [job.name for job in waiting]


def _start(job: Job, plots: Path, logs: Path) -> _Running:
    say(f"{job.name}: {job.entry.shows}")
    arguments = [*job.arguments, "--json"]
    if job.entry.has_plot:
        arguments += ["--plot", str(plots / f"{job.name.replace(' ', '-')}.png")]
    sources = [str(ROOT / folder) for folder in ("swarm", "agents", "workers")]
    path = os.pathsep.join([*sources, *filter(None, [os.environ.get("PYTHONPATH")])])
    out, err = logs / f"{job.name}.out", logs / f"{job.name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{job.entry.module}", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    return _Running(job, process, out, err)


def _is_over(one: _Running, timeout_s: float) -> bool:
    return one.process.poll() is not None or time.monotonic() - one.started_s > timeout_s


def _take(one: _Running, timeout_s: float, outcome: Outcome) -> None:
    """Read what it printed; a code other than 0 is a failure, but its figures count all the same."""
    name = one.job.name
    outcome.seconds[name] = round(time.monotonic() - one.started_s, 1)
    if one.process.poll() is None:
        _end([one])
        outcome.failed[name] = f"took more than {timeout_s:g} s"
        return
    code = one.process.returncode
    if code:
        said = one.err.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        outcome.failed[name] = f"exit code {code}: {one_line(said[-1])}"[:300]
    try:
        record = json.loads(one.out.read_bytes())
        found = rows_of(name, one.job.figures, one.job.entry.read(record), one.job.entry.is_timed)
    except (ValueError, KeyError, TypeError, InputError) as error:
        outcome.failed.setdefault(name, f"printed no figures: {one_line(error)}"[:300])
        return
    outcome.rows += found
    outcome.reports[name] = record
    say(f"{name}: measured in {outcome.seconds[name]:g} s")


def _end(running: Sequence[_Running]) -> None:
    """Interrupt them, so that they end what they have started; then whatever is left of them."""
    left = [process for one in running for process in _family(one.process.pid)]
    for one in running:
        one.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _GRACE_S
    for one in running:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            one.process.kill()
    for process in left:
        # psutil compares the time of its start: a pid that was given anew is left alone.
        if process.is_running():
            process.kill()


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
