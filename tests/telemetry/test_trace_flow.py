"""One trace goes from the hook to the shared bank, through three processes, and holds no content."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from otlp_support import Collector, Received
from stack_support import PATIENCE, Stack
from support import wait_until

SECRETS = ("zanzibar", "quetzal")
"""Words of the text and of the output."""


def traceparent(digit: str) -> str:
    return f"00-{digit * 32}-{digit * 16}-01"


def in_trace(collector: Collector, digit: str, stage: str) -> Received:
    """The span of a stage in a trace."""

    def found() -> list[Received]:
        spans = collector.named("upsert_memory", swarm__stage=stage)
        return [one for one in spans if one.trace == digit * 32]

    return wait_until(found, PATIENCE, f"the {stage} in trace {digit}")[0]


@pytest.fixture(scope="module")
def stack(start: Callable[..., Stack]) -> Stack:
    """One whose traces hold no content."""
    return start(name="traced")


@pytest.mark.timeout(180)
def test_an_outcome_is_one_trace_from_the_hook_to_the_bank(stack: Stack, collector: Collector) -> None:
    receipt = stack.report("find zanzibar", "use quetzal", traceparent=traceparent("1"))
    stack.await_state(receipt, "searchable")
    merge, consolidation = in_trace(collector, "1", "merge"), in_trace(collector, "1", "consolidation")
    of_swarm = {"gen_ai.memory.store.id": "traced"}
    assert of_swarm.items() <= merge.attributes.items()
    [create] = [one for one in collector.named("create_memory") if one.trace == "1" * 32]
    [search] = [one for one in collector.named("search_memory") if one.trace == "1" * 32]
    servers = {one.id: one for one in collector.spans if one.kind == "SERVER" and one.trace == "1" * 32}
    assert {one.name for one in servers.values()} == {
        "POST /v1/trajectories",
        "POST /v1/trajectories/{trajectory_id}/end",
    }
    # Each hangs on the one before.
    assert servers[search.parent].parent == servers[create.parent].parent == "1" * 16
    assert consolidation.parent == create.id
    assert merge.parent == consolidation.id
    assert create.attributes["gen_ai.memory.record.id"] == receipt["idempotency_key"]
    assert consolidation.attributes["gen_ai.agent.name"] == "coder-1"
    assert {consolidation.kind, merge.kind} == {"CONSUMER"}
    # The consolidation is linked with the message that set it off, which the worker's main process sent.
    [message] = [one for one in collector.spans if (one.trace, one.id) in consolidation.linked]
    [sent] = [one for one in collector.spans if one.id == message.parent]
    assert (message.name, message.kind) == ("process swarm.consolidate", "CONSUMER")
    assert (sent.name, sent.kind, sent.trace) == ("send swarm.consolidate", "PRODUCER", message.trace)
    assert sent.attributes["messaging.system"] == "celery"
    assert sent.attributes["messaging.destination.name"] == "{traced}:queue"
    assert len({create.pid, consolidation.pid, sent.pid}) == 3
    assert not any(word.encode() in collector.sent for word in SECRETS)


@pytest.mark.timeout(180)
def test_outcomes_of_several_traces_are_linked_with_the_consolidation_that_learns_them(
    start: Callable[..., Stack], collector: Collector
) -> None:
    stack = start(name="linked", consolidate_delay="3600", consolidate_batch="2")
    stack.report("find zanzibar", "use quetzal", traceparent=traceparent("2"))
    stack.report("find zanzibar again", "use quetzal", traceparent=traceparent("3"))

    def found() -> list[Received]:
        spans = collector.named("upsert_memory", swarm__stage="consolidation")
        return [one for one in spans if one.attributes["gen_ai.memory.store.id"] == "linked"]

    [consolidation] = wait_until(found, PATIENCE, "the consolidation")
    creates = [one for one in collector.named("create_memory") if one.trace in {"2" * 32, "3" * 32}]
    assert {(one.trace, one.id) for one in creates} <= consolidation.linked
    assert len(creates) == 2
    assert consolidation.parent == ""


@pytest.mark.timeout(180)
def test_an_attempt_at_a_task_is_a_span_around_its_agents_hooks(stack: Stack, collector: Collector) -> None:
    stack.start_editors()
    stack.line.run("submit", "edit zanzibar", "--role", "editor", "--agent", "editor-1", "--wait", "60")
    stack.line.run("submit", "edit zanzibar", "--role", "editor", "--payload", '{"give up": 1}')

    def ended() -> bool:
        return len([one for one in collector.spans if one.name.startswith("invoke_agent ")]) >= 2

    wait_until(ended, PATIENCE, "two attempts")
    [done] = collector.named("invoke_agent editor-1")
    [failed] = [one for one in collector.spans if one.name.startswith("invoke_agent ") and one.is_error]
    assert done.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert done.attributes["gen_ai.agent.id"] == "traced/editor-1"
    assert failed.attributes["error.type"] == "Permanent"
    hooks = [one for one in collector.spans if one.parent == done.id]
    assert {one.name for one in hooks} == {"search_memory", "create_memory"}
    [message] = [one for one in collector.spans if one.id == done.parent]
    assert message.name == "process swarm.run"
    assert not any(word.encode() in collector.sent for word in SECRETS)


@pytest.mark.timeout(180)
def test_the_text_of_a_query_is_exported_where_it_is_asked_for(
    start: Callable[..., Stack], collector: Collector
) -> None:
    stack = start(name="asked", trace_content="1")
    stack.post("/v1/trajectories", {"agent": "coder-1", "text": "find xylophone"}, traceparent("4"))
    wait_until(lambda: b"xylophone" in collector.sent, PATIENCE, "the text")
    [search] = [one for one in collector.named("search_memory") if one.trace == "4" * 32]
    assert search.attributes["gen_ai.memory.query.text"] == "find xylophone"
