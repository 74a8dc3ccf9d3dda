"""Sessions of coding agents as the gateway sees them: what is learned from them, and what they are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hook_support import SESSION, HookClient, hook_client, recorded

from swarm.services.access import AccessControl
from swarm.services.background import Background
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.reply import to_bytes, to_text
from swarm.wire.token_records import Role

TASK = "Fix the date parser: it fails on ISO dates with a time zone"


def keys_of(value: object) -> set[str]:
    """Every key in a value, however deep."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    return {key for inner in value for key in keys_of(inner)} if isinstance(value, list) else set()


def check_contract(client: str, event: str, said: Mapping[str, Any]) -> None:
    """Fails unless an answer is one that the client's contract knows, and no decision of any kind."""
    forbidden = {"decision", "permissionDecision", "permission", "continue", "stopReason", "updatedInput", "reason"}
    assert not keys_of(dict(said)) & forbidden
    if not said:
        return
    if client == "cursor":
        assert (event, list(said)) == ("postToolUse", ["additional_context"])
        text = said["additional_context"]
    else:
        assert list(said) == ["hookSpecificOutput"]
        inner = said["hookSpecificOutput"]
        assert set(inner) == {"hookEventName", "additionalContext"}
        assert inner["hookEventName"] == event
        assert event in ("UserPromptSubmit", "PreToolUse", "SubagentStart")
        text = inner["additionalContext"]
    assert isinstance(text, str)
    assert 0 < len(text) <= 10_000


def test_a_session_as_recorded_becomes_an_outcome_of_each_agent(claude: HookClient, settings: Settings) -> None:
    for _, payload in recorded("claude-code"):
        said = claude.post(json.dumps(payload).encode())
        check_contract("claude-code", payload["hook_event_name"], said)
    [main] = claude.outcomes("claude-code")
    [sub] = claude.outcomes("claude-code.test-runner")
    assert (main.text, main.quality, main.route) == (
        "Fix the parser: it fails on ISO dates with a time zone",
        0.1,
        "claude-opus-4-5",
    )
    assert main.response == "The parser now uses datetime.fromisoformat, which reads the offset."
    assert [(step.node, step.reward) for step in main.steps] == [("Bash:pytest", 0.0), ("Edit", 1.0), ("Agent", 1.0)]
    assert [step.latency_ms for step in main.steps] == [812.0, 12.0, 5010.0]
    assert (sub.text, sub.quality, sub.response) == (
        "Run the whole test suite and say what fails",
        0.95,
        "All 42 tests pass.",
    )
    assert [sub.latency_ms, sub.cost] == pytest.approx([5000.0, 20_000 * settings.hook_price / 1e6])
    assert claude.gateway.swarm.roles()["claude-code.test-runner"] == "test-runner"
    assert claude.open_trajectories() == claude.open_trajectories("claude-code.test-runner") == 0
    assert claude.work["outcomes"] == 2


@pytest.mark.parametrize(("name", "quality"), [("codex", 0.95), ("cursor", 0.525)])
def test_codex_and_cursor_are_understood_too(settings: Settings, client: Client, name: str, quality: float) -> None:
    # Cursor's: the tests passed, the linter did not.
    with hook_client(settings, name) as other:
        for _, payload in recorded(name):
            check_contract(name, payload["hook_event_name"], other.post(json.dumps(payload).encode()))
        [outcome] = other.outcomes(name)
        assert outcome.quality == pytest.approx(quality)
        assert outcome.response in ("Sorted the imports with ruff.", "Added a retry with a growing pause.")
        assert outcome.route in ("gpt-5-codex", "composer-1")


def test_what_one_session_did_the_next_one_is_told(claude: HookClient, background: Background) -> None:
    assert claude.prompt(TASK) == ""
    claude.bash("pytest -q", printed="5 passed")
    claude.stop("Used datetime.fromisoformat, which reads the offset.")
    background.drain(0.0)
    claude.gateway.swarm.replica.refresh()
    said = claude.prompt(TASK)
    assert "worked" in said
    assert "Used datetime.fromisoformat" in said
    assert "by claude-code" in said
    assert claude.status["hooks"][-1]["outcome"] in ("answered", "silent")


def test_what_failed_is_told_as_a_warning(claude: HookClient, background: Background) -> None:
    claude.prompt(TASK)
    claude.bash("pytest -q", ok=False)
    claude.stop("Replaced strptime by a regular expression.")
    background.drain(0.0)
    claude.gateway.swarm.replica.refresh()
    said = claude.prompt(TASK)
    assert "did NOT work" in said
    assert "Replaced strptime" in said


