"""`swarm events`, as a user meets it, and as another process than the one that things happen in."""

from __future__ import annotations

import json

import pytest
from cli_support import CommandLine
from click.testing import CliRunner
from swarm_support import make_swarm

from swarm.errors import InputError
from swarm.services.access import AccessControl
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_cli.main import swarm as swarm_command


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


def cancel_a_task(swarm: Swarm) -> str:
    task = swarm.submit("a secret task", role="coder").id
    swarm.tasks.cancel(task)
    return task


def test_what_happened_is_shown_to_a_reader_too(
    swarm: Swarm, settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.redis_url is not None
    monkeypatch.setenv("SWARM_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("SWARM_NAME", settings.name)
    monkeypatch.setenv("SWARM_TOKEN", AccessControl(settings, client).create("reader")[0])

    def events(*words: str, code: int = 0) -> str:
        ended = CliRunner().invoke(swarm_command, ["events", *words])
        assert ended.exit_code == code, ended.output
        return ended.output

    assert "Nothing of that is stored" in events()
    tasks = [cancel_a_task(swarm) for _ in range(3)]
    swarm.register("ada", "coder")
    shown = events().splitlines()
    assert ["task:cancelled" in line for line in shown] == [True, True, True, False]
    assert tasks[0] in shown[0]
    assert "agent ada  role coder" in shown[3]
    found = json.loads(events("--type", "task:cancelled", "-n", "2", "--json"))["events"]
    assert [event["body"]["task"] for event in found] == tasks[1:]
    assert json.loads(events("--after", found[0]["id"], "-n", "1", "--json"))["events"] == found[1:]
    lines = events("--follow", "--after", found[0]["id"], "--idle", "0", "--json").splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["task:cancelled", "agent:created"]
    assert "'learn:done' is not one of" in events("--type", "learn:done", code=2)
    ended = CliRunner().invoke(swarm_command, ["events", "--after", "x"])
    assert isinstance(ended.exception, InputError)


def test_another_process_follows_what_happens(external: CommandLine, swarm: Swarm) -> None:
    first = cancel_a_task(swarm)
    with external.popen("events", "--follow", "--after", "beginning", "--json") as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline())]
        second = cancel_a_task(swarm)
        lines.append(json.loads(process.stdout.readline()))
        process.terminate()
    assert [line["body"]["task"] for line in lines] == [first, second]
    assert "secret" not in json.dumps(lines)
