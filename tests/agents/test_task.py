"""Hooks around a block and around a function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from swarm.errors import BoundsError, InputError, TextError
from swarm.services.swarm import Swarm
from swarm.sona.trajectory import Trajectory
from swarm.wire.records import decode_trajectory
from swarm_agents import Agent


def recorded(swarm: Swarm) -> list[Trajectory]:
    """The trajectories in the stream of coder-1."""
    return [decode_trajectory(record) for _, record in swarm.outcomes("coder-1").read_after("0-0", 1000)]


def test_a_block_that_ends_well_is_a_success(known: Swarm, agent: Agent) -> None:
    with agent.task("decode a JSON document") as task:
        task.used(task.advice.best)
        task.route = "model-a"
        task.cost = 0.5
    [outcome] = recorded(known)
    assert (outcome.quality, outcome.response, outcome.route, outcome.cost) == (1.0, "json", "model-a", 0.5)
    assert 0.0 < outcome.latency_ms < 10_000.0
    assert agent.health().open_tasks == 0


def test_a_block_may_say_how_well_it_went_and_what_came_of_it(swarm: Swarm, agent: Agent) -> None:
    with agent.task("decode JSON") as task:
        task.quality = 0.4
        task.output = "use json"
    [outcome] = recorded(swarm)
    assert (outcome.quality, outcome.response) == (0.4, "use json")


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(2)], ids=repr)
def test_a_block_that_raises_is_a_failure_and_the_error_comes_through(
    known: Swarm, agent: Agent, error: BaseException
) -> None:
    def fail() -> None:
        with agent.task("decode a JSON document") as task:
            task.used(task.advice.best)
            task.quality = 1.0
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    [outcome] = recorded(known)
    assert (outcome.quality, outcome.response) == (0.0, "json")


def test_when_the_failure_cannot_be_recorded_the_tasks_own_error_comes_through(swarm: Swarm, agent: Agent) -> None:
    error = ValueError("broken")

    def fail() -> None:
        with agent.task("decode JSON") as task:
            task.route = "x" * 2000
            raise error

    with pytest.raises(ValueError, match="broken") as caught:
        fail()
    assert caught.value is error
    assert ["this failure was not recorded" in note for note in error.__notes__] == [True]
    assert agent.health().redis_failures == 1
    assert "route" in agent.health().last_error
    assert recorded(swarm) == []


def test_a_block_with_an_impossible_quality_is_told_so(swarm: Swarm, agent: Agent) -> None:
    with pytest.raises(BoundsError, match="quality must be"), agent.task("decode JSON") as task:
        task.quality = 7.5
    assert recorded(swarm) == []


def test_a_block_whose_task_was_reported_inside_counts_as_reported_there(swarm: Swarm, agent: Agent) -> None:
    with agent.task("decode JSON") as task:
        agent.after_task(task.advice.trajectory_id, quality=0.4)
    [outcome] = recorded(swarm)
    assert outcome.quality == 0.4


def test_a_block_with_unusable_text_does_not_run(swarm: Swarm, agent: Agent) -> None:
    ran = []
    with pytest.raises(TextError), agent.task(""):
        ran.append(1)
    assert ran == []


def test_options_of_a_block_are_those_of_the_hook(known: Swarm, agent: Agent) -> None:
    with agent.task("decode a JSON document", k=1, agents=["library"]) as task:
        assert [hit.response for hit in task.advice.patterns] == ["json"]


def test_a_decorated_function_reports_what_it_answers(swarm: Swarm, agent: Agent) -> None:
    @agent.on_task
    def solve(text: str, tool: str = "json") -> str:
        """Solves it."""
        return f"{text} with {tool}"

    assert solve("decode a document", tool="orjson") == "decode a document with orjson"
    assert (solve.__name__, solve.__doc__) == ("solve", "Solves it.")
    [outcome] = recorded(swarm)
    assert (outcome.text, outcome.response, outcome.quality) == (
        ("decode a document", "decode a document with orjson", 1.0)
    )


@pytest.mark.parametrize("answer", [5, None, "", " ", b"bytes", "x" * 10_000_000, "\ud800"], ids=lambda a: repr(a)[:9])
def test_an_answer_that_cannot_be_stored_comes_through_and_the_success_counts(
    swarm: Swarm, agent: Agent, answer: Any
) -> None:
    @agent.on_task
    def solve(text: str) -> Any:
        return answer

    assert solve("decode JSON") is answer
    [outcome] = recorded(swarm)
    assert (outcome.quality, outcome.response) == (1.0, "")


def test_a_decorated_function_that_raises_is_a_failure(swarm: Swarm, agent: Agent) -> None:
    @agent.on_task
    def solve(text: str) -> str:
        raise LookupError(text)

    with pytest.raises(LookupError, match="decode JSON"):
        solve("decode JSON")
    assert [outcome.quality for outcome in recorded(swarm)] == [0.0]


def test_a_decorated_function_wants_the_text_first(agent: Agent) -> None:
    @agent.on_task
    def solve(text: str) -> str:
        return text

    for arguments in ((), (5,)):
        with pytest.raises(InputError, match="first argument"):
            solve(*arguments)


def test_a_function_that_would_only_begin_its_task_is_refused(agent: Agent) -> None:
    # Its success would be reported before it ran.
    async def coroutine(text: str) -> None: ...

    def generator(text: str) -> Iterator[str]:
        yield text

    async def both(text: str) -> AsyncIterator[str]:
        yield text

    for function in (coroutine, generator, both):
        with pytest.raises(InputError, match="plain function"):
            agent.on_task(function)
