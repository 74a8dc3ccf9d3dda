"""The one module that knows OpenTelemetry: spans with the SDK, sent as OTLP over HTTP.

Where to, which of them, and under which service name: by the variables of OpenTelemetry (`OTEL_*`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from swarm.telemetry.spans import TRACEPARENT, Attribute, Attributes, SpanKind

MAX_LINKS = 100
"""Of more that led to a span the first ones are linked."""
_TIMEOUT_S = 2.0
"""So long a collector that is away may hold up the end of a process, unless OTEL_EXPORTER_OTLP_TIMEOUT says more."""
_FLUSH_MS = 2_000


class Tracing:
    """Records the spans of this process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("sona-swarm")

    @classmethod
    def begin(cls) -> Self:
        """Record with the provider that the application has set up, if it has; else with one of our own."""
        existing = trace.get_tracer_provider()
        return cls(existing if isinstance(existing, TracerProvider) else _own_provider())

    def span(self, name: str, kind: SpanKind, attributes: Attributes, parent: str, after: Iterable[str]) -> OtelSpan:
        """See `swarm.telemetry.spans.span`."""
        within, links = _placed(parent, after)
        return OtelSpan(self._tracer, name, trace.SpanKind[kind.value], attributes, within, links)

    def traceparent(self) -> str:
        """Of the span that this thread is in."""
        return _traceparent(trace.get_current_span().get_span_context())

    def flush(self) -> None:
        """Send what waits."""
        self._provider.force_flush(_FLUSH_MS)


class OtelSpan:
    """A span that begins and ends with its block."""

    def __init__(
        self,
        tracer: trace.Tracer,
        name: str,
        kind: trace.SpanKind,
        attributes: Attributes,
        within: Context,
        links: list[Link],
    ) -> None:
        self._within = within
        # What an exception says may be content: its type is all that is kept, see `__exit__`.
        self._span = tracer.start_span(name, within, kind, dict(attributes), links, record_exception=False)
        self._token: Token[Context] | None = None

    @property
    def traceparent(self) -> str:
        return _traceparent(self._span.get_span_context())

    def set(self, name: str, value: Attribute) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def failed(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(Status(StatusCode.ERROR))

    def __enter__(self) -> Self:
        self._token = contexts.attach(trace.set_span_in_context(self._span, self._within))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.failed(kind.__name__)
        if self._token is not None:
            contexts.detach(self._token)
        self._span.end()


def _own_provider() -> TracerProvider:
    is_named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    named: dict[str, Attribute] = {} if is_named else {"service.name": "sona-swarm"}
    provider = TracerProvider(resource=Resource.create({**named, "process.pid": os.getpid()}))
    timeout_s = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else _TIMEOUT_S
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout_s)))
    return provider


def _placed(parent: str, after: Iterable[str]) -> tuple[Context, list[Link]]:
    """The context that a span begins in, and its links."""
    here = contexts.get_current()
    if parent:
        return TraceContextTextMapPropagator().extract({TRACEPARENT: parent}, here), []
    before = [found for one in dict.fromkeys(after) if (found := _read(one)).trace_flags.sampled]
    if not before:
        return here, []
    is_one_trace = len({one.trace_id for one in before}) == 1
    # In one trace it goes on from the newest of them, the one that this waited for.
    base = trace.NonRecordingSpan(before.pop()) if is_one_trace else trace.INVALID_SPAN
    current = trace.get_current_span(here).get_span_context()
    links = [Link(one) for one in (*before[: MAX_LINKS - 1], current) if one.is_valid]
    return trace.set_span_in_context(base, here), links


def _read(traceparent: str) -> SpanContext:
    """The place that a traceparent names; an invalid one if it names none."""
    found = TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent}, Context())
    return trace.get_current_span(found).get_span_context()


def _traceparent(place: SpanContext) -> str:
    if not place.is_valid:
        return ""
    return f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"
