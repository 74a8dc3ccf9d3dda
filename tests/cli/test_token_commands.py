"""`swarm token` and `swarm acl`, and the command line under a token; in this process, where a command costs little."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cli_support import CommandLine
from click.testing import CliRunner, Result

from swarm.errors import AccessError, InputError, SwarmError, TokenError, UnknownIdError
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_cli.main import swarm as command_group

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `swarm` for a swarm of two agents, under a token if one is given; an error of ours is raised."""
    quick = settings.model_copy(update={"embedder": "hashed:32"})
    team = Swarm(quick, client=client)
    team.register("ada", "coder")
    team.register("bob", "tester")
    for name, value in (("NAME", quick.name), ("REDIS_URL", quick.redis_url), ("EMBEDDER", quick.embedder)):
        monkeypatch.setenv(f"SWARM_{name}", str(value))
    monkeypatch.setenv("SWARM_STATE_DIR", str(quick.state_dir))

    def run(*arguments: str, token: str | None = None) -> Result:
        result = CliRunner().invoke(command_group, list(arguments), env={"SWARM_TOKEN": token}, prog_name="swarm")
        if isinstance(result.exception, SwarmError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run


def json_of(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def create(run: Run, *arguments: str) -> str:
    """A token, as a script takes it from stdout."""
    return run("token", "create", *arguments).stdout.strip()


def test_a_token_is_shown_once_listed_by_its_id_and_revoked(run: Run) -> None:
    token = create(run, "--role", "agent", "--agent", "ada", "--ttl", "30d", "--note", "laptop")
    made = json_of(run("token", "create", "--role", "reader", "--json"))
    [first, second] = json_of(run("token", "list", "--json"))["tokens"]
    assert (first["role"], first["agent"], first["note"]) == ("agent", "ada", "laptop")
    assert first["expires_s"] - first["created_s"] == pytest.approx(30 * 86_400.0)
    assert (second["id"], second["expires_s"]) == (made["id"], 0.0)
    shown = run("token", "list").stdout
    for secret in (token, made["token"]):
        assert secret not in shown
        assert secret not in json.dumps([first, second])
    run("token", "revoke", first["id"])
    with pytest.raises(UnknownIdError, match="no token"):
        run("token", "revoke", first["id"])
    assert [one["id"] for one in json_of(run("token", "list", "--json"))["tokens"]] == [made["id"]]
    with pytest.raises(InputError, match="--ttl must be a number and s, m, h or d"):
        run("token", "create", "--role", "reader", "--ttl", "1w")


def test_under_an_agents_token_the_command_line_is_that_agent(run: Run) -> None:
    ada = create(run, "--role", "agent", "--agent", "ada")
    task = json_of(run("submit", "a task", "--role", "tester", "--json", token=ada))["id"]
    assert json_of(run("task", task, "--json", token=ada))["submitter"] == "ada"
    run("agents", "history", "ada", token=ada)
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
        ("doctor",),
        ("demo",),
    ):
        with pytest.raises(AccessError, match="agent ada may"):
            run(*refused, token=ada)
    assert json_of(run("status", "--json"))["tasks"][0]["submitted"] == 1


def test_a_reader_looks_and_an_operator_does_everything(run: Run) -> None:
    reader, operator = create(run, "--role", "reader"), create(run, "--role", "operator")
    assert json_of(run("query", "a task", "--json", token=reader))["hits"] == []
    with pytest.raises(AccessError, match=r"a reader may not tasks\.submit"):
        run("submit", "a task", "--role", "coder", token=reader)
    run("submit", "a task", "--role", "coder", token=operator)
    run("workers", "list", token=operator)
    run("token", "list", token=operator)


@pytest.mark.parametrize("token", ["", "s3cret", "swarm_0123456789abcdef_" + "s3cret_" * 6 + "s"])
def test_a_token_that_holds_nothing_ends_the_command_and_is_not_shown(run: Run, token: str) -> None:
    for command in (("status",), ("workers", "list")):
        with pytest.raises(TokenError) as caught:
            run(*command, token=token)
        assert "s3cret" not in str(caught.value)


def test_acl_prints_lines_for_redis_and_the_passwords_apart(run: Run, settings: Settings) -> None:
    ended = run("acl", "--agent", "ada", "--redis", "7.0")
    lines, passwords = ended.stdout.splitlines(), dict(line.split() for line in ended.stderr.splitlines())
    users = [f"{settings.name}~{who}" for who in ("operator", "worker", "reader", "agent~ada")]
    assert [line.split()[2] for line in lines] == users
    for line in lines:
        password = passwords[line.split()[2]]
        assert password not in ended.stdout
        assert f"#{hashlib.sha256(password.encode()).hexdigest()}" in line
    assert json_of(run("acl", "--json"))["lines"][0].split()[5] != lines[0].split()[5]


def test_the_real_command_says_it_in_one_line(external: CommandLine) -> None:
    external.environment["SWARM_TOKEN"] = "s3cret"
    message = external.error("status")
    assert "the token is not one of" in message
    assert "s3cret" not in message