def test_cursor_is_told_with_the_first_tool_s_result(settings: Settings, client: Client) -> None:
    with hook_client(settings, "cursor") as cursor:
        swarm = cursor.gateway.swarm
        swarm.store_pattern(TASK, "Used datetime.fromisoformat", 1.0)
        Background(settings, client).drain(0.0)
        swarm.replica.refresh()
        assert cursor.send("beforeSubmitPrompt", prompt=TASK) == {}
        said = cursor.send("postToolUse", tool_name="Read", tool_use_id="1")
        check_contract("cursor", "postToolUse", said)
        assert "Used datetime.fromisoformat" in said["additional_context"]
        assert cursor.send("postToolUse", tool_name="Read", tool_use_id="2") == {}


def test_a_turn_of_which_nothing_speaks_has_no_outcome(claude: HookClient) -> None:
    claude.prompt("Explain how the parser works")
    claude.send("PostToolUse", tool_name="Read", tool_input={"file_path": "a"}, tool_response={}, tool_use_id="r")
    claude.stop("It reads line by line.")
    assert claude.outcomes() == []
    claude.send("SessionEnd", reason="other")
    assert claude.outcomes() == []
    assert claude.open_trajectories() == 0
    assert claude.work["abandoned"] == 1


def test_the_user_s_correction_is_an_outcome_of_its_own(claude: HookClient) -> None:
    claude.prompt(TASK)
    claude.bash("git commit -am x")
    claude.stop("Replaced strptime.")
    claude.prompt("No, that is wrong: keep strptime")
    assert [(one.text, one.response, one.quality) for one in claude.outcomes()] == [
        (TASK, "Replaced strptime.", 0.7),
        (TASK, "Replaced strptime.", 0.1),
    ]
    # What was corrected is part of the task that follows.
    claude.bash("pytest", printed="3 passed")
    claude.stop("Kept strptime, with %z.")
    last = claude.outcomes()[-1]
    assert (last.text, last.quality) == (f"{TASK}\nNo, that is wrong: keep strptime", 0.95)


def test_the_user_s_word_is_the_only_one_where_nothing_else_speaks(claude: HookClient) -> None:
    claude.prompt(TASK)
    claude.stop("Try fromisoformat.")
    claude.prompt("it works, thanks!")
    assert [(one.response, one.quality) for one in claude.outcomes()] == [("Try fromisoformat.", 0.9)]
    assert claude.open_trajectories() == 0


def test_what_a_prompt_asks_for_after_a_confirmation_is_a_task(claude: HookClient) -> None:
    claude.prompt(TASK)
    claude.stop("Try fromisoformat.")
    claude.prompt("Perfect! Now add a test for leap days")
    claude.bash("pytest")
    claude.stop("Added one.")
    assert [(one.text, one.quality) for one in claude.outcomes()] == [
        (TASK, 0.9),
        ("Now add a test for leap days", 0.95),
    ]


def test_continue_goes_on_with_the_task_before(claude: HookClient) -> None:
    claude.prompt("continue")
    assert claude.open_trajectories() == 0
    claude.prompt(TASK)
    claude.bash("make build")
    claude.stop("Half of it.")
    claude.prompt("continue")
    claude.bash("pytest")
    claude.stop("All of it.")
    assert [(one.text, one.quality, one.response) for one in claude.outcomes()] == [
        (TASK, 0.95, "Half of it."),
        (TASK, 0.95, "All of it."),
    ]


def test_a_turn_that_the_user_interrupted_is_settled_by_the_next_prompt(claude: HookClient) -> None:
    claude.prompt(TASK)
    claude.bash("rm -rf build", ok=False, is_interrupt=True)
    claude.prompt("Do something else entirely")
    assert [one.quality for one in claude.outcomes()] == [0.2]


def test_work_after_the_end_is_an_outcome_of_its_own(claude: HookClient) -> None:
    claude.prompt(TASK)
    claude.bash("pytest", ok=False)
    claude.stop("Done.")
    # Another hook made it go on.
    claude.bash("pytest")
    claude.send("Stop", stop_hook_active=True, last_assistant_message="Done, and the tests pass.")
    assert [(one.quality, one.response) for one in claude.outcomes()] == [
        (0.1, "Done."),
        (0.95, "Done, and the tests pass."),
    ]


