"""Every command block of the README and of docs/ is run, or is one of the two set-up commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_support import CommandLine
from docs_support import PAGES, ROOT, SET_UP, blocks, run_block, running_stack


@pytest.fixture(scope="module")
def stack() -> Iterator[CommandLine]:
    with running_stack() as made:
        yield made


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commandsrun_block(page: Path, stack: CommandLine, tmp_path: Path) -> None:
    bin_dir = str(Path(sys.executable).parent)
    # The pages name the port that the gateway has by default.
    here = urlsplit(stack.json("up")["gateway"]["url"]).netloc
    environment = {**stack.environment, "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    for body in blocks(page, "bash"):
        if body.startswith(SET_UP):
            continue
        command = body.replace("127.0.0.1:8787", here)
        done = run_block(["bash", "-euo", "pipefail", "-c", command], environment, ROOT)
        assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
        if "swarm down" in body:
            here = urlsplit(stack.json("up")["gateway"]["url"]).netloc
