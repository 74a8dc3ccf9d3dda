"""`templates` and `agents create`: what they print is what is in the package and what is registered."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from swarm_support import DIM, EMBEDDER, make_swarm

from swarm.errors import InputError, UnknownIdError
from swarm.services.access import AccessControl
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_agents.templates import template_names
from swarm_cli.main import swarm as command_group

Run = Callable[..., Result]


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def run(settings: Settings) -> Run:
    """Runs `swarm` in this process, for the swarm of `settings`."""
    environment = {
        "SWARM_REDIS_URL": settings.redis_url,
        "SWARM_NAME": settings.name,
        "SWARM_STATE_DIR": str(settings.state_dir),
        "SWARM_EMBEDDER": EMBEDDER,
    }

    def run(*words: str, **more: str) -> Result:
        return CliRunner().invoke(command_group, list(words), env={**environment, **more}, prog_name="swarm")

    return run


def answered(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


def test_templates_are_listed_and_shown_to_be_copied(run: Run, tmp_path: Path) -> None:
    listed = answered(run("templates", "list", "--json"))
    assert [one["name"] for one in listed["templates"]] == list(template_names())
    assert {"medical", "finance", "legal"} <= {one["name"] for one in listed["domains"]}
    shown = run("templates", "list").output
    assert all(len(line) <= 80 for line in shown.splitlines())
    text = run("templates", "show", "code").output
    assert answered(run("templates", "show", "code", "--json")) == {
        "name": "code",
        "toml": text,
        "values": tomllib.loads(text),
    }
    assert "half_life" in run("templates", "show", "medical").output
    (tmp_path / "mine.toml").write_text(text.replace("base_lora_rank = 16", "base_lora_rank = 20"))
    mine = answered(run("agents", "create", "ada", "--template", str(tmp_path / "mine.toml"), "--json"))
    assert (mine["template"], mine["role"], mine["config"]["base_lora_rank"]) == ("mine", "coder", 20)


def test_an_agent_is_created_shown_and_created_once(run: Run, swarm: Swarm) -> None:
    words = ["agents", "create", "eve", "--template", "expert", "--domain", "medical"]
    options = ["--role", "doctor", "--set", "base_lora_rank=24", "--set", "ttl=30d", "--set", "redact=email,phone"]
    made = answered(run(*words, *options, "--json"))
    known = swarm.agents.registration("eve")
    assert known is not None
    assert made == {
        "swarm": swarm.settings.name,
        "name": "eve",
        "role": "doctor",
        "template": "expert.medical",
        "policy": {"half_life_s": 180 * 86_400.0, "ttl_s": 30 * 86_400.0, "redact": ["email", "phone"]},
        "config": known.config.as_dict(),
    }
    assert (known.config.dim, known.config.base_lora_rank, known.config.trajectory_capacity) == (DIM, 24, 20_000)
    shown = run(*words, *options).output
    assert "base_lora_rank 24" in shown
    assert "email, phone" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    refused = run(*words)
    assert isinstance(refused.exception, InputError)
    assert "--replace changes it" in str(refused.exception)
    assert answered(run(*words, "--replace", "--json"))["role"] == "medical-expert"


def test_only_an_operator_creates_agents(run: Run, settings: Settings, client: Client, swarm: Swarm) -> None:
    swarm.register("ada")
    control = AccessControl(settings, client)
    agent, _ = control.create("agent", agent="ada")
    operator, _ = control.create("operator")
    refused = run("agents", "create", "ada", "--template", "code", "--replace", SWARM_TOKEN=agent)
    assert "needs an operator's token" in str(refused.exception)
    assert (
        answered(run("agents", "create", "bob", "--template", "code", "--json", SWARM_TOKEN=operator))["name"] == "bob"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--template", "cod"], "template must be one of chat, code"),
        (["--template", "none.toml"], "cannot be read"),
        (["--template", "code", "--domain", "magic"], "domain must be one of finance, legal"),
        (["--template", "code", "--set", "x"], "--set takes KEY=VALUE, each key once, got 'x'"),
        (["--template", "code", "--set", "x=1"], "set may hold micro_lora_rank"),
        (["--template", "code", "--set", "base_lora_rank=99"], "base_lora_rank must be in 4..32, got 99"),
        (["--template", "code", "--set", "ttl=9y"], "ttl: '9y' is no period"),
        (["--template", "code", "--set", "redact=faces"], "redact may hold email"),
        (["--template", "code", "--role", "a b"], "role must be"),
        ([], "Missing option '--template'"),
    ],
)
def test_what_makes_no_sense_creates_nothing(run: Run, swarm: Swarm, words: list[str], message: str) -> None:
    refused = run("agents", "create", "ada", *words)
    assert message in refused.output + str(refused.exception)
    assert swarm.roles() == {}


def test_an_agent_is_shown_as_it_is_registered_and_what_is_redacted_no_more_is_said(run: Run) -> None:
    made = answered(run("agents", "create", "doc-1", "--template", "expert", "--domain", "medical", "--json"))
    assert answered(run("agents", "show", "doc-1", "--json")) == made
    assert "redacts" in run("agents", "show", "doc-1").output
    replaced = run("agents", "create", "doc-1", "--template", "code", "--replace").output
    assert "It no longer redacts" in replaced
    assert "email" in replaced
    assert isinstance(run("agents", "show", "nobody").exception, UnknownIdError)


def test_a_setting_that_is_not_there_comes_with_the_one_that_is_meant(run: Run) -> None:
    error = run("agents", "create", "ada", "--template", "code", "--set", "rank=5").exception
    assert isinstance(error, InputError)
    assert "rank" in str(error).rpartition("did you mean")[2]