def test_a_repeated_end_changes_nothing(claude: HookClient) -> None:
    claude.prompt(TASK)
    claude.bash("pytest")
    claude.stop("Done.")
    claude.stop("Done.")
    assert len(claude.outcomes()) == 1


def test_an_answer_that_repeats_a_pattern_counts_for_that_pattern(claude: HookClient, background: Background) -> None:
    for _ in range(2):
        claude.prompt(TASK)
        claude.bash("pytest")
        claude.stop("Used datetime.fromisoformat, which reads the offset.")
        background.drain(0.0)
        claude.gateway.swarm.replica.refresh()
    claude.prompt(TASK)
    claude.bash("pytest")
    claude.stop("used datetime.fromisoformat which reads the offset")
    assert len({one.action for one in claude.outcomes()}) == 1


def test_two_sub_agents_at_once_are_told_apart(claude: HookClient) -> None:
    claude.prompt("Review and test the parser")
    for call, kind in (("c1", "reviewer"), ("c2", "tester")):
        handed = {"prompt": f"You are the {kind}", "subagent_type": kind}
        claude.send("PreToolUse", tool_name="Agent", tool_input=handed, tool_use_id=call)
    # They start in another order than they were handed over.
    for kind in ("tester", "reviewer"):
        claude.send("SubagentStart", agent_id=f"id-{kind}", agent_type=kind)
        claude.bash("pytest", agent_id=f"id-{kind}", agent_type=kind, ok=kind == "tester")
        claude.send("SubagentStop", agent_id=f"id-{kind}", agent_type=kind, last_assistant_message=f"{kind} done")
    assert claude.outcomes("claude-code.tester") == []
    for call, kind, used in (("c1", "reviewer", 1_000), ("c2", "tester", 2_000)):
        response = {"status": "completed", "agentId": f"id-{kind}", "totalTokens": used, "totalDurationMs": 10}
        handed = {"prompt": f"You are the {kind}", "subagent_type": kind}
        claude.send("PostToolUse", tool_name="Agent", tool_input=handed, tool_response=response, tool_use_id=call)
    [tester], [reviewer] = claude.outcomes("claude-code.tester"), claude.outcomes("claude-code.reviewer")
    assert (tester.text, reviewer.text) == ("You are the tester", "You are the reviewer")
    assert [tester.quality, tester.cost] == pytest.approx([0.95, 0.006])
    assert [reviewer.quality, reviewer.cost] == pytest.approx([0.1, 0.003])


def test_a_sub_agent_whose_call_never_came_back_is_settled_at_the_end_of_the_turn(claude: HookClient) -> None:
    claude.prompt("Test the parser")
    handed = {"prompt": "Run the tests", "subagent_type": "tester"}
    claude.send("PreToolUse", tool_name="Agent", tool_input=handed, tool_use_id="c1")
    claude.send("SubagentStart", agent_id="a", agent_type="tester")
    claude.bash("pytest", agent_id="a", agent_type="tester")
    claude.send("SubagentStop", agent_id="a", agent_type="tester", last_assistant_message="done")
    assert claude.outcomes("claude-code.tester") == []
    claude.stop("done")
    assert [one.quality for one in claude.outcomes("claude-code.tester")] == [0.95]


def test_a_sub_agent_whose_start_was_not_told_is_known_by_its_call(claude: HookClient) -> None:
    claude.prompt("Test the parser")
    claude.bash("pytest", agent_id="a", agent_type="tester")
    claude.send("SubagentStop", agent_id="a", agent_type="tester", last_assistant_message="done")
    assert claude.work["unattached"] == 1
    claude.bash("pytest", agent_id="b", agent_type="tester", ok=False)
    response = {"status": "completed", "agentId": "b", "totalTokens": 10}
    handed = {"prompt": "Run the tests", "subagent_type": "tester"}
    claude.send("PostToolUse", tool_name="Agent", tool_input=handed, tool_response=response, tool_use_id="c2")
    assert [(one.text, one.quality) for one in claude.outcomes("claude-code.tester")] == [("Run the tests", 0.1)]


def test_an_agent_s_name_comes_from_the_header(claude: HookClient) -> None:
    claude.prompt(TASK, **{"X-Swarm-Agent": "billing-coder"})
    claude.bash("pytest")
    claude.stop("Done.")
    assert len(claude.outcomes("billing-coder")) == 1
    assert claude.prompt("another task for the parser", **{"X-Swarm-Agent": "no name!"}) == ""
    assert "agent must be" in claude.status["last_errors"][-1]


