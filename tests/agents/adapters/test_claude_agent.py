"""The hooks under the real SDK, which talks its control protocol with a scripted Claude Code."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from claude_agent_sdk import ClaudeAgentOptions, query
from claude_agent_sdk.types import HookInput

from examples.claude_agent_hooks import ScriptedClaude
from swarm.services.swarm import Swarm
from swarm.sona.trajectory import Trajectory
from swarm.wire.records import decode_trajectory
from swarm_agents import Agent
from swarm_agents.adapters.claude_agent import ClaudeSwarm
from swarm_agents.adapters.tracking import Ended
from swarm_agents.client.http import AsyncHttpClient
from swarm_agents.client.local import AsyncLocalClient, LocalClient

PROMPT = "compress a file"


@pytest.fixture
def claude(swarm: Swarm) -> AsyncLocalClient:
    return AsyncLocalClient(LocalClient(Agent("claude", swarm=swarm, refresh_interval=0.0), closes_swarm=False))


def is_right(ended: Ended) -> bool:
    return ended.error is None and "right" in ended.output


def outcomes(swarm: Swarm) -> list[Trajectory]:
    return [decode_trajectory(record) for _, record in swarm.outcomes("claude").read_after("0-0", 100)]


def turn(hooks: ClaudeSwarm, script: ScriptedClaude) -> list[dict[str, Any]]:
    """What the hooks answered in one turn; its last message must be the result."""

    async def running() -> Any:
        options = ClaudeAgentOptions(hooks=hooks.hooks())
        messages = hooks.watch(query(prompt=PROMPT, options=options, transport=script))
        return [message async for message in messages]

    assert type(asyncio.run(running())[-1]).__name__ == "ResultMessage"
    assert all(answer["subtype"] == "success" for answer in script.told)
    return [answer["response"] for answer in script.told]


def test_a_turn_is_an_outcome_with_its_tools_and_its_cost(claude: AsyncLocalClient, swarm: Swarm) -> None:
    hooks = ClaudeSwarm(claude, judge=is_right)
    assert turn(hooks, ScriptedClaude("one", PROMPT, "right")) == [{}, {}]
    [outcome] = outcomes(swarm)
    assert (outcome.text, outcome.response, outcome.quality, outcome.cost) == (PROMPT, "right", 1.0, 0.01)
    assert [(step.node, step.reward, step.latency_ms) for step in outcome.steps] == [("Bash", 1.0, 12.0)]
    assert hooks.tracker.failures == 0


def test_a_prompt_is_answered_with_what_the_swarm_knows_and_no_permission(
    claude: AsyncLocalClient, known: Swarm
) -> None:
    prompt, tool = turn(ClaudeSwarm(claude, judge=is_right, k=1), ScriptedClaude("one", PROMPT, "right"))
    told = prompt["hookSpecificOutput"]
    assert told.keys() == {"hookEventName", "additionalContext"}
    assert told["hookEventName"] == "UserPromptSubmit"
    assert told["additionalContext"].splitlines()[1].endswith(": gzip")
    assert tool == {}


def test_a_turn_that_ends_with_an_error_is_judged_with_it(claude: AsyncLocalClient, swarm: Swarm) -> None:
    seen: list[str] = []

    def judge(ended: Ended) -> bool:
        seen.append(str(ended.error))
        return ended.error is None

    turn(ClaudeSwarm(claude, judge=judge), ScriptedClaude("one", PROMPT, "", fails=True))
    [outcome] = outcomes(swarm)
    assert (outcome.quality, [step.reward for step in outcome.steps]) == (0.0, [0.0])
    assert seen == ["error_during_execution"]


def test_without_a_judge_nothing_is_reported(claude: AsyncLocalClient, swarm: Swarm) -> None:
    turn(ClaudeSwarm(claude), ScriptedClaude("one", PROMPT, "right"))
    assert outcomes(swarm) == []
    assert swarm.status().agents[0].open == 0


def test_a_session_that_goes_on_without_a_result_leaves_nothing_open(claude: AsyncLocalClient, swarm: Swarm) -> None:
    hooks = ClaudeSwarm(claude, judge=is_right)
    [matcher] = hooks.hooks()["UserPromptSubmit"]
    [on_prompt] = matcher.hooks

    def prompt(session: str) -> HookInput:
        return {
            "hook_event_name": "UserPromptSubmit",
            "session_id": session,
            "transcript_path": "",
            "cwd": ".",
            "prompt": PROMPT,
        }

    async def prompts() -> None:
        for session in ("one", "one", "two"):
            await on_prompt(prompt(session), None, {"signal": None})

    asyncio.run(prompts())
    assert swarm.status().agents[0].open == 2


def test_without_the_swarm_the_turn_goes_on_and_it_is_counted() -> None:
    hooks = ClaudeSwarm(AsyncHttpClient("http://127.0.0.1:1", "claude"), judge=is_right)
    assert turn(hooks, ScriptedClaude("one", PROMPT, "right")) == [{}, {}]
    assert hooks.tracker.failures == 1
    assert "GatewayUnavailableError" in hooks.tracker.last_error
