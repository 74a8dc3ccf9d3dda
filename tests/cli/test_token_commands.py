"""`swarm token` and `swarm acl`, and the command line under a token."""

from __future__ import annotations

import hashlib
import json

import pytest
from cli_support import CommandLine

from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client


@pytest.fixture
def team(settings: Settings, client: Client, external: CommandLine) -> CommandLine:
    """A swarm of two agents."""
    external.environment["SWARM_EMBEDDER"] = "hashed:32"
    swarm = Swarm(settings.model_copy(update={"embedder": "hashed:32"}), client=client)
    swarm.register("ada", "coder")
    swarm.register("bob", "tester")
    return external


def create(line: CommandLine, *arguments: str) -> str:
    """A token, as a script takes it from stdout."""
    return line.run("token", "create", *arguments).stdout.strip()


def under(line: CommandLine, token: str) -> CommandLine:
    line.environment["SWARM_TOKEN"] = token
    return line


def test_a_token_is_shown_once_listed_by_its_id_and_revoked(team: CommandLine) -> None:
    token = create(team, "--role", "agent", "--agent", "ada", "--ttl", "30d", "--note", "laptop")
    made = team.json("token", "create", "--role", "reader")
    [first, second] = team.json("token", "list")["tokens"]
    assert (first["role"], first["agent"], first["note"]) == ("agent", "ada", "laptop")
    assert first["expires_s"] - first["created_s"] == pytest.approx(30 * 86_400.0)
    assert (second["id"], second["expires_s"]) == (made["id"], 0.0)
    shown = team.run("token", "list").stdout
    assert first["id"] in shown
    for secret in (token, made["token"]):
        assert secret not in shown
        assert secret not in json.dumps([first, second])
    team.run("token", "revoke", first["id"])
    assert "no token" in team.error("token", "revoke", first["id"])
    assert [one["id"] for one in team.json("token", "list")["tokens"]] == [made["id"]]
    assert "--ttl must be a number and s, m, h or d" in team.error("token", "create", "--role", "reader", "--ttl", "1w")


def test_under_an_agents_token_the_command_line_is_that_agent(team: CommandLine) -> None:
    operator, reader = create(team, "--role", "operator"), create(team, "--role", "reader")
    ada = under(team, create(team, "--role", "agent", "--agent", "ada"))
    task = ada.json("submit", "a task", "--role", "tester")["id"]
    assert ada.json("task", task)["submitter"] == "ada"
    ada.json("agents", "history", "ada")
    for refused in (
        ("submit", "a task", "--role", "tester", "--submitter", "bob"),
        ("agents", "history", "bob"),
        ("route", "a task", "--routes", "a,b", "--agent", "bob"),
        ("dead", "list"),
        ("rewind", "--agent", "bob"),
        ("agents", "rollback", "ada", "0"),
        # These know nothing of the guard, and need an operator.
        ("token", "list"),
        ("token", "create", "--role", "operator"),
        ("workers", "list"),
        ("route", "budget", "--amount", "1"),
        ("acl",),
        ("down",),
    ):
        assert "agent ada may" in ada.error(*refused), refused
    assert "a reader may not submit" in under(team, reader).error("submit", "a task", "--role", "coder").replace(
        "tasks.submit", "submit"
    )
    assert team.json("status")["tasks"][0]["submitted"] == 1
    assert under(team, operator).json("dead", "list")["tasks"] == []
    assert under(team, operator).json("workers", "list")["pools"] == []


@pytest.mark.parametrize("token", ["", "s3cret", "swarm_0123456789abcdef_" + "s3cret_" * 6 + "s"])
def test_a_token_that_holds_nothing_ends_the_command_and_is_not_shown(team: CommandLine, token: str) -> None:
    for command in (("status",), ("workers", "list")):
        message = under(team, token).error(*command)
        assert "s3cret" not in message
        assert "token" in message.lower()


def test_acl_prints_lines_for_redis_and_the_passwords_apart(team: CommandLine) -> None:
    ended = team.run("acl", "--agent", "ada", "--redis", "7.0")
    lines = ended.stdout.splitlines()
    passwords = dict(line.split() for line in ended.stderr.splitlines())
    name = team.environment["SWARM_NAME"]
    assert [line.split()[2] for line in lines] == [
        f"{name}~{who}" for who in ("operator", "worker", "reader", "agent~ada")
    ]
    for line in lines:
        password = passwords[line.split()[2]]
        assert password not in ended.stdout
        assert f"#{hashlib.sha256(password.encode()).hexdigest()}" in line
    assert team.json("acl")["lines"][0].split()[5] != lines[0].split()[5]
