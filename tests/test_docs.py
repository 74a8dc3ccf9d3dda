"""Every command and code block of the README and of docs/ is run, or is one of the two set-up commands.

The commands of a page come after its code, in the same swarm: they ask for what that has left there.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_support import CommandLine
from docs_support import FENCE, PAGES, ROOT, SET_UP, blocks, run_block, running_stack
from forked import fork_server


@pytest.fixture(scope="module")
def stack() -> Iterator[CommandLine]:
    with running_stack() as made:
        yield made


def test_the_readme_has_two_set_up_commands_and_ci_runs_the_second() -> None:
    set_up = [body.strip() for body in blocks(ROOT / "README.md", "bash") if body.startswith(SET_UP)]
    commands = [body for body in set_up if "\n" not in body]
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
    done = run_block([sys.executable, "-W", "error", str(script)], stack.environment, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_run(page: Path, stack: CommandLine, tmp_path: Path) -> None:
    bin_dir = str(Path(sys.executable).parent)
    # The pages name the port that the gateway has by default.
    here = urlsplit(stack.json("up")["gateway"]["url"]).netloc
    # `swarm` is forked where it can be: the start of a hundred commands is most of what they cost.
    environment = {**stack.environment, "PATH": f"{fork_server().bin}:{bin_dir}:{os.environ['PATH']}"}
    for body in blocks(page, "bash"):
        if body.startswith(SET_UP):
            # The environment is there; what follows is run.
            body = body.partition("\n")[2]
        command = body.replace("127.0.0.1:8787", here)
        done = run_block(["bash", "-euo", "pipefail", "-c", command], environment, ROOT)
        assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
        if "swarm down" in body:
            here = urlsplit(stack.json("up")["gateway"]["url"]).netloc


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_blocks_are_found() -> None:
    page = textwrap.dedent(
        """
        ```python
        a = 1
        ```
        """
    )
    assert FENCE.findall(page) == [("python", "a = 1\n")]
