"""Events that waited in a file have their effect once, whatever the file looks like and whoever was killed when."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from hook_support import SESSION, hook_client
from hypothesis import given
from hypothesis import strategies as st
from support import wait_until

from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_cli import hook_shim
from swarm_gateway.hooks import replay, service


def keep(path: Path, event: str, name: str, **fields: object) -> None:
    """As the command does when no gateway answers."""
    payload = {"session_id": SESSION, "hook_event_name": name, **fields}
    hook_shim.keep(str(path), "claude-code", "", event, json.dumps(payload, indent=2).encode())


def keep_a_task(path: Path) -> None:
    keep(path, "e1", "UserPromptSubmit", prompt="Fix the date parser")
    keep(
        path, "e2", "PostToolUse", tool_name="Bash", tool_input={"command": "pytest"}, tool_use_id="t", tool_response={}
    )
    keep(path, "e3", "Stop", last_assistant_message="Done.")


@pytest.fixture
def path(settings: Settings) -> Path:
    settings.state_dir.mkdir(mode=0o700)
    return replay.spool_path(settings.gateway_socket)


def test_the_file_is_private_and_where_the_gateway_looks(path: Path, settings: Settings) -> None:
    keep_a_task(path)
    assert str(path) == str(settings.gateway_socket) + hook_shim.SUFFIX
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    taken = replay.take(path)
    assert taken is not None
    events = list(replay.events(taken))
    assert [event and event.id for event in events] == ["e1", "e2", "e3"]
    assert events[0] is not None
    assert (events[0].client, events[0].agent) == ("claude-code", "")
    assert json.loads(events[0].body)["prompt"] == "Fix the date parser"


def test_a_gateway_that_starts_takes_in_what_waited(path: Path, settings: Settings, client: Client) -> None:
    keep_a_task(path)
    with hook_client(settings) as claude:
        [outcome] = wait_until(claude.outcomes, 30.0, "the outcome")
        assert (outcome.text, outcome.quality, outcome.response) == ("Fix the date parser", 0.95, "Done.")
        wait_until(lambda: replay.waiting_bytes(path) == 0, 30.0, "the file to be gone")
        assert claude.work["replayed"] == 3
        # A running one looks again and again.
        keep(path, "e4", "UserPromptSubmit", prompt="Another task")
        wait_until(lambda: claude.open_trajectories() == 1, 30.0, "the task to begin")


def test_killed_while_it_reads_the_next_one_has_each_event_its_effect_once(
    path: Path, settings: Settings, client: Client
) -> None:
    keep_a_task(path)
    kept = path.read_bytes()
    with hook_client(settings) as claude:
        wait_until(claude.outcomes, 30.0, "the outcome")
        wait_until(lambda: replay.waiting_bytes(path) == 0, 30.0, "the file to be gone")
    # As if it had been killed before it removed what it took.
    path.with_name(path.name + replay.TAKEN).write_bytes(kept)
    keep(path, "e5", "UserPromptSubmit", prompt="it works")
    with hook_client(settings) as claude:
        wait_until(lambda: claude.work.get("replayed") == 4, 30.0, "all of it to be read")
        assert claude.work["repeated"] == 3
        assert len(claude.outcomes()) == 1


def test_what_the_gateway_took_and_did_not_answer_counts_once(path: Path, settings: Settings, client: Client) -> None:
    with hook_client(settings) as claude:
        claude.prompt("Fix the date parser", **{"X-Swarm-Event": "e1"})
        keep_a_task(path)
        wait_until(claude.outcomes, 30.0, "the outcome")
        assert claude.work["begun"] == 1


def test_a_line_that_was_cut_off_spoils_no_other(path: Path) -> None:
    keep(path, "e1", "Stop")
    with path.open("ab") as file:
        file.write(b"\n1 e2 claude-code - 1.0 eyJzZXN")
    keep(path, "e3", "Stop")
    taken = replay.take(path)
    assert taken is not None
    assert [event and event.id for event in replay.events(taken)] == ["e1", None, "e3"]


@given(junk=st.binary(max_size=300))
def test_no_junk_in_the_file_is_more_than_passed_over(junk: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("spool") / "x.hooks"
    path.write_bytes(junk)
    keep(path, "e1", "Stop")
    taken = replay.take(path)
    assert taken is not None
    found = [event.id for event in replay.events(taken) if event]
    assert found[-1] == "e1"


def test_many_writers_and_a_reader_lose_nothing(path: Path) -> None:
    def write(writer: int) -> None:
        for number in range(50):
            keep(path, f"{writer}-{number}", "Stop")

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    found: list[str] = []
    while any(writer.is_alive() for writer in writers) or path.exists():
        if (taken := replay.take(path)) is not None:
            found += [event.id for event in replay.events(taken) if event]
            replay.done(taken)
    assert sorted(found) == sorted(f"{writer}-{number}" for writer in range(4) for number in range(50))


def test_the_file_is_bounded_and_so_is_an_event(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_shim, "MAX_SPOOL_BYTES", 1_000)
    for number in range(20):
        keep(path, f"e{number}", "Stop")
    assert 0 < path.stat().st_size <= 1_000
    size = path.stat().st_size
    monkeypatch.undo()
    keep(path, "large", "Stop", last_assistant_message="x" * hook_shim.MAX_BYTES)
    assert path.stat().st_size == size


def test_nothing_is_kept_where_nothing_can_be_written(tmp_path: Path) -> None:
    keep(tmp_path / "missing" / "x.hooks", "e1", "Stop")
    assert list(tmp_path.iterdir()) == []


def test_what_waited_has_its_effect_before_what_comes_now(
    path: Path, settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TEND_S", 3_600.0)
    with hook_client(settings) as claude:
        keep(path, "e1", "UserPromptSubmit", prompt="Fix the date parser")
        keep(path, "e2", "PostToolUse", tool_name="Bash", tool_input={"command": "pytest"}, tool_use_id="t")
        claude.stop("Done.")
        assert [(one.text, one.quality) for one in claude.outcomes()] == [("Fix the date parser", 0.95)]
