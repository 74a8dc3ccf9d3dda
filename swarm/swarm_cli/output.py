"""How values reach the terminal: consoles, one JSON object, and figures for people."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

OK, BAD, NOTE = "green", "bold red", "dim"


def console() -> Console:
    """Stdout for people; without colour codes when it is no terminal."""
    return Console(highlight=False, emoji=False, markup=False)


def working(text: str) -> Status:
    """A progress line on stderr, which disappears; nothing where stderr is no terminal."""
    return Status(text, console=Console(stderr=True, highlight=False, markup=False))


def print_json(values: Mapping[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(values, allow_nan=False) + "\n")


def jsonable(value: Any) -> Any:
    """`value` with what JSON does not know as text: bytes as hexadecimal digits, infinities by name.

    >>> jsonable({"a": b"x", "b": [float("inf"), 1.5]})
    {'a': '78', 'b': ['inf', 1.5]}
    """
    if isinstance(value, Mapping):
        return {key.hex() if isinstance(key, bytes) else key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def table(*columns: str, right: Collection[str] = ()) -> Table:
    """An empty table; columns named in `right` hold figures, which are never broken over two lines."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style=NOTE, border_style=NOTE)
    # One space beside the rule that the box leaves out: two between columns.
    made.padding = (0, 1, 0, 0)
    for name in columns:
        is_figure = name in right
        made.add_column(name, justify="right" if is_figure else "left", no_wrap=is_figure, overflow="fold")
    return made


def facts() -> Table:
    """An empty grid of names and values."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=NOTE, no_wrap=True, min_width=8)
    grid.add_column(overflow="fold")
    return grid


def plain(text: str, width: int | None = None) -> str:
    """Somebody's text on one line, without signs that could command the terminal, cut to `width`.

    >>> plain("a\\x1b[31m  b\\nc")
    'a [31m b c'
    """
    words = "".join(sign if sign.isprintable() else " " for sign in text).split()
    line = " ".join(words)
    return line if width is None or len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…"


def count(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "pool"), count(2_000, "pool")
    ('1 pool', '2,000 pools')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def enumerated(things: Sequence[str]) -> str:
    """Several things in a sentence.

    >>> enumerated(["a"]), enumerated(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, (", ".join(things[:-1]), things[-1])))


def duration(seconds: float) -> str:
    """About how long.

    >>> duration(0.42), duration(75.0), duration(7200.0), duration(200_000.0)
    ('0.4 s', '75 s', '120 min', '56 h')
    """
    for unit, length, below in (("s", 1.0, 120.0), ("min", 60.0, 7_800.0), ("h", 3_600.0, 259_200.0)):
        if seconds < below:
            return f"{seconds / length:.1f} {unit}" if seconds < 10.0 else f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400.0:.0f} d"


def period(seconds: float | None) -> str:
    """A half-life or a time to live, which may be switched off."""
    return "off" if seconds is None else duration(seconds)


def ago(at_s: float) -> str:
    """How long ago a point in time is, in seconds since the epoch."""
    return f"{duration(max(0.0, time.time() - at_s))} ago"


def size(n_bytes: float) -> str:
    """About how many bytes.

    >>> size(4354), size(3.2 * 2**30)
    ('4.3 kB', '3.2 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1024.0:
            return f"{n_bytes:.0f} B" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024.0
    return f"{n_bytes:.1f} TB"


def mark(ok: bool) -> Text:
    """A sign for well and for not well, which even a terminal without signs shows differently."""
    signs = "✓✗" if sys.stdout.encoding.lower().startswith("utf") else "+!"
    return Text(signs[0], OK) if ok else Text(signs[1], BAD)
