"""The hooks under the real SDK, with its own scripted model and real runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from agents.testing import ScriptedModel, assistant_message, function_call

from agents import Agent, MaxTurnsExceeded, ModelResponse, RunConfig, Runner, Usage, function_tool
from swarm.errors import StoreUnavailableError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.sona.trajectory import Trajectory
from swarm.wire.records import decode_trajectory
from swarm_agents.adapters.openai_agents import SwarmRunHooks, Team, task_text
from swarm_agents.adapters.tracking import Ended, Verdict
from swarm_agents.client import AsyncSwarmClient
from swarm_agents.client.http import AsyncHttpClient

QUIET = RunConfig(tracing_disabled=True)


@function_tool
async def list_files(folder: str) -> str:
    """List the files of a folder."""
    await asyncio.sleep(0.01)
    return "a.csv"


def is_right(ended: Ended) -> bool:
    return ended.error is None and "right" in ended.output


def says(text: str) -> list[Any]:
    return [assistant_message(text)]


def outcomes(swarm: Swarm, agent: str) -> list[Trajectory]:
    return [decode_trajectory(record) for _, record in swarm.outcomes(agent).read_after("0-0", 100)]


def run(hooks: SwarmRunHooks, agent: Agent[Any], text: str | Sequence[Any] = "read a table", **options: Any) -> Any:
    """The output of a run under these hooks."""

    async def running() -> Any:
        async with hooks:
            given = text if isinstance(text, str) else list(text)
            return (await Runner.run(agent, given, hooks=hooks, **{"run_config": QUIET, **options})).final_output

    return asyncio.run(running())


def test_a_run_is_an_outcome_with_its_tools_and_its_cost(team: Team, swarm: Swarm) -> None:
    usage = Usage(requests=1, input_tokens=100, output_tokens=10, total_tokens=110)
    call = function_call("list_files", {"folder": "."}, call_id="c1")
    responses = [ModelResponse(output=items, usage=usage, response_id=None) for items in ([call], says("right"))]
    agent = Agent(name="coder", model=ScriptedModel(responses), tools=[list_files])
    seen: list[Ended] = []

    def judge(ended: Ended) -> float:
        seen.append(ended)
        return 0.75

    hooks = SwarmRunHooks(team, judge=judge, cost=lambda _, used: used.input_tokens * 1e-6 + used.output_tokens * 1e-5)
    assert run(hooks, agent) == "right"
    [outcome] = outcomes(swarm, "coder")
    assert (outcome.text, outcome.response, outcome.quality) == ("read a table", "right", 0.75)
    assert outcome.cost == pytest.approx(4e-4)
    [step] = outcome.steps
    assert step.node == "list_files"
    assert 10.0 <= step.latency_ms <= outcome.latency_ms
    assert [(one.agent, one.text, one.output, one.error) for one in seen] == [("coder", "read a table", "right", None)]
    assert (hooks.tracker.failures, hooks.tracker.last_receipt is not None) == (0, True)


def test_who_hands_off_is_another_agent_and_shares_the_verdict(team: Team, swarm: Swarm) -> None:
    coder = Agent(name="Coder (v2)", model=ScriptedModel([says("right")]))
    handoff = function_call("transfer_to_coder__v2_", {}, call_id="c1")
    triage = Agent(name="triage", model=ScriptedModel([[handoff]]), handoffs=[coder])
    assert run(SwarmRunHooks(team, judge=is_right), triage) == "right"
    [first], [second] = outcomes(swarm, "triage"), outcomes(swarm, "Coder-v2")
    assert (first.response, first.quality) == ("hand off to Coder (v2)", 1.0)
    assert (second.response, second.quality, second.text) == ("right", 1.0, "read a table")


@pytest.mark.parametrize("way", ["filter", "instructions"])
def test_the_model_is_shown_what_the_swarm_knows(way: str, team: Team, known: Swarm) -> None:
    model = ScriptedModel([says("right")])
    hooks = SwarmRunHooks(team, k=1)
    if way == "filter":
        agent = Agent(name="coder", instructions="Be brief.", model=model)
        config = RunConfig(tracing_disabled=True, call_model_input_filter=hooks.input_filter)
        run(hooks, agent, "compress a file", run_config=config)
    else:
        run(hooks, Agent(name="coder", instructions=hooks.instructions("Be brief."), model=model), "compress a file")
    shown = (model.calls[0].system_instructions or "").splitlines()
    assert shown[:2] == ["Be brief.", ""]
    assert "Reports of earlier runs" in shown[2]
    assert shown[3].endswith(": gzip")
    assert len(shown) == 4


def test_without_anything_known_the_instructions_stay_as_they_are(team: Team, swarm: Swarm) -> None:
    model = ScriptedModel([says("right"), says("right")])
    hooks = SwarmRunHooks(team)
    config = RunConfig(tracing_disabled=True, call_model_input_filter=hooks.input_filter)
    run(hooks, Agent(name="coder", instructions="Be brief.", model=model), run_config=config)
    run(hooks, Agent(name="coder", model=model), run_config=config)
    assert [call.system_instructions for call in model.calls] == ["Be brief.", None]


@pytest.mark.parametrize("judge", [None, lambda _: None], ids=["no judge", "no verdict"])
def test_what_nobody_judges_is_not_reported(judge: Any, team: Team, swarm: Swarm) -> None:
    run(SwarmRunHooks(team, judge=judge), Agent(name="coder", model=ScriptedModel([says("right")])))
    assert outcomes(swarm, "coder") == []
    assert swarm.status().agents[0].open == 0


def test_a_run_that_breaks_off_is_judged_with_its_error(team: Team, swarm: Swarm) -> None:
    calls = [[function_call("list_files", {"folder": "."}, call_id=f"c{number}")] for number in range(3)]
    agent = Agent(name="coder", model=ScriptedModel(calls), tools=[list_files])
    seen: list[BaseException | None] = []

    async def judge(ended: Ended) -> Verdict:
        seen.append(ended.error)
        return ended.error is None

    with pytest.raises(MaxTurnsExceeded):
        run(SwarmRunHooks(team, judge=judge), agent, max_turns=2)
    [outcome] = outcomes(swarm, "coder")
    assert (outcome.quality, outcome.response, len(outcome.steps)) == (0.0, "", 2)
    assert isinstance(seen[0], MaxTurnsExceeded)


def test_a_streamed_run_is_the_same(team: Team, swarm: Swarm) -> None:
    agent = Agent(name="coder", model=ScriptedModel([says("right")]))

    async def streaming() -> None:
        async with SwarmRunHooks(team, judge=is_right) as hooks:
            result = Runner.run_streamed(agent, "read a table", hooks=hooks, run_config=QUIET)
            async for _ in result.stream_events():
                pass

    asyncio.run(streaming())
    assert [outcome.quality for outcome in outcomes(swarm, "coder")] == [1.0]


def test_hooks_run_again_for_the_next_run(team: Team, swarm: Swarm) -> None:
    hooks = SwarmRunHooks(team, judge=is_right)
    for answer in ("right", "wrong"):
        run(hooks, Agent(name="coder", model=ScriptedModel([says(answer)])))
    assert [outcome.quality for outcome in outcomes(swarm, "coder")] == [1.0, 0.0]


class AwayTeam:
    """A team whose gateway is not there."""

    async def of(self, agent: str) -> AsyncSwarmClient:
        if agent == "refused":
            raise StoreUnavailableError("away")
        return AsyncHttpClient("http://127.0.0.1:1", agent)


@pytest.mark.parametrize("name", ["coder", "refused"])
def test_without_the_swarm_the_run_goes_on_and_it_is_counted(name: str) -> None:
    hooks = SwarmRunHooks(AwayTeam(), judge=is_right)
    agent = Agent(name=name, model=ScriptedModel([says("right")]))
    assert run(hooks, agent) == "right"
    assert hooks.tracker.failures == 1
    assert "Unavailable" in hooks.tracker.last_error


def test_a_judge_that_fails_breaks_nothing(team: Team, swarm: Swarm) -> None:
    def judge(_: Ended) -> bool:
        raise RuntimeError("no verdict today")

    hooks = SwarmRunHooks(team, judge=judge)
    assert run(hooks, Agent(name="coder", model=ScriptedModel([says("right")]))) == "right"
    assert hooks.tracker.last_error == "RuntimeError: no verdict today"
    assert outcomes(swarm, "coder") == []


def test_an_output_too_long_to_be_a_pattern_counts_without_it(team: Team, swarm: Swarm) -> None:
    agent = Agent(name="coder", model=ScriptedModel([says("right" * 20_000)]))
    run(SwarmRunHooks(team, judge=is_right), agent)
    assert [(outcome.quality, outcome.response) for outcome in outcomes(swarm, "coder")] == [(1.0, "")]


def test_the_router_learns_which_model_it_was(team: Team, swarm: Swarm, background: Background) -> None:
    class Named(ScriptedModel):
        model = "small"

    run(SwarmRunHooks(team, judge=is_right), Agent(name="coder", model=Named([says("right")])))
    assert [outcome.route for outcome in outcomes(swarm, "coder")] == ["small"]


def test_what_the_user_asked_last_is_the_task() -> None:
    parts = [{"type": "input_text", "text": "read"}, {"type": "input_image"}, {"type": "input_text", "text": "this"}]
    items = [{"role": "user", "content": "hi"}, {"role": "user", "content": parts}, {"type": "function_call"}]
    assert task_text(items) == "read\nthis"
    assert task_text([{"role": "assistant", "content": "hi"}]) == ""


def test_an_input_without_text_is_no_task(team: Team, swarm: Swarm) -> None:
    hooks = SwarmRunHooks(team, judge=is_right)
    image = [{"role": "user", "content": [{"type": "input_image", "detail": "auto", "image_url": "data:,"}]}]
    assert run(hooks, Agent(name="coder", model=ScriptedModel([says("right")])), image) == "right"
    assert "TextError" in hooks.tracker.last_error
    assert outcomes(swarm, "coder") == []
