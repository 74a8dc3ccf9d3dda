"""Answers come in time, whatever happens behind them; and what happened is counted and shown."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from hook_support import HookClient, hook_client
from support import PrivateRedis, wait_until
from swarm_support import EMBEDDER

from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_gateway.hooks import service, sessions
from swarm_gateway.hooks.recorder import Recorder

TASK = "Fix the date parser"


def outcomes_of_hooks(claude: HookClient) -> dict[str, int]:
    """How many hooks ended in each way."""
    sums: dict[str, int] = {}
    for row in claude.status["hooks"]:
        sums[row["outcome"]] = sums.get(row["outcome"], 0) + row["hooks"]
    return sums


@pytest.fixture
def own_settings(settings: Settings, own_redis: PrivateRedis) -> Settings:
    return settings.model_copy(
        update={"redis_url": own_redis.url, "hook_timeout": 0.3, "hook_deadline": 0.15, "embedder": EMBEDDER}
    )


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is not set, no event has its effect."""
    gate = threading.Event()
    handle = Recorder.handle

    def slow(self: Recorder, *arguments: object) -> str:
        gate.wait(30.0)
        return handle(self, *arguments)  # type: ignore[arg-type]  # those that it was called with

    monkeypatch.setattr(Recorder, "handle", slow)
    yield gate
    gate.set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b'{"session_id": 1, "hook_event_name": 2}',
        b"[" * 50_000,
    ],
)
def test_what_is_no_payload_is_answered_empty_and_counted(claude: HookClient, body: bytes) -> None:
    assert claude.post(body) == {}
    assert outcomes_of_hooks(claude) == {"bad": 1}
    assert claude.status["last_errors"][-1].startswith("InputError")


def test_hooks_are_in_the_metrics_and_have_quantiles(claude: HookClient) -> None:
    for number in range(3):
        claude.prompt(f"{TASK}, number {number}")
    lines = claude.http.get("/metrics").text.splitlines()
    [measured] = [line for line in lines if line.startswith("swarm_hook_duration_seconds_count{")]
    assert 'event="UserPromptSubmit"' in measured
    assert float(measured.split()[-1]) == 3.0
    [row] = claude.status["durations"]
    assert 0.0 < row["p50_ms"] <= row["p99_ms"]


def test_unknown_events_are_counted_under_one_name(claude: HookClient) -> None:
    for name in ("Notification", "ToBeInvented", "x" * 5_000):
        assert claude.send(name) == {}
    assert [(row["event"], row["hooks"]) for row in claude.status["hooks"]] == [("other", 3)]
    assert claude.status["sessions"] == 0


def test_a_huge_result_is_taken_and_an_unknown_client_is_not(claude: HookClient) -> None:
    claude.prompt(TASK)
    claude.bash("pytest | cat", printed="x" * 4_000_000 + "\n1 failed")
    claude.stop("Done.")
    assert [one.quality for one in claude.outcomes()] == [0.1]
    assert claude.http.post("/v1/hooks/emacs", json={}).status_code == 422


def test_durations_are_counted_by_event(claude: HookClient) -> None:
    claude.prompt(TASK)
    [row] = claude.status["durations"]
    assert (row["event"], row["hooks"]) == ("UserPromptSubmit", 1)
    assert 0.0 < row["seconds"] < 30.0
    counts = claude.http.app.state.hooks.counts  # type: ignore[attr-defined]  # the application of this project
    assert sum(counts.buckets["claude-code", "UserPromptSubmit"]) == 1


def test_a_late_answer_is_empty_and_what_was_told_is_recorded(
    settings: Settings, client: Client, held: threading.Event
) -> None:
    with hook_client(settings.model_copy(update={"hook_deadline": 0.05})) as claude:
        assert claude.prompt(TASK) == ""
        assert outcomes_of_hooks(claude) == {"late": 1}
        assert claude.status["breaker"]["open"]
        # The next one is not waited for at all.
        assert claude.prompt(TASK + " again") == ""
        assert outcomes_of_hooks(claude) == {"late": 1, "bypassed": 1}
        assert claude.status["waiting"] == 2
        held.set()
        wait_until(lambda: claude.status["waiting"] == 0, 30.0, "both to be recorded")
        assert claude.work["begun"] == 2


