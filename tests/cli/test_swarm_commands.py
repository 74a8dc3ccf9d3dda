"""`status`, `agents`, `query` and `workers`: what they print comes from stored state, for people and as JSON."""

from __future__ import annotations

import json
import time
import unicodedata

import pytest
from cli_support import CommandLine

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client

EVIL = "print('\x1b[31mred\x07')\n[bold]no markup[/bold] " + "long " * 200


@pytest.fixture
def learned(settings: Settings, client: Client) -> Swarm:
    """A swarm of two agents that know something, consolidated without workers."""
    swarm = Swarm(settings, client=client)
    for agent, role in (("ada", "coder"), ("bob", "tester")):
        swarm.register(agent, role)
        for number in range(6):
            swarm.store_pattern(f"parse a date in line {number} of a log", "strptime", agent=agent)
            swarm.store_pattern(f"walk through folder {number}", EVIL, agent=agent)
    background = Background(settings, client)
    for agent in ("ada", "bob"):
        background.consolidate(agent, "test", time.time())
    background.merge("test", time.time())
    return swarm


def check_shown(text: str) -> str:
    """Readable at 80 columns, and nothing in it that could command the terminal."""
    assert all(len(line) <= 80 for line in text.splitlines())
    assert not any(unicodedata.category(sign).startswith("C") for sign in text if sign != "\n")
    return text


def test_status_is_the_stored_state(external: CommandLine, learned: Swarm) -> None:
    assert external.json("status") == json.loads(json.dumps(learned.status().as_dict()))
    shown = check_shown(external.run("status").stdout)
    for words in ("ada", "coder", "bob", "24 accepted, 24 learned, 0 waiting, 0 lost", "No worker is alive"):
        assert words in shown


def test_of_many_agents_those_are_shown_for_which_most_waits(
    external: CommandLine, learned: Swarm, client: Client
) -> None:
    for number in range(60):
        learned.register(f"agent-{number:02d}", "crowd")
    client.hset(learned.keys.agent("agent-41").state, "accepted", 7)
    shown = check_shown(external.run("status").stdout)
    assert shown.index("agent-41") < shown.index("ada")
    for words in ("10 of 62 agents in 3 roles", "Outcomes wait for 1 agent", "31 accepted", "7 lost"):
        assert words in " ".join(shown.split())
    assert "agent-57" not in shown
    everything = check_shown(external.run("status", "--all").stdout)
    assert all(f"agent-{number:02d}" in everything for number in range(60))
    assert "10 of 62" not in everything
    assert len(external.json("status")["agents"]) == 62


def test_agents_are_listed(external: CommandLine, learned: Swarm) -> None:
    found = external.json("agents", "list")
    assert [(agent["name"], agent["role"], agent["consolidated"]) for agent in found["agents"]] == [
        ("ada", "coder", 12),
        ("bob", "tester", 12),
    ]
    assert "tester" in check_shown(external.run("agents", "list").stdout)


def test_query_answers_patterns_with_provenance(external: CommandLine, learned: Swarm) -> None:
    hit = external.json("query", "parse the date of a log line", "-k", "1")["hits"][0]
    assert hit["response"] == "strptime"
    assert {source["agent"] for source in hit["sources"]} == {"ada", "bob"}
    shown = check_shown(external.run("query", "parse the date of a log line").stdout)
    assert "strptime" in shown
    assert "ada\N{NO-BREAK SPACE}×6" in shown


def test_query_shows_what_others_stored_without_obeying_it(external: CommandLine, learned: Swarm) -> None:
    shown = check_shown(external.run("query", "walk through a folder", "-k", "1").stdout)
    assert "[bold]no markup[/bold]" in shown
    assert "…" in shown
    assert external.json("query", "walk through a folder")["hits"][0]["response"] == EVIL


def test_query_filters_and_groups(external: CommandLine, learned: Swarm) -> None:
    grouped = external.json("query", "parse a date", "--group-by", "agent", "-k", "1")["agents"]
    assert {agent: hits[0]["response"] for agent, hits in grouped.items()} == {"ada": "strptime", "bob": "strptime"}
    assert set(external.json("query", "parse a date", "--group-by", "agent", "--role", "tester")["agents"]) == {"bob"}
    assert external.json("query", "parse a date", "--agent", "ada", "--min-quality", "1")["hits"] != []
    assert "bob" in check_shown(external.run("query", "parse a date", "--group-by", "agent").stdout)


def test_query_refuses_what_it_cannot_answer(external: CommandLine, learned: Swarm) -> None:
    assert "eve" in external.error("query", "parse a date", "--agent", "eve")
    assert "text" in external.error("query", " ")
    external.run("query", "parse a date", "-k", "0", code=2)
    external.run("query", "parse a date", "--min-quality", "7.5", code=2)


def test_empty_swarm_is_said_to_be_empty(external: CommandLine) -> None:
    assert "no agents yet" in external.run("agents", "list").stdout
    assert "knows nothing" in external.run("query", "parse a date").stdout
    assert "no worker pools" in external.run("workers", "list").stdout
    assert external.json("query", "parse a date")["hits"] == []


def test_other_swarm_is_another_world(external: CommandLine, learned: Swarm, settings: Settings) -> None:
    name = f"{settings.name}-b"
    assert external.json("agents", "list", "--swarm", name) == {"swarm": name, "agents": []}


def test_worker_pool_lives_and_ends(external: CommandLine) -> None:
    started = external.json("workers", "start", "--pool", "p", "-c", "1")
    assert (started["pool"], started["concurrency"]) == ("p", 1)
    assert external.json("workers", "scale", "--pool", "p", "-c", "2")["concurrency"] == 2
    [listed] = external.json("workers", "list")["pools"]
    assert (listed["pid"], listed["status"]) == (started["pid"], "running")
    shown = check_shown(external.run("workers", "list").stdout)
    assert "running" in shown
    assert external.json("workers", "drain", "--pool", "p")["ended_by_itself"] is True
    assert external.json("workers", "list")["pools"] == []
    external.run("workers", "start", "-c", "1")
    assert "Pool local has ended" in external.run("workers", "stop").stdout
    assert "nobody has started it" in external.error("workers", "stop")


def test_receipts_are_shown_by_id(external: CommandLine, learned: Swarm) -> None:
    receipt = learned.store_pattern("a task", "an answer", agent="ada", idempotency_key="key 1")
    found = external.json("receipt", receipt.id)
    assert (found["id"], found["state"], found["generation"]) == ("outcome/ada/key 1", "accepted", 0)
    assert "accepted" in check_shown(external.run("receipt", receipt.id).stdout)
    assert external.json("receipt", "consolidation/bob/1")["outcomes"] == 12
    assert "searchable" in check_shown(external.run("receipt", "consolidation/bob/1", "--wait", "1").stdout)
    merge = f"merge/{learned.bank.version()}"
    assert external.json("receipt", merge)["state"] == "published"
    assert "patterns written" in check_shown(external.run("receipt", merge).stdout)
    task = learned.submit("say hello", role="coder")
    assert external.json("receipt", task.id)["state"] == "waiting"
    assert "accepted after 0.1 s" in external.run("receipt", receipt.id, "--wait", "0.1", code=2).stderr
