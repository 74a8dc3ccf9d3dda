"""The pages of the project, their blocks, and a stack to run them against."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli_support import CommandLine

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SET_UP = "python3 -m venv"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [body for name, body in FENCE.findall(page.read_text()) if name == language]


@contextmanager
def running_stack() -> Iterator[CommandLine]:
    """A stack of its own that is up."""
    line = CommandLine(SWARM_CONSOLIDATE_DELAY="0.2")
    try:
        line.run("up")
        yield line
    finally:
        line.close()


def run_block(arguments: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end, whatever its exit code."""
    return subprocess.run(
        arguments, env=environment, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
