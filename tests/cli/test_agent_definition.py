"""The hooks that an agent's definition has in its front matter work as they are written there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import CommandLine
from support import wait_until

from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm_agents import Agent

PRE = 'swarm retrieve "$TASK" --k=5 --min-reward=0.85'
PRE_SHORT = 'swarm retrieve "$TASK" -k 5 --min-reward 0.85'
POST = """swarm store \\
  --task "$TASK" \\
  --output "$OUTPUT" \\
  --reward "$REWARD" \\
  --success "$SUCCESS"
"""


@pytest.fixture
def shell(external: CommandLine, tmp_path: Path) -> CommandLine:
    """`swarm` on the PATH, as it is in this checkout."""
    external.environment["SWARM_EMBEDDER"] = "hashed:32"
    external.environment["SWARM_CONSOLIDATE_DELAY"] = "0"
    program = tmp_path / "swarm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m swarm_cli "$@"\n')
    program.chmod(0o700)
    external.environment["PATH"] = f"{tmp_path}:{external.environment['PATH']}"
    return external


def run(shell: CommandLine, script: str, **variables: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", script], env=shell.environment | variables, capture_output=True, text=True, timeout=60.0
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("with_gateway", [True, False])
def test_what_a_post_hook_stored_a_pre_hook_retrieves(shell: CommandLine, with_gateway: bool) -> None:
    shell.run("up")
    if not with_gateway:
        # The socket of another swarm's gateway is not this one's.
        shell.environment["SWARM_STATE_DIR"] += "/elsewhere"
    try:
        task = {"TASK": "parse ISO dates of a log"}
        assert run(shell, PRE, **task) == ""
        told = run(shell, POST, OUTPUT="use datetime.fromisoformat", REWARD="0.95", SUCCESS="true", **task)
        state, receipt = told.split()
        assert state == "accepted"
        run(shell, POST, OUTPUT="use a regular expression", REWARD="0.9", SUCCESS="false", **task)
        shell.run("receipt", receipt, "--wait", "30")
        for pre in (PRE, PRE_SHORT):
            said = run(shell, pre, **task)
            assert said.startswith("1. use datetime.fromisoformat (0.95 in 1 outcome by library)")
            assert "regular" not in said
    finally:
        shell.environment["SWARM_STATE_DIR"] = str(shell.state_dir)


def test_a_success_without_words_is_not_printed_to_an_agent(shell: CommandLine, settings: Settings) -> None:
    shell.run("up")
    swarm = Swarm(settings.model_copy(update={"embedder": "hashed:32"}))
    with Agent("coder-1", swarm=swarm) as agent:
        receipt = agent.after_task(agent.before_task("sort a list of versions").trajectory_id, success=True)
        swarm.wait(receipt)
    asked = ("retrieve", "sort a list of versions", "--min-reward", "0.5")
    # The gateway's replica may be behind for a moment on a busy machine.
    assert wait_until(lambda: len(shell.json(*asked)["patterns"]) == 1, 30.0, "the pattern in the gateway's replica")
    assert shell.run(*asked).stdout == ""


def test_success_stands_alone_or_with_what_a_shell_says(shell: CommandLine) -> None:
    shell.environment["SWARM_AGENT"] = "coder-1"
    for word in (["--success"], ["--success", "TRUE"], ["--success", "0"]):
        told = shell.json("store", "--task", "sort a list", "--output", "use sorted", "--reward", "1", *word)
        assert told["receipt"]["agent"] == "coder-1"
    assert "true or false" in shell.error("store", "--task", "a", "--output", "b", "--success", "perhaps")
    assert "output" in shell.error("store", "--task", "a", "--output", "", "--reward", "1")


def test_an_empty_token_is_no_operator_s(shell: CommandLine) -> None:
    shell.environment["SWARM_TOKEN"] = ""
    assert "SWARM_TOKEN is set and empty" in shell.error("retrieve", "a task")
    assert "SWARM_TOKEN is set and empty" in shell.error("store", "--task", "a", "--output", "b")
