"""`submit`, `task`, `tasks`, `dead` and pools of a role, as a user meets them."""

from __future__ import annotations

import os

import pytest
from cli_support import CommandLine
from swarm_support import EMBEDDER, TESTS, make_swarm

from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client


@pytest.fixture
def cli(external: CommandLine) -> CommandLine:
    """`swarm` with the quick embedder, whose workers find the handlers of the tests."""
    path = filter(None, [os.environ.get("PYTHONPATH", ""), str(TESTS / "programs")])
    external.environment |= {"PYTHONPATH": os.pathsep.join(path), "SWARM_EMBEDDER": EMBEDDER}
    return external


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


def kill_by_hand(swarm: Swarm, why: str) -> str:
    """A dead task of role coder."""
    task = swarm.tasks.claim("coder", "worker-1", 60.0)
    assert task is not None
    swarm.tasks.fail(task, why, retry=False)
    return task.id


def test_a_task_is_submitted_seen_counted_and_cancelled(cli: CommandLine, swarm: Swarm) -> None:
    options = ("--role", "coder", "--key", "k", "--priority", "7", "--payload", '{"file": "a.csv"}')
    receipt = cli.json("submit", "rename a column", *options)
    assert receipt["is_new"] is True
    assert cli.json("submit", "rename a column", *options) == {"id": receipt["id"], "is_new": False}
    assert cli.run("submit", "rename a column", *options).stdout == f"{receipt['id']} (known already)\n"
    view = cli.json("task", receipt["id"])
    assert (view["state"], view["text"], view["payload"], view["priority"]) == (
        "waiting",
        "rename a column",
        {"file": "a.csv"},
        7,
    )
    shown = cli.run("task", receipt["id"]).stdout
    assert all(words in shown for words in (receipt["id"], "waiting", "coder", "rename a column", "a.csv"))
    [role] = cli.json("tasks")["roles"]
    assert (role["role"], role["submitted"], role["waiting"], role["lost"]) == ("coder", 1, 1, 0)
    assert role["oldest_waiting_s"] >= 0.0
    assert "coder" in cli.run("tasks").stdout
    assert cli.json("task", receipt["id"], "--cancel")["state"] == "cancelled"


def test_a_task_that_is_placed_by_what_was_learned_says_why(cli: CommandLine, swarm: Swarm) -> None:
    for name in ("ada", "bob"):
        swarm.register(name, "coder")
    swarm.submit("anything", role="coder", agent="ada")
    options = ("--role", "coder", "--place", "learned", "--key", "k")
    receipt = cli.json("submit", "rename a column", *options)
    assert receipt["placement"]["considered"] == 2
    agent = receipt["placement"]["agent"]
    shown = cli.run("submit", "rename a column", *options).stdout
    assert shown.startswith(f"{receipt['id']} (known already)\n{agent} ")
    assert swarm.tasks.find(receipt["id"]).record.agent == agent
    explained = cli.run("task", receipt["id"], "--explain").stdout
    assert all(words in explained for words in ("placed", "ada", "bob", "expected quality", "evidence", "score"))


def test_status_shows_what_waits_runs_and_died_by_role(cli: CommandLine, swarm: Swarm) -> None:
    for number in range(4):
        swarm.submit(f"task {number}", role="coder")
    kill_by_hand(swarm, "it broke")
    assert swarm.tasks.claim("coder", "worker-1", 60.0) is not None
    [role] = cli.json("status")["tasks"]
    assert (role["waiting"], role["running"], role["dead"]) == (2, 1, 1)
    lines = cli.run("status").stdout.splitlines()
    [header] = [line for line in lines if "tasks of" in line]
    assert header.split() == ["tasks", "of", "waiting", "oldest", "retrying", "running", "succeeded", "dead"]
    row = lines[lines.index(header) + 2].split()
    assert (row[0], row[1], row[-4:]) == ("coder", "2", ["0", "1", "0", "1"])


def test_dead_tasks_are_listed_shown_replayed_and_dropped(cli: CommandLine, swarm: Swarm) -> None:
    assert "no dead tasks" in cli.run("dead", "list").stdout
    for number in range(3):
        swarm.submit(f"task \x1b[31m {number}", role="coder", payload={"bytes": b"\xff"})
    names = [kill_by_hand(swarm, f"why {number}") for number in range(3)]
    listed = cli.json("dead", "list", "--limit", "2")["tasks"]
    assert [(task["id"], task["why"]) for task in listed] == [(names[2], "why 2"), (names[1], "why 1")]
    shown = cli.run("dead", "list").stdout
    assert "\x1b" not in shown
    assert all(f"why {number}" in shown for number in range(3))
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert cli.json("dead", "show", names[0])["payload"] == {"bytes": "ff"}
    assert "why 0" in cli.run("dead", "show", names[0]).stdout
    assert cli.json("dead", "replay", names[0])["replayed"] == [names[0]]
    assert cli.json("task", names[0])["state"] == "waiting"
    assert "is not dead: it is waiting" in cli.error("dead", "replay", names[0])
    assert "1 task dropped." in cli.run("dead", "drop", names[1]).stdout
    assert "no task" in cli.error("dead", "drop", names[1])
    assert cli.json("dead", "drop", "--all")["dropped"] == [names[2]]
    assert cli.json("dead", "list")["tasks"] == []
    for words in (("dead", "drop"), ("dead", "replay", names[0], "--all")):
        assert "give ids of tasks, or --all" in cli.run(*words, code=2).stderr


def test_bad_input_is_one_clear_line(cli: CommandLine) -> None:
    assert "role must be given" in cli.error("submit", "x")
    assert "payload must be JSON" in cli.error("submit", "x", "--role", "coder", "--payload", "{")
    assert "payload must be a JSON object, got list" in cli.error("submit", "x", "--role", "coder", "--payload", "[]")
    assert "task id" in cli.error("task", "nonsense")
    assert "no task" in cli.error("task", "coder:" + "0" * 32)
    assert "had no tasks yet" in cli.run("tasks").stdout
    for words, message in (
        (("--role", "coder"), "--role needs --handlers"),
        (("--handlers", "x"), "go with --role"),
    ):
        assert message in cli.run("workers", "start", "-c", "1", *words, code=2).stderr
    assert "handlers must be names of modules" in cli.error(
        "workers", "start", "-c", "1", "--role", "coder", "--handlers", "../x"
    )


def test_a_pool_of_a_role_does_tasks_from_the_command_line(cli: CommandLine, swarm: Swarm) -> None:
    started = cli.json(
        *("workers", "start", "-c", "1", "--role", "coder", "--handlers", "role_handlers", "--agent", "ada")
    )
    assert (started["pool"], started["role"], started["status"]) == ("coder", "coder", "running")
    view = cli.json("submit", "rename a column", "--role", "coder", "--wait", "30")
    assert (view["state"], view["result"]["agent"], view["result"]["advised"]) == ("succeeded", "ada", True)
    assert "succeeded" in cli.run("task", view["id"], "--wait", "30").stdout
    failing = ("--role", "coder", "--payload", '{"do": "give up"}', "--wait", "30")
    assert "it cannot be done" in cli.error("submit", "x", *failing)
    [pool] = cli.json("workers", "list")["pools"]
    assert pool["role"] == "coder"
    assert "coder" in cli.run("workers", "list").stdout
    [agent] = cli.json("agents", "list")["agents"]
    assert (agent["name"], agent["role"], agent["accepted"]) == ("ada", "coder", 2)
    assert cli.json("workers", "drain", "--pool", "coder")["ended_by_itself"] is True
