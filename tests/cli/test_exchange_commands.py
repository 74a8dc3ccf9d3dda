"""`swarm export` and `swarm import`: what they print is what was written, and a swarm goes through them whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from exchange_support import AGENTS, TASKS, another_swarm, learn
from swarm_support import EMBEDDER

from swarm.errors import SwarmError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm_cli.main import swarm as swarm_command


@pytest.fixture(scope="module")
def home(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with another_swarm(redis_server, tmp_path_factory.mktemp("home")) as (swarm, background):
        learn(swarm, background, 2)
        yield swarm


@pytest.fixture
def away(redis_server: str, tmp_path: Path) -> Iterator[tuple[Swarm, Background]]:
    with another_swarm(redis_server, tmp_path) as made:
        yield made


def call(swarm: Swarm, *words: str) -> Result:
    """Run a command in this process, on the swarm."""
    settings = swarm.settings
    environment = {
        "SWARM_NAME": settings.name,
        "SWARM_REDIS_URL": settings.redis_url,
        "SWARM_STATE_DIR": str(settings.state_dir),
        "SWARM_EMBEDDER": EMBEDDER,
        "COLUMNS": "80",
    }
    return CliRunner().invoke(swarm_command, words, env=environment)


def done(swarm: Swarm, *words: str) -> dict[str, Any]:
    """What a command prints with --json; it must end well."""
    result = call(swarm, *words, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_all_agents_go_out_and_come_in_and_rank_the_same(
    home: Swarm, away: tuple[Swarm, Background], tmp_path: Path
) -> None:
    swarm = away[0]
    out = done(home, "export", "--all", "--to", str(tmp_path / "out"), "--format", "agent", "--format", "card")
    assert [agent["agent"] for agent in out["agents"]] == list(AGENTS)
    assert all(set(agent["files"]) == {"agent.swarm", "README.md"} for agent in out["agents"])
    back = done(swarm, "import", str(tmp_path / "out"))
    assert [(agent["agent"], agent["swarm"]) for agent in back["agents"]] == [(a, home.keys.swarm) for a in AGENTS]
    for task in TASKS:
        mine, theirs = home.query(task, k=20), swarm.query(task, k=20)
        assert mine == theirs != []


def test_what_is_printed_names_the_files_the_rows_and_what_the_bits_cost(home: Swarm, tmp_path: Path) -> None:
    shown = call(home, "export", "ada", "--to", str(tmp_path), "--bits", "4").stdout
    assert f"{tmp_path}: agent ada, version 2; 13 files" in shown
    assert f"{home.agents.state('ada').consolidated} rows" in shown
    assert "In 4 bits: " in shown
    bare = call(home, "export", "ada", "--to", str(tmp_path / "bare"), "--format", "jsonl", "--no-text").stdout
    assert "Left out: preferences, they are texts." in bare
    assert not (tmp_path / "bare" / "preferences.jsonl").exists()


def test_an_agent_without_weights_is_said_to_be_the_identity(away: tuple[Swarm, Background], tmp_path: Path) -> None:
    away[0].register("untrained")
    new = call(away[0], "export", "untrained", "--to", str(tmp_path / "new"), "--format", "jsonl", "--bits", "4").stdout
    assert "No adapter weights yet: the adapter is the identity." in new
    assert "Left out: routing, no routes." in new


def test_an_agent_under_another_name_and_on_probation(
    home: Swarm, away: tuple[Swarm, Background], tmp_path: Path
) -> None:
    done(home, "export", "ada", "--to", str(tmp_path), "--format", "agent")
    shown = " ".join(
        call(away[0], "import", str(tmp_path / "agent.swarm"), "--as", "carol", "--probation").stdout.split()
    )
    assert f"Agent carol is agent ada of swarm {home.keys.swarm} at version 2:" in shown
    assert "; probation." in shown
    again = call(away[0], "import", str(tmp_path), "--as", "dora")
    assert isinstance(again.exception, SwarmError)
    assert "would confirm one another" in str(again.exception)
    assert away[0].agents.names() == ["carol"]
