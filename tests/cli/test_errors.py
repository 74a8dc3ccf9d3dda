"""Every mistake that a user makes is one line that says the way out."""

from __future__ import annotations

import socket

import click
import pytest
from cli_support import CommandLine, all_commands

from swarm.services.access import AccessControl
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_cli.main import swarm as group

NO_TASK = f"coder:{'0' * 32}"

CALLED_WRONG = [
    (["query"], "Missing argument 'TEXT': see swarm query --help"),
    (["query", "x", "--bogus"], "No such option '--bogus'"),
    (["query", "x", "-k", "0"], "'-k': 0 is not in the range 1<=x<=1000"),
    (["top", "--interval", "0"], "0.2<=x<=3600.0: see swarm top --help"),
    (["route", "x", "--strategy", "best"], "'quality', 'speed', 'cost'"),
    (["token", "create", "--role", "agent"], "--agent NAME goes with --role agent"),
    (["workers", "start", "--role", "r"], "--role needs --handlers"),
    (["workers", "start"], "give the processes: -c N"),
    (["forget"], "give --pattern, --trajectory"),
    (["export", "--to", "x"], "give an agent, or --all"),
    (["completion", "tcsh"], "'bash', 'zsh', 'fish'"),
    (["templates", "show", "nope"], "template must be one of chat, code"),
    (["train", "--name", "a", "--data", "x", "--epochs", "0"], "0 is not in the range 1<=x<=100: see swarm train"),
    (["stauts"], "Did you mean one of: 'status'"),
]

UNKNOWN = [
    (["agents", "history", "nobody"], "see swarm agents list"),
    (["tune", "--name", "nobody"], "see swarm agents list"),
    (["rewind", "--agent", "nobody"], "see swarm agents list"),
    (["forget", "--pattern", "nope"], "swarm query shows ids"),
    (["apply", "nope", "--task", "x"], "is not in the bank: swarm query shows ids"),
    (["pin", "nope"], "swarm query shows ids"),
    (["unpin", "nope"], "swarm pin --list"),
    (["task", "nope"], "a task id is ROLE:32 hexadecimal digits"),
    (["task", NO_TASK], "never submitted, dropped, or ended long ago"),
    (["receipt", "outcomes/x"], "id must be outcome/AGENT/KEY"),
    (["dead", "replay", NO_TASK], "no task"),
    (["token", "revoke", "0" * 16], "see swarm token list"),
    (["route", "replay", "nope"], "swarm route shows the id of each"),
    (["route", "anything"], "swarm route declare"),
    (["workers", "scale", "--pool", "nope", "-c", "2"], "see swarm workers list"),
    (["submit", "x"], "role must be given"),
    (["restore", "/no/such/file"], "No such file or directory"),
    (["import", "/no/such/file"], "No such file or directory"),
    (["export", "nobody", "--to", "/no/such/folder"], "see swarm agents list"),
    (["train", "--name", "a", "--data", "/no/such.jsonl"], "data: /no/such.jsonl: No such file or directory"),
    (["query", ""], "text must hold more than white space"),
    (["status", "--swarm", "a b"], "SWARM_NAME"),
]


@pytest.mark.parametrize(("words", "way_out"), CALLED_WRONG)
def test_a_wrong_call_is_one_line(command_line: CommandLine, words: list[str], way_out: str) -> None:
    assert way_out in command_line.error(*words)


@pytest.mark.parametrize(("words", "way_out"), UNKNOWN)
def test_what_is_not_there_is_one_line(external: CommandLine, client: Client, words: list[str], way_out: str) -> None:
    assert way_out in external.error(*words)


@pytest.mark.parametrize(
    "words", [["up"], ["status"], ["top"], ["query", "x"], ["token", "list"], ["backup", "/tmp/x"]]
)
def test_without_redis_at_the_url_the_way_out_is_the_doctor(command_line: CommandLine, words: list[str]) -> None:
    command_line.environment["SWARM_REDIS_URL"] = "redis://127.0.0.1:1/0"
    assert "is SWARM_REDIS_URL right? `swarm doctor` says more" in command_line.error(*words)


@pytest.mark.parametrize("words", [["status"], ["top"], ["query", "x"], ["token", "list"], ["dead", "list"]])
def test_without_a_private_redis_the_way_out_is_up(command_line: CommandLine, words: list[str]) -> None:
    assert "start it with `swarm up`" in command_line.error(*words)


def test_a_token_that_does_not_hold_or_suffice_is_one_line(
    external: CommandLine, settings: Settings, client: Client
) -> None:
    reader, _ = AccessControl(settings, client).create("reader")
    for token, words, way_out in (
        ("nonsense", ["status"], "not one of `swarm token create`"),
        ("", ["status"], "set it to a token, or unset it"),
        (reader, ["rewind", "--agent", "ada"], "needs a token of role operator"),
        (reader, ["up"], "needs an operator's token"),
    ):
        external.environment["SWARM_TOKEN"] = token
        error = external.error(*words)
        assert way_out in error
        assert not token or token not in error


def test_an_embedder_that_is_another_or_none_is_one_line(
    external: CommandLine, settings: Settings, client: Client
) -> None:
    Swarm(settings).register("ada")
    for embedder, way_out in (
        ("hashed:64", "set SWARM_EMBEDDER to that one, or take another swarm"),
        ("nonsense", "embedder must be one of wordllama, hashed"),
        ("openai:model", "set SWARM_EMBEDDING_URL"),
        ("python:no_such_module:embed", "its module must be on PYTHONPATH"),
    ):
        external.environment["SWARM_EMBEDDER"] = embedder
        assert way_out in external.error("query", "x")


def test_a_port_that_is_taken_is_one_line(external: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "set SWARM_HTTP_PORT to another port" in external.error("serve", "--port", port)


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_every_command_that_ends_by_itself_prints_json_when_asked(words: list[str]) -> None:
    command: click.Command = group
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word) or command
    speaks = any("--json" in parameter.opts for parameter in command.params)
    # `hook` prints what a coding agent reads, whatever is asked.
    in_the_foreground = words in (["serve"], ["mcp"], ["hook"], ["workers", "supervise"], ["workers", "run"])
    is_script = words == ["completion"]
    assert speaks or isinstance(command, click.Group) or in_the_foreground or is_script
