"""`retention`, `pin`, `forget`, `backup`, `restore`: what they print is what is stored, and they do what they say."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_support import CommandLine
from click.testing import CliRunner
from swarm_support import some_outcome

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys
from swarm_cli.main import swarm as swarm_command

DAY = 86_400.0


@pytest.fixture
def learned(settings: Settings, client: Client) -> Swarm:
    """A swarm of two agents."""
    swarm, background = Swarm(settings, client=client), Background(settings, client)
    for agent in ("ada", "bob"):
        swarm.register(agent, "coder")
        for number in range(6):
            text = f"read the {('date', 'time', 'name')[number % 3]} of {agent}"
            outcome = replace(some_outcome(number, agent), embedding=swarm.embed(text), text=text, at_s=time.time())
            swarm.record(replace(outcome, action=f"{agent}-{number % 3}", quality=1.0), f"key-{number}")
        background.drain(0.0)
    return swarm


@pytest.fixture
def copy(settings: Settings, client: Client) -> Iterator[str]:
    """The name of a second swarm, which is erased after the test."""
    yield f"{settings.name}-copy"
    erase_swarm(client, SwarmKeys(f"{settings.name}-copy"))


def check_shown(text: str) -> str:
    """Readable at 80 columns, and nothing in it that could command the terminal."""
    assert all(len(line) <= 80 for line in text.splitlines())
    assert not any(unicodedata.category(sign).startswith("C") for sign in text if sign != "\n")
    return " ".join(text.split())


def test_retention_is_set_shown_and_switched_off(external: CommandLine, learned: Swarm) -> None:
    shown = external.json("retention", "set", "--half-life", "30d")
    assert (shown["half_life_s"], shown["ttl_s"]) == (30 * DAY, None)
    assert external.json("retention", "set", "--ttl", "12h")["half_life_s"] == 30 * DAY
    assert learned.retention().ttl_s == 43_200.0
    assert "half-life 30 d time to live 12 h expired 0 patterns" in check_shown(
        external.run("retention", "show").stdout
    )
    assert external.json("retention", "set", "--ttl", "off", "--half-life", "off") == {
        "swarm": learned.keys.swarm,
        "half_life_s": None,
        "ttl_s": None,
        "expired": 0,
        "pins": [],
    }
    assert "ttl_s must be in 1..3.1536e+09" in external.error("retention", "set", "--ttl", "0.5s")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["retention", "set", "--ttl", "soon"], "is no period"),
        (["retention", "set"], "give --half-life, --ttl or both"),
        (["pin"], "give the id of a pattern, or --list"),
        (["forget"], "give --pattern"),
        (["forget", "--pattern", "a", "--agent", "b"], "give --pattern"),
        (["forget", "--list", "--agent", "b"], "give --pattern"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(words: list[str], message: str) -> None:
    found = CliRunner().invoke(swarm_command, words)
    assert found.exit_code == 2
    assert message in found.output


def test_pins_are_set_listed_and_taken_back(external: CommandLine, learned: Swarm) -> None:
    pattern = sorted(learned.bank.patterns(), key=lambda p: p.id)[0]
    assert "is pinned: 2 outcomes" in check_shown(external.run("pin", pattern.id, "--by", "ada").stdout)
    assert pattern.id in check_shown(external.run("pin", "--list").stdout)
    [pin] = external.json("pin", "--list")["pins"]
    assert (pin["id"], pin["pattern_id"], pin["by"]) == (pattern.id, pattern.id, "ada")
    assert external.json("unpin", pattern.id)["unpinned"]["id"] == pattern.id
    assert "no pin keeps pattern" in external.error("unpin", pattern.id)


def test_forget_says_what_went_and_lists_it(external: CommandLine, learned: Swarm) -> None:
    shown = check_shown(external.run("forget", "--trajectory", "ada-3", "--by", "eve").stdout)
    assert "Forgot trajectory ada-3: 1 outcome taken back, 1 erased" in shown
    [pattern] = [p for p in learned.bank.patterns() if p.action == "bob-1"]
    assert external.json("forget", "--pattern", pattern.id)["erased"] == 2
    assert external.json("forget", "--agent", "ada")["outcomes"] == 5
    assert learned.agents.names() == ["bob"]
    assert [(stone.kind, stone.is_done) for stone in learned.tombstones()] == [
        ("trajectory", True),
        ("pattern", True),
        ("agent", True),
    ]
    assert "trajectory ada-3" in check_shown(external.run("forget", "--list").stdout)


def test_backup_and_restore_make_a_second_swarm(
    external: CommandLine, learned: Swarm, copy: str, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "swarm.backup"
    shown = " ".join(external.run("backup", str(file)).stdout.split())
    assert f"swarm {learned.keys.swarm} with 2 agents" in shown
    assert "is whole" in external.run("restore", str(file), "--check").stdout
    found = external.json("restore", str(file), "--as", copy)
    assert (found["source"], found["swarm"]) == (learned.keys.swarm, copy)
    other = make_swarm_named(learned, copy)
    assert other.query("read the date") == learned.query("read the date") != []
    assert "is not empty: --replace erases it first" in external.error("restore", str(file), "--as", copy)
    assert f"Swarm {copy} is swarm {learned.keys.swarm} as it was" in " ".join(
        external.run("restore", str(file), "--as", copy, "--replace").stdout.split()
    )
    file.write_bytes(file.read_bytes()[:-9])
    assert "it is cut" in external.error("restore", str(file), "--as", copy, "--replace")
    assert other.bank.count() == learned.bank.count()


def make_swarm_named(like: Swarm, name: str) -> Swarm:
    """A swarm of another name on the same Redis, with the same embedder."""
    return Swarm(like.settings.model_copy(update={"name": name}), client=like.client, embedder=like.embedder)
