"""`agents history`, `agents rollback` and `rewind`: what they print is what is stored, and they do what they say."""

from __future__ import annotations

import json
import time
import unicodedata

import numpy as np
import pytest
from cli_support import CommandLine
from swarm_support import some_outcome

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client


@pytest.fixture
def learned(settings: Settings, client: Client) -> Swarm:
    """A swarm of one agent with three versions; two answers compete for the same questions."""
    swarm = Swarm(settings, client=client)
    swarm.register("ada", "coder")
    background = Background(settings, client)
    rng = np.random.default_rng(0)
    # Of these ids enough are held out, by their hash, for new weights to be tried.
    for first in (960, 40, 80):
        for number in range(first, first + 40):
            which = int(rng.integers(2))
            vector = swarm.embed(f"read the {('date', 'time')[which]} in line {number} of the log")
            action = ("strptime", "fromisoformat")[which if number % 3 else 1 - which]
            outcome = some_outcome(number, "ada")
            text = f"parse line {number}"
            changes = {"embedding": vector, "action": action, "response": action, "text": text}
            values = {name: getattr(outcome, name) for name in outcome.__dataclass_fields__} | changes
            swarm.record(type(outcome)(**values | {"quality": float(number % 3 > 0)}), f"key-{number}")
        background.consolidate("ada", "test", time.time())
        background.merge("test", time.time())
    return swarm


def check_shown(text: str) -> str:
    """Readable at 80 columns, and nothing in it that could command the terminal."""
    assert all(len(line) <= 80 for line in text.splitlines())
    assert not any(unicodedata.category(sign).startswith("C") for sign in text if sign != "\n")
    return text


def test_history_lists_the_versions_with_their_figures(external: CommandLine, learned: Swarm) -> None:
    found = external.json("agents", "history", "ada")
    assert found["versions"] == json.loads(json.dumps([version.as_dict() for version in learned.history("ada")]))
    assert [version["version"] for version in found["versions"]] == [3, 2, 1]
    shown = check_shown(external.run("agents", "history", "ada").stdout)
    newest = learned.history("ada")[0]
    assert newest.update in ("promoted", "refused")
    for words in ("●", "↩", "learned", newest.update, f"{newest.loss_before:.3f}", f"{newest.loss_after:.3f}"):
        assert words in shown
    assert external.json("agents", "history", "ada", "--limit", "1")["total"] == 3
    assert "2 older ones" in check_shown(external.run("agents", "history", "ada", "--limit", "1").stdout)


def test_rollback_and_rewind_do_what_they_say(external: CommandLine, learned: Swarm) -> None:
    done = external.json("agents", "rollback", "ada", "1")
    assert (done["version"], done["generation"]) == (1, 4)
    assert "Version 5 of ada is what version 3 was" in check_shown(
        external.run("agents", "rollback", "ada", "3").stdout
    )
    shown = check_shown(external.run("agents", "history", "ada").stdout)
    assert "rollback to 3" in " ".join(shown.split())
    assert external.json("rewind", "--trajectory", "ada-50")["outcomes"] == 1
    shown = check_shown(external.run("agents", "history", "ada").stdout)
    assert "trajectory ada-50" in shown
    assert "holds what was taken back" in external.error("agents", "rollback", "ada", "2")
    assert "1 outcome taken back; version 7" in check_shown(external.run("rewind", "--trajectory", "ada-90").stdout)
    assert "already" in check_shown(external.run("rewind", "--trajectory", "ada-90").stdout)
    assert "118 outcomes taken back" in check_shown(external.run("rewind", "--agent", "ada").stdout)
    assert learned.bank.count() == 0
    assert "rewound" in check_shown(external.run("agents", "list").stdout)


def test_what_cannot_be_done_is_one_line(external: CommandLine, learned: Swarm) -> None:
    assert "'eve' is not registered" in external.error("agents", "history", "eve")
    assert "version must be in 0..2 for agent ada, got 9" in external.error("agents", "rollback", "ada", "9")
    assert "no outcome of it is known" in external.error("rewind", "--trajectory", "never")
    assert "--trajectory, --agent or both" in external.run("rewind", code=2).stderr
    learned.register("bob", "coder")
    assert "no versions yet" in external.run("agents", "history", "bob").stdout


def test_quarantine_and_release_hold_and_are_in_the_history(external: CommandLine, learned: Swarm) -> None:
    done = external.json("agents", "quarantine", "ada", "--by", "ann")
    assert (done["silenced"], done["verdict"], done["generation"]) == (True, "quarantined", 4)
    assert learned.agents.state("ada").silenced
    assert "quarantined" in check_shown(external.run("agents", "list").stdout)
    assert "released" in check_shown(external.run("agents", "quarantine", "ada", "--release").stdout)
    assert not learned.agents.state("ada").silenced
    assert [version.kind for version in learned.history("ada")[:2]] == ["release", "quarantine"]
    assert "ann" in check_shown(external.run("agents", "history", "ada").stdout)
    assert "'nobody' is not registered" in external.error("agents", "quarantine", "nobody")
