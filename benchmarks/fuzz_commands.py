"""The command line with hostile arguments, in this process: the real `main`, with what it reads and writes replaced."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from benchmarks.fuzz_values import Hostile
from swarm.errors import shown
from swarm_cli.main import main

ALLOWED_CODES = (0, 1, 2)
"""Done, not well (`doctor`), refused."""
_COMMANDS: Sequence[tuple[str, ...]] = (
    *(
        ("status",),
        ("tasks",),
        ("query", "TEXT", "-k", "3", "--min-quality", "0.5"),
        ("query", "TEXT", "--agent", "ada"),
    ),
    *(("route", "TEXT", "--routes", "a,b", "--session", "s"), ("route", "task", "TEXT", "--routes", "a", "--explain")),
    *(("route", "list"), ("route", "declare", "small", "--cost", "0.1"), ("route", "replay", "unknown")),
    *(("route", "budget", "--amount", "1e9", "--period", "60"), ("route", "budget", "--remove", "--agent", "ada")),
    *(("submit", "TEXT", "--role", "coder", "--payload", "{}", "--priority", "5"), ("task", "coder:" + "0" * 32)),
    *(
        ("submit", "TEXT", "--role", "coder", "--deadline", "60", "--key", "k"),
        ("task", "coder:" + "0" * 32, "--cancel"),
    ),
    *(("dead", "list", "--limit", "3"), ("dead", "show", "coder:" + "0" * 32), ("dead", "drop", "coder:" + "0" * 32)),
    *(("dead", "replay", "coder:" + "0" * 32), ("agents", "list"), ("agents", "history", "ada", "--limit", "2")),
    *(("agents", "rollback", "nobody", "1"), ("rewind", "--agent", "nobody"), ("rewind", "--trajectory", "unknown")),
    *(("token", "list"), ("token", "revoke", "0" * 16), ("acl", "--agent", "ada"), ("acl", "--redis", "7.0")),
    *(("token", "create", "--role", "nobody", "--agent", "ada", "--ttl", "1s"), ("workers", "list")),
    *(("workers", "scale", "--pool", "none", "-c", "1", "--timeout", "0"), ("workers", "stop", "--pool", "none")),
    *(("workers", "drain", "--pool", "none", "--timeout", "0"), ("workers", "start", "-c", "0", "--role", "r")),
    *(("up", "-c", "0"), ("demo", "--no-such-option"), ("--version",), ("--help",), ("nothing",), ()),
)
_NEVER_BARE = ("up", "demo", "down", "doctor")
"""They would bring the machine's stack up or down when their bad argument is taken out."""


def hostile_command(rng: Random, hostile: Hostile) -> list[str]:
    """Arguments of a command with one or more of them replaced, added or taken out."""
    words = list(rng.choice(_COMMANDS))
    start = 0 if rng.random() < 0.03 else min(1, len(words))
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(start, len(words) + 1)
        way = rng.random()
        if way < 0.6 and place < len(words):
            words[place] = hostile.text() if rng.random() < 0.7 else shown(hostile.number(), 400)
        elif way < 0.9:
            words.insert(place, hostile.text())
        elif place < len(words) and words[0] not in _NEVER_BARE:
            del words[place]
    if rng.random() < 0.3:
        words.append("--json")
    if rng.random() < 0.1:
        # Never one that could be a swarm's: that would have keys of its own, and rightly.
        words += ["--swarm", hostile.text() + "}"]
    # What would stay and wait, or start or end processes, is not asked for by chance.
    if words and words[0] in _NEVER_BARE:
        words.append("--no-such-option")
    return [word for word in words if not word.startswith("--wait")]


def run_command(words: Sequence[str]) -> tuple[int, str]:
    """The exit code and all that was printed."""
    with _console(words) as printed:
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        else:
            code = 0
        return code, printed.getvalue().decode(errors="replace")


@contextmanager
def _console(words: Sequence[str]) -> Iterator[io.BytesIO]:
    kept, raw = (sys.argv, sys.stdout, sys.stderr, sys.stdin), io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with open(os.devnull) as nothing:
        sys.argv, sys.stdout, sys.stderr, sys.stdin = ["swarm", *words], stream, stream, nothing
        try:
            yield raw
        finally:
            sys.argv, sys.stdout, sys.stderr, sys.stdin = kept
            stream.detach()