def test_more_than_can_wait_is_dropped_and_counted(
    settings: Settings, client: Client, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_WAITING", 3)
    with hook_client(settings.model_copy(update={"hook_deadline": 0.01})) as claude:
        for number in range(5):
            claude.prompt(f"{TASK} {number}")
        assert outcomes_of_hooks(claude)["dropped"] == 2
        # The command keeps what is not taken.
        named = claude.http.post("/v1/hooks/claude-code", content=b"{}", headers={"X-Swarm-Event": "e1"})
        assert named.status_code == 409
        held.set()


def test_a_fault_of_ours_is_no_fault_of_the_agent_s(claude: HookClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Recorder, "handle", broken)
    assert claude.prompt(TASK) == ""
    assert outcomes_of_hooks(claude) == {"failed": 1}
    assert claude.status["last_errors"] == ["ZeroDivisionError: ours"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_with_redis_away_answers_come_in_time_and_outcomes_come_later(
    own_settings: Settings, own_redis: PrivateRedis, how: int
) -> None:
    with hook_client(own_settings) as claude:
        claude.send("SessionStart", source="startup")
        wait_until(lambda: claude.status["waiting"] == 0, 30.0, "the agent to be there")
        own_redis.kill() if how == signal.SIGKILL else own_redis.signal(how)
        took = []
        for send in (
            lambda: claude.prompt(TASK),
            lambda: claude.bash("pytest"),
            lambda: claude.stop("Done."),
        ):
            began = time.monotonic()
            send()
            took.append(time.monotonic() - began)
            wait_until(lambda: claude.status["waiting"] == 0, 20.0, "the event to be recorded")
        # The gateway's part of the 250 ms that a hook may take; the machine of the tests is busy.
        assert min(took) < 0.25
        own_redis.start() if how == signal.SIGKILL else own_redis.signal(signal.SIGCONT)
        [outcome] = wait_until(claude.outcomes, 30.0, "the outcome to come out of the spool")
        assert (outcome.text, outcome.quality, outcome.response) == (TASK, 0.95, "Done.")


def test_a_repeated_event_has_no_second_effect(claude: HookClient) -> None:
    claude.prompt(TASK, **{"X-Swarm-Event": "e1"})
    claude.prompt(TASK, **{"X-Swarm-Event": "e1"})
    for _ in range(2):
        claude.send("PostToolUse", tool_name="Bash", tool_input={"command": "pytest"}, tool_use_id="t1")
    claude.stop("Done.", headers={"X-Swarm-Event": "e2"})
    claude.stop("Done.", headers={"X-Swarm-Event": "e2"})
    [outcome] = claude.outcomes()
    assert len(outcome.steps) == 1
    assert claude.work["repeated"] == 3


def test_sessions_beyond_those_in_memory_come_back_from_redis(
    claude: HookClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    others = [HookClient(claude.http, claude.gateway, session=f"s{number}") for number in range(4)]
    for other in others:
        other.prompt(TASK)
        other.bash("pytest")
    assert claude.status["sessions"] == 2
    for other in others:
        other.stop("Done.")
    assert len(claude.outcomes()) == 4


def test_a_session_that_nobody_ended_is_settled_when_it_is_idle(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook_client(settings) as claude:
        claude.prompt(TASK)
        claude.bash("pytest")
        claude.prompt("Explain the parser")
        assert claude.open_trajectories() == 1
    monkeypatch.setattr(service, "IDLE_S", -1.0)
    with hook_client(settings) as later:
        wait_until(lambda: later.work.get("expired"), 30.0, "the session to be settled")
        assert later.open_trajectories() == 0
        assert [one.quality for one in later.outcomes()] == [0.95]
        assert list(client.scan_iter(f"{{{settings.name}}}:hooksession*")) == []


def test_parallel_calls_of_one_session_are_all_counted(claude: HookClient) -> None:
    claude.prompt(TASK)

    def call(number: int) -> None:
        body = {
            "session_id": "5f0c2f1e-7d0a-4a52-9f4e-0a6c9c1d2e3f",
            "hook_event_name": "PostToolUse",
            "tool_name": "Edit",
            "tool_use_id": f"p{number}",
            "tool_response": {},
        }
        claude.post(json.dumps(body).encode())

    threads = [threading.Thread(target=call, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claude.stop("Done.")
    [outcome] = claude.outcomes()
    assert (len(outcome.steps), outcome.quality) == (20, 0.7)
