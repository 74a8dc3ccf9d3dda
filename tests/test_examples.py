"""Every example is run, and prints what it promises."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_support import CommandLine
from docs_support import ROOT, run_block, running_stack

SERVED = ("http_client", "tutorial_production")
"""Examples that call a gateway."""


@pytest.fixture(scope="module")
def stack() -> Iterator[CommandLine]:
    with running_stack() as made:
        yield made


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
    with Workers(stack, environment["SWARM_NAME"], is_served=example.stem in SERVED):
        done = run_block([sys.executable, "-W", "error", str(example)], environment, tmp_path)
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
        "follow_events": "2 outcomes learned, 2 patterns stored, published in",
        "mcp_client": "found: use csv.DictReader (from coder-1)",
        "http_client": "tester-1 found: use csv.DictWriter (from coder-1)",
        "tutorial_first_application": "right plan for 100 of 100 new requests",
        "tutorial_ab_test": "arithmetic is won by stepwise, dates by with-examples",
        "tutorial_specialist": "for films.tar.gz: tar -tzf films.tar.gz",
        "tutorial_codebase": "asked again: __init__.py, loads",
        "tutorial_router": "talk goes to local, summaries to turbo, code to large",
        "tutorial_pattern_types": "right model for 3 of 3 new requests",
        "tutorial_custom_patterns": "count orders per month: orders, by writer-1",
        "tutorial_production": "20 outcomes accepted, 0 waiting, 0 lost",
    }
    assert expected[example.stem] in done.stdout.splitlines()[-1]


class Workers:
    """Workers for another swarm of the same stack, for the time of a block, and a gateway where one is needed."""

    def __init__(self, stack: CommandLine, name: str, *, is_served: bool) -> None:
        self._stack = stack
        self._name = name
        self._start = ("up",) if is_served else ("workers", "start", "--concurrency", "1")

    def __enter__(self) -> None:
        self._stack.run(*self._start, "--swarm", self._name)

    def __exit__(self, *_: object) -> None:
        self._stack.run("workers", "stop", "--swarm", self._name, "--pool", "local")
