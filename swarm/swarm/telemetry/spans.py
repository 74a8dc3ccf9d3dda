"""Spans of an outcome's way, from the hook to the shared bank, for OpenTelemetry.

Without an endpoint in `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is recorded, and OpenTelemetry is not even imported:
then a span costs a look at whether there is one.

A trace goes from process to process as a `traceparent` (W3C Trace Context): in the header of a request or of a Celery
message, in the context of an outcome, and in the log entry of a generation.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from swarm.telemetry.otel import Tracing

logger = logging.getLogger(__name__)
TRACEPARENT = "traceparent"
"""The name under which a trace is carried: header, field, key of a context."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

Attribute: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, Attribute]


class SpanKind(StrEnum):
    """Which side of a call a span is on, by OpenTelemetry's names."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class MemoryOperation(StrEnum):
    """Operations on a memory, by the names of the GenAI conventions; they are the names of the spans, too."""

    SEARCH = "search_memory"
    CREATE = "create_memory"
    UPSERT = "upsert_memory"
    DELETE = "delete_memory"


class Span(Protocol):
    """A span that begins and ends with its block. An exception makes it an error, of which only the type is kept."""

    @property
    def traceparent(self) -> str:
        """Where it is, for another process; "" if nothing is recorded."""

    def set(self, name: str, value: Attribute) -> None:
        """Set an attribute."""

    def rename(self, name: str) -> None:
        """Name it anew, when what it is about is known."""

    def failed(self, error_type: str) -> None:
        """Make it an error without an exception."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class _Nothing:
    """Stands for every span while nothing is recorded."""

    __slots__ = ()
    traceparent = ""

    def set(self, name: str, value: Attribute) -> None:
        """Nothing."""

    def rename(self, name: str) -> None:
        """Nothing."""

    def failed(self, error_type: str) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


NOTHING: Span = _Nothing()


@cache
def tracing() -> Tracing | None:
    """What this process records with; None if there is no endpoint, or OpenTelemetry is not installed."""
    if not any(map(os.environ.get, _ENDPOINTS)) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        # Heavy, of an extra, and wanted by few: loaded when there is somewhere to send spans.
        from swarm.telemetry.otel import Tracing
    except ImportError as error:
        # The variable may be meant for other programs of this host: that must break no agent.
        logger.warning(
            "no traces: an OTLP endpoint is set, but %s is missing (pip install 'sona-swarm[otel]')", error.name
        )
        return None
    os.register_at_fork(after_in_child=tracing.cache_clear)
    return Tracing.begin()


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    *,
    parent: str = "",
    after: Iterable[str] = (),
) -> Span:
    """A span for a block.

    Parameters
    ----------
    parent : traceparent of the span in another process that this one is part of; by default the current one is
    after : traceparents of what led to this. If all are of one trace, it goes on there; if not, they are linked
    """
    recording = tracing()
    return NOTHING if recording is None else recording.span(name, kind, attributes or {}, parent, after)


def memory_span(
    operation: MemoryOperation,
    store: str,
    *,
    agent: str = "",
    record: str = "",
    query: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
    after: Iterable[str] = (),
) -> Span:
    """A span of the GenAI conventions for an operation on a memory.

    Parameters
    ----------
    store : the swarm
    agent, record : whose memory, and the id of what is kept there
    query : content, so only where `Settings.trace_content` asks for it
    """
    recording = tracing()
    if recording is None:
        return NOTHING
    attributes = {
        "gen_ai.operation.name": operation.value,
        "gen_ai.memory.store.id": store,
        "gen_ai.memory.record.id": record,
        "gen_ai.memory.query.text": query,
        **agent_attributes(store, agent),
    }
    known = {name: value for name, value in attributes.items() if value}
    return recording.span(operation.value, kind, known, "", after)


def agent_attributes(store: str, agent: str) -> dict[str, str]:
    """What names an agent in a span: it is unique within its swarm."""
    return {"gen_ai.agent.id": f"{store}/{agent}", "gen_ai.agent.name": agent} if agent else {}


def traceparent() -> str:
    """Where this process is now, for another one; "" if nothing is recorded."""
    recording = tracing()
    return "" if recording is None else recording.traceparent()


def carried() -> dict[str, str]:
    """The same as fields for a context or the headers of a message; none if nothing is recorded."""
    found = traceparent()
    return {TRACEPARENT: found} if found else {}


def flush() -> None:
    """Send what was recorded: before a process ends in a way that Python does not hear of."""
    recording = tracing()
    if recording is not None:
        recording.flush()
