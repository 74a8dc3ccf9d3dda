"""Spans of the nudges that go through Celery, and of the tasks that they make a process of a pool do."""

from __future__ import annotations

from typing import Any

from swarm.services.tasks import ClaimedTask
from swarm.telemetry.spans import TRACEPARENT, Span, SpanKind, agent_attributes, span


def sending(task: str, queue: str) -> Span:
    """The span of a message that is sent; its `traceparent` goes into the headers."""
    return span(f"send {task}", SpanKind.PRODUCER, _attributes("send", task, queue))


def headers_of(sent: Span) -> dict[str, str]:
    """What a message carries of the span in which it is sent."""
    return {TRACEPARENT: sent.traceparent} if sent.traceparent else {}


def processing(task: Any) -> Span:
    """The span of a message that a Celery task was called with: part of the one in which it was sent."""
    said = task.request.get(TRACEPARENT)
    # A message may come from anybody who can write to the queue.
    parent = said if isinstance(said, str) else ""
    attributes = _attributes("process", task.name, task.app.queue)
    return span(f"process {task.name}", SpanKind.CONSUMER, attributes, parent=parent)


def invoking(swarm: str, agent: str, claimed: ClaimedTask) -> Span:
    """The span of an attempt at a task: in the trace of whoever submitted it, linked with the nudge."""
    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": "invoke_agent",
        "swarm.task.id": claimed.id,
        "swarm.task.attempt": claimed.attempts,
        **agent_attributes(swarm, agent),
    }
    return span(f"invoke_agent {agent}", attributes=attributes, after=[claimed.record.traceparent])


def _attributes(operation: str, task: str, queue: str) -> dict[str, str]:
    return {
        "messaging.system": "celery",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": queue,
        "messaging.message.name": task,
    }
