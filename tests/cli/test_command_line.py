"""The command line as a whole: help, errors, what it loads and how fast."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import click
import pytest
from cli_support import CommandLine, all_commands
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import RuntimeSetupError, SwarmError
from swarm_cli.main import COMMANDS, one_line, swarm
from swarm_cli.redact import HIDDEN, redact


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_help_of_every_command_fits_80_columns_and_explains_every_option(words: list[str]) -> None:
    found = CliRunner().invoke(swarm, [*words, "--help"], terminal_width=80)
    assert found.exit_code == 0
    assert all(len(line) <= 80 for line in found.output.splitlines())
    command: click.Command = swarm
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word) or command
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("name", COMMANDS)
def test_line_in_the_help_is_the_command_s_own(name: str) -> None:
    module, short_help = COMMANDS[name]
    command = import_module(module).command
    assert command.name == name
    assert command.short_help == short_help
    assert (command.help or "").startswith(short_help.partition(",")[0].rstrip("."))


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from swarm_cli.main import swarm; swarm(['--help'], standalone_mode=False); "
        "print(*{'numpy', 'redis', 'celery', 'pydantic', 'rich', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == ""


def test_blas_threads_are_pinned_before_numpy_is_loaded() -> None:
    script = (
        "import os, sys; os.environ.pop('OMP_NUM_THREADS', None); os.environ['OPENBLAS_NUM_THREADS'] = '3'\n"
        "from swarm_cli.main import main; assert 'numpy' not in sys.modules; sys.argv[1:] = ['--version']\n"
        "try: main()\n"
        "except SystemExit: print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == "3 1"


def test_unknown_command_names_the_one_that_was_meant(command_line: CommandLine) -> None:
    assert "status" in command_line.run("stauts", code=2).stderr


@pytest.mark.parametrize(
    "url",
    ["nonsense", "http://host", "redis://:s3/cret@host/0", "redis://host?s3cret=1", "redis://:s3cret@host:port/"],
)
def test_unusable_redis_url_is_one_line_without_the_url(command_line: CommandLine, url: str) -> None:
    command_line.environment["SWARM_REDIS_URL"] = url
    error = command_line.error("status")
    assert "SWARM_REDIS_URL must be redis://" in error
    assert "cret" not in error


def test_redis_that_is_away_is_one_line(command_line: CommandLine) -> None:
    command_line.environment["SWARM_REDIS_URL"] = "redis://:s3cret@127.0.0.1:1/0"
    for words in (["status"], ["up"], ["agents", "list"], ["workers", "list"], ["query", "text"]):
        error = command_line.error(*words)
        assert "127.0.0.1:1" in error
        assert "s3cret" not in error


def test_setting_out_of_bounds_is_one_line(command_line: CommandLine) -> None:
    assert "SWARM_NAME" in command_line.error("status", "--swarm", "a b")
    command_line.environment["SWARM_SWEEP_INTERVAL"] = "-1"
    assert "SWARM_SWEEP_INTERVAL" in command_line.error("status")


def test_newcomer_without_a_stack_is_told_to_start_one(command_line: CommandLine) -> None:
    for words in (["status"], ["agents", "list"], ["workers", "list"], ["workers", "start", "-c", "1"]):
        assert "start it with `swarm up`" in command_line.error(*words)


def test_relative_state_directory_is_the_same_for_every_command(command_line: CommandLine) -> None:
    command_line.environment["SWARM_STATE_DIR"] = "some/folder"
    found = command_line.json("down")
    assert found["state_dir"].startswith("/")
    assert found["state_dir"].endswith("/some/folder")


def test_log_s_tail_in_an_error_becomes_one_line() -> None:
    error = RuntimeSetupError("the worker has ended; the last of x.log:\nTraceback\n  File\nImportError: \x1b[31mno\n")
    assert one_line(error) == "the worker has ended; the last of x.log: … ImportError:  [31mno"
    assert one_line(SwarmError()) == "SwarmError"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_error_is_always_one_printable_line(text: str) -> None:
    line = one_line(SwarmError(text))
    assert line.isprintable()
    assert line


@pytest.mark.parametrize("secret", ["s3cret", "s3/c@r:et", "s%2Fcret", "#?x"])
@pytest.mark.parametrize("form", ["redis://:{}@host/0", "redis://me:{}@host", "unix:///path?password={}"])
def test_password_is_hidden_however_it_is_given(secret: str, form: str) -> None:
    url = form.format(secret)
    assert redact(f"cannot use {url}", url) == f"cannot use {form.format(HIDDEN)}"
    assert redact("nothing to hide", url) == "nothing to hide"
