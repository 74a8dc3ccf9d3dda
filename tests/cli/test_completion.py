"""`swarm completion`: what a real bash completes, from commands to the names that the swarm has given."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import CommandLine

from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_cli.main import COMMANDS

_ASK = """
eval "$(swarm completion bash)"
COMP_WORDS=({words}) COMP_CWORD={position}
_swarm_completion swarm
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def bash(command_line: CommandLine, tmp_path: Path) -> CommandLine:
    """An environment in which `swarm` is the one under test."""
    return _with_swarm(command_line, tmp_path)


def _with_swarm(line: CommandLine, folder: Path) -> CommandLine:
    program = folder / "swarm"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m swarm_cli "$@"\n')
    program.chmod(0o700)
    line.environment["PATH"] = f"{folder}:{os.environ['PATH']}"
    return line


def completed(line: CommandLine, *words: str) -> list[str]:
    """What bash offers for the last word, which is not finished."""
    script = _ASK.format(words=" ".join(shlex.quote(word) for word in words), position=len(words) - 1)
    ended = subprocess.run(
        ["bash", "--norc", "-c", script], env=line.environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stderr == ""
    return ended.stdout.split()


def test_commands_options_and_choices_are_completed(bash: CommandLine) -> None:
    assert completed(bash, "swarm", "") == list(COMMANDS)
    assert completed(bash, "swarm", "sta") == ["status"]
    assert completed(bash, "swarm", "agents", "") == ["create", "history", "list", "quarantine", "rollback", "show"]
    assert completed(bash, "swarm", "status", "--j") == ["--json"]
    assert completed(bash, "swarm", "route", "text", "--strategy", "q") == ["quality"]
    assert completed(bash, "swarm", "no-such") == []


def test_names_that_the_swarm_has_given_are_completed(
    external: CommandLine, settings: Settings, client: Client, tmp_path: Path
) -> None:
    swarm = Swarm(settings)
    for name, role in (("ada", "coder"), ("alan", "tester"), ("grace", "coder")):
        swarm.register(name, role)
    line = _with_swarm(external, tmp_path)
    assert completed(line, "swarm", "agents", "history", "a") == ["ada", "alan"]
    assert completed(line, "swarm", "query", "text", "--role", "") == ["coder", "tester"]
    # The swarm of the command line, not that of the environment.
    assert completed(line, "swarm", "agents", "history", "--swarm", "another", "") == []


def test_pools_of_this_host_are_completed_without_redis(bash: CommandLine) -> None:
    folder = bash.state_dir / "pools" / "default"
    folder.mkdir(parents=True)
    (folder / "coder.json").touch()
    assert completed(bash, "swarm", "workers", "drain", "--pool", "") == ["coder"]


def test_where_names_cannot_be_had_nothing_is_said(bash: CommandLine) -> None:
    assert completed(bash, "swarm", "agents", "history", "") == []
    bash.environment["SWARM_TOKEN"] = "nonsense"
    assert completed(bash, "swarm", "agents", "history", "") == []
    bash.environment["SWARM_REDIS_URL"] = "nonsense"
    assert completed(bash, "swarm", "agents", "history", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_asks_swarm_for_what_completes(command_line: CommandLine, shell: str) -> None:
    script = command_line.run("completion", shell).stdout
    assert f"_SWARM_COMPLETE={shell}_complete" in script
    assert "swarm" in script


def test_completing_a_command_loads_nothing_heavy(command_line: CommandLine) -> None:
    command_line.environment |= {"_SWARM_COMPLETE": "bash_complete", "COMP_WORDS": "swarm ", "COMP_CWORD": "1"}
    script = (
        "import sys; from swarm_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print({'numpy', 'redis', 'pydantic', 'rich'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], env=command_line.environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "set()"
