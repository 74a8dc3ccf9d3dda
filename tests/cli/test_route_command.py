"""`swarm route`: decisions, declarations, budgets and replay, for people and as JSON."""

from __future__ import annotations

import pytest
from cli_support import CommandLine

from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client

TEXT = "rename a column"


@pytest.fixture
def declared(external: CommandLine, settings: Settings, client: Client) -> CommandLine:
    external.json("route", "declare", "small", "--cost", "0.1", "--quality", "0.7", "--speed", "0.9")
    external.json("route", "declare", "large", "--cost", "3", "--quality", "0.95", "--speed", "0.5")
    assert list(Swarm(settings, client=client).router.store.declared()) == ["large", "small"]
    return external


def test_a_task_is_routed_explained_and_replayed(declared: CommandLine) -> None:
    found = declared.json("route", TEXT, "--strategy", "quality", "--max-cost", "5", "--explain")
    assert (found["model"], found["estimated_cost"], found["expected_quality"]) == ("large", 3.0, 0.95)
    assert [candidate["route"] for candidate in found["candidates"]] == ["large", "small"]
    again = declared.json("route", "replay", found["decision_id"])
    assert again["is_same"]
    assert (again["route"], again["text"], again["request"]["max_cost"]) == ("large", TEXT, 5.0)
    shown = declared.run("route", TEXT, "--routes", "small, large", "--max-cost", "1", "--explain").stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "small" in shown
    assert "max_cost" in shown


def test_routes_are_listed_with_budgets(declared: CommandLine) -> None:
    declared.json("route", "budget", "--amount", "2", "--period", "3600")
    listed = declared.json("route", "list")
    assert listed["routes"]["small"] == {
        "declared": {"name": "small", "cost": 0.1, "quality": 0.7, "speed": 0.9},
        "measured": None,
    }
    assert listed["budgets"]["swarm"]["left"] == 2.0
    assert declared.json("route", TEXT, "--strategy", "quality")["route"] == "small"
    assert "budget of swarm: 0.1 of 2 USD" in declared.run("route", "list").stdout
    declared.json("route", "budget", "--remove")
    assert declared.json("route", "list")["budgets"] == {}


def test_a_declaration_can_be_taken_back(declared: CommandLine) -> None:
    assert declared.json("route", "declare", "small", "--forget")["forgotten"]
    assert not declared.json("route", "declare", "small", "--forget")["forgotten"]
    assert list(declared.json("route", "list")["routes"]) == ["large"]


def test_with_no_route_left_the_command_says_which_bound_excluded_which(declared: CommandLine) -> None:
    refused = declared.run("route", TEXT, "--min-quality", "0.99", code=2)
    assert "large: expected quality 0.950 is below min_quality 0.99" in refused.stderr
    assert declared.json("route", TEXT, "--min-quality", "0.99", "--fallback", "small")["is_fallback"]


def test_a_budget_needs_an_amount_or_to_be_removed(external: CommandLine) -> None:
    for arguments in ((), ("--amount", "1", "--remove")):
        assert "--amount" in external.run("route", "budget", *arguments, code=2).stderr