def test_a_type_of_sub_agents_that_is_no_name_becomes_one(claude: HookClient) -> None:
    claude.send("SubagentStart", agent_id="a", agent_type="Prüfer (streng)/../x")
    claude.bash("pytest", agent_id="a", agent_type="Prüfer (streng)/../x")
    assert claude.status["last_errors"] == []


def test_secrets_do_not_become_experience(claude: HookClient) -> None:
    claude.prompt("Call the API with sk-abcdefghijklmnop1234 at postgres://me:hunter2@db/x")
    claude.bash("pytest")
    claude.stop("Set API_KEY=abcdef123456 in the environment.")
    [outcome] = claude.outcomes()
    assert not any(secret in outcome.text + outcome.response for secret in ("sk-abc", "hunter2", "abcdef123456"))


def test_hooks_that_are_installed_twice_count_once(claude: HookClient) -> None:
    for prompt in (TASK, "it works"):
        claude.prompt(prompt)
        claude.prompt(prompt)
        for _ in range(2):
            claude.send("PostToolUse", tool_name="Edit", tool_use_id=f"call of {prompt}")
        for _ in range(2):
            claude.stop("Done.")
    # Of the task, of the word on it, and of what was done after that.
    assert [one.quality for one in claude.outcomes()] == [0.7, 0.9, 0.7]


def test_commands_and_blank_prompts_are_no_tasks(claude: HookClient) -> None:
    for text in ("/clear", "   ", "", "ok"):
        claude.prompt(text)
    assert claude.open_trajectories() == 0


def test_more_steps_than_a_trajectory_takes_still_count_as_evidence(claude: HookClient) -> None:
    claude.prompt(TASK)
    for _ in range(52):
        claude.bash("git status")
    claude.bash("pytest", ok=False)
    claude.stop("Done.")
    [outcome] = claude.outcomes()
    assert (len(outcome.steps), outcome.quality) == (50, 0.1)
    assert claude.work["steps_left_out"] == 3


def test_an_agent_s_token_acts_as_that_agent_alone(settings: Settings, client: Client) -> None:
    token, _ = AccessControl(settings, client).create(Role.AGENT, "coder-7")
    guarded = settings.model_copy(update={"http_require_token": True})
    authorised = {"Authorization": f"Bearer {token}"}
    with hook_client(guarded) as claude:
        claude.gateway.swarm.register("coder-7", "coder")
        assert claude.http.post("/v1/hooks/claude-code", json={}).status_code == 401
        claude.http.headers.update(authorised)
        claude.prompt(TASK)
        claude.send("SubagentStart", agent_id="a", agent_type="tester")
        claude.bash("pytest")
        claude.stop("Done.")
        assert len(claude.outcomes("coder-7")) == 1
        assert claude.http.get("/v1/hooks").status_code == 403
        claude.prompt(TASK, **{"X-Swarm-Agent": "claude-code"})
        assert claude.gateway.swarm.agents.registration("claude-code") is None


def test_a_session_goes_on_after_the_gateway_was_replaced(settings: Settings, client: Client) -> None:
    with hook_client(settings) as first:
        first.prompt(TASK)
        first.bash("pytest", ok=False)
    with hook_client(settings) as second:
        second.bash("mypy .")
        second.stop("Done.")
        [outcome] = second.outcomes()
        assert (outcome.text, len(outcome.steps)) == (TASK, 2)
        assert outcome.quality == pytest.approx(0.525)
        # No text of the session is in Redis but in the trajectory.
        [key] = client.scan_iter(f"{{{settings.name}}}:hooksession:*")
        stored = to_bytes(client.get(key))
        assert stored is not None
        assert TASK.encode() not in stored
        assert SESSION.encode() in stored


def test_a_forgotten_trajectory_is_lost_and_the_session_goes_on(claude: HookClient) -> None:
    claude.prompt(TASK)
    [trajectory] = map(to_text, claude.gateway.swarm.client.hkeys(_open(claude)))
    claude.gateway.swarm.forget(trajectory=trajectory)
    claude.bash("pytest")
    claude.stop("Done.")
    assert claude.outcomes() == []
    claude.prompt("Another task of the parser")
    claude.bash("pytest")
    claude.stop("Done, too.")
    assert [one.response for one in claude.outcomes()] == ["Done, too."]


def _open(claude: HookClient) -> str:
    return claude.gateway.swarm.keys.agent("claude-code").open
