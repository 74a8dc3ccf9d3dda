"""Every command and code block of the README and of docs/ is run, or is one of the two set-up commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_support import CommandLine

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SET_UP = "python3 -m venv"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [body for name, body in _FENCE.findall(page.read_text()) if name == language]


@pytest.fixture(scope="module")
def stack() -> Iterator[CommandLine]:
    """A stack of its own that is up."""
    line = CommandLine(SWARM_CONSOLIDATE_DELAY="0.2")
    try:
        line.run("up")
        yield line
    finally:
        line.close()


def test_the_readme_has_two_set_up_commands_and_ci_runs_the_second() -> None:
    commands = [body.strip() for body in blocks(ROOT / "README.md", "bash") if body.startswith(SET_UP)]
    assert len(commands) == 2
    assert commands[0].endswith("swarm demo")
    assert commands[1].endswith("pytest")
    # CI takes the line out of the README by this expression; it must find exactly the second command.
    [expression] = re.findall(r'sed -n "/(.*)/p" README.md', (ROOT / ".ci" / "run").read_text())
    found = [line for line in (ROOT / "README.md").read_text().splitlines() if re.search(expression, line)]
    assert found == [commands[1]]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run_in_order(page: Path, stack: CommandLine, tmp_path: Path) -> None:
    code = blocks(page, "python")
    if not code:
        return
    script = tmp_path / "blocks.py"
    script.write_text("\n".join(code))
    done = _run([sys.executable, "-W", "error", str(script)], stack.environment, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_run(page: Path, stack: CommandLine, tmp_path: Path) -> None:
    bin_dir = str(Path(sys.executable).parent)
    # The pages name the port that the gateway has by default.
    here = urlsplit(stack.json("up")["gateway"]["url"]).netloc
    environment = {**stack.environment, "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    for body in blocks(page, "bash"):
        if body.startswith(SET_UP):
            continue
        command = body.replace("127.0.0.1:8787", here)
        done = _run(["bash", "-euo", "pipefail", "-c", command], environment, ROOT)
        assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
        if "swarm down" in body:
            here = urlsplit(stack.json("up")["gateway"]["url"]).netloc


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.timeout(120)
# Those of the topologies are run, and have members killed, by workers/test_topology_pools.py; that of CrewAI by
# adapters/test_crewai.py, where CrewAI is.
@pytest.mark.parametrize(
    "example",
    [path for path in sorted((ROOT / "examples").glob("*.py")) if not path.stem.startswith(("topology_", "crewai_"))],
    ids=lambda path: path.stem,
)
def test_examples_run_and_say_something(example: Path, stack: CommandLine, tmp_path: Path) -> None:
    environment = {**stack.environment, "SWARM_NAME": f"example-{example.stem.replace('_', '-')}"}
    with CommandLineSwarm(stack, environment["SWARM_NAME"]):
        done = _run([sys.executable, "-W", "error", str(example)], environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    # What an example promises to print stands in its last line of output.
    expected = {
        "first_swarm": "csv.DictReader (from coder-1",
        "adaptive_chatbot": "round 3: 6 of 6",
        "langgraph_store": "coder-2 answers csv.DictReader at once, short as ada likes it",
        "tasks_for_agents": "editor has 3 outcomes to learn from",
        "openai_agents_hooks": "csv.DictReader(file)",
        "claude_agent_hooks": "awk '{s += $2} END {print s}'",
        "mcp_client": "found: use csv.DictReader (from coder-1)",
        "http_client": "tester-1 found: use csv.DictWriter (from coder-1)",
        "tutorial_first_application": "right plan for 100 of 100 new requests",
        "tutorial_ab_test": "arithmetic is won by stepwise, dates by with-examples",
        "tutorial_router": "talk goes to the small-model, code to the large-model",
        "tutorial_custom_patterns": "count orders per month: orders, by writer-1",
        "tutorial_production": "20 outcomes accepted, 0 waiting, 0 lost",
    }
    assert expected[example.stem] in done.stdout.splitlines()[-1]


class CommandLineSwarm:
    """Workers for another swarm of the same stack, for the time of a block."""

    def __init__(self, stack: CommandLine, name: str) -> None:
        self._stack = stack
        self._name = name

    def __enter__(self) -> None:
        self._stack.run("up", "--swarm", self._name)

    def __exit__(self, *_: object) -> None:
        self._stack.run("workers", "stop", "--swarm", self._name, "--pool", "local")


def _run(arguments: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=environment, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_blocks_are_found() -> None:
    page = textwrap.dedent(
        """
        ```python
        a = 1
        ```
        """
    )
    assert _FENCE.findall(page) == [("python", "a = 1\n")]
