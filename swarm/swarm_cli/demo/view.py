"""The live view of a running demo: a picture on a terminal, plain lines on stderr otherwise."""

from __future__ import annotations

import sys
import time
from collections import deque
from types import TracebackType

from rich.console import Console
from rich.live import Live

from swarm_cli.demo.layout import SPARK_WIDTH, Frame, clock, percent, render, spread
from swarm_cli.demo.progress import WINDOW, DemoProgress

FRAME_INTERVAL = 0.2
LINE_INTERVAL = 5.0
RATE_PERIOD = 3.0
"""The rate is taken over the tasks of the last so many seconds."""


class DemoView:
    """Shows how the demo stands, as a context manager.

    It draws in the thread that calls `update`, between tasks and at most five times a second, rather than in a
    thread of its own: that would compete with the hooks whose latency the demo measures.

    Parameters
    ----------
    title : str
        What runs, e.g. "standard-library · wordllama · 8 agents · seed 0".
    quiet : bool
        Write nothing to stdout, whatever it is; progress goes to stderr as plain lines.
    console : Console, optional
        Where the picture goes; stdout by default.
    """

    def __init__(self, title: str, *, quiet: bool = False, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console()
        self._is_live = not quiet and _can_draw(self._console)
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._interval = FRAME_INTERVAL if self._is_live else LINE_INTERVAL
        self._started_s = time.monotonic()
        self._next_s = 0.0
        self._phase = ""
        self._progress: DemoProgress | None = None
        self._history: list[DemoProgress] = []
        self._pace: deque[tuple[float, int]] = deque()

    def __enter__(self) -> DemoView:
        self._started_s = time.monotonic()
        if self._is_live:
            self._live.start()
        else:
            self._next_s = self._started_s + LINE_INTERVAL
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._draw()
        if self._is_live:
            self._live.stop()

    @property
    def due(self) -> bool:
        """Whether `update` would draw now; a caller may save the trouble of collecting figures until then."""
        return time.monotonic() >= self._next_s

    def phase(self, text: str) -> None:
        """Say what happens now; drawn at once."""
        self._phase = text
        if self._is_live:
            self._draw()
        else:
            self._say(text)

    def update(self, progress: DemoProgress) -> None:
        """Take over the newest figures; cheap enough to be called for every task."""
        self._progress = progress
        if self.due:
            self._draw()

    def _draw(self) -> None:
        now_s = time.monotonic()
        self._next_s = now_s + self._interval
        rate = self._rate(now_s)
        if self._is_live:
            self._live.update(render(self._frame(now_s, rate)), refresh=True)
        elif self._progress is not None:
            self._say(plain_line(self._progress, rate))

    def _frame(self, now_s: float, rate: float) -> Frame:
        if self._progress is not None:
            self._history = spread([*self._history, self._progress], SPARK_WIDTH)
        return Frame(
            title=self._title,
            phase=self._phase,
            elapsed=now_s - self._started_s,
            rate=rate,
            progress=self._progress,
            history=self._history,
            height=self._console.height,
        )

    def _rate(self, now_s: float) -> float:
        if self._progress is None:
            return 0.0
        self._pace.append((now_s, self._progress.tasks_done))
        while len(self._pace) > 2 and self._pace[1][0] < now_s - RATE_PERIOD:
            self._pace.popleft()
        then_s, then_done = self._pace[0]
        return (self._progress.tasks_done - then_done) / (now_s - then_s) if now_s > then_s else 0.0

    def _say(self, text: str) -> None:
        print(f"swarm demo {clock(time.monotonic() - self._started_s)}  {text}", file=sys.stderr, flush=True)


def _can_draw(console: Console) -> bool:
    # Blocks and lines cannot be written in ASCII or a Windows code page; plain lines can.
    return console.is_terminal and not console.is_dumb_terminal and console.encoding.lower().startswith("utf")


def plain_line(progress: DemoProgress, rate: float) -> str:
    """The figures of the picture, without the agents, on one line."""
    overall, recent = progress.overall, progress.recent
    return (
        f"{progress.tasks_done:,}/{progress.tasks_total:,} tasks at {rate:,.0f}/s; "
        f"right: frozen {percent(overall.frozen)}, learned {percent(overall.learned)} "
        f"(last {WINDOW}: {percent(recent.frozen)}, {percent(recent.learned)}); {progress.patterns:,} patterns, "
        f"{progress.consolidations:,} consolidations, {progress.merges:,} merges, {progress.pending:,} waiting"
    )
