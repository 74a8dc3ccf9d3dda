"""Spans go where they belong, say nothing of what an error says, and cost nothing where nobody wants them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from otlp_support import Collector, Received

from swarm.telemetry.spans import NOTHING, MemoryOperation, carried, memory_span, span

PROGRAM = Path(__file__).parents[1] / "programs" / "record_spans.py"


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | more


def run(code: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    given = [str(code)] if isinstance(code, Path) else ["-c", code]
    arguments = [sys.executable, "-W", "error", *given]
    return subprocess.run(arguments, env=environment(**more), capture_output=True, text=True, check=True, timeout=60)


@pytest.fixture(scope="module")
def recorded() -> Iterator[tuple[dict[str, Received], dict[str, Any], bytes]]:
    """What a program recorded, by name; what it printed; and all bytes that it sent."""
    with Collector() as collector:
        printed = json.loads(run(PROGRAM, **collector.environment).stdout)
        yield {one.name: one for one in collector.spans}, printed, collector.sent


def place(traceparent: str) -> tuple[str, str]:
    _, trace, span_id, _ = traceparent.split("-")
    return trace, span_id


def test_a_span_without_an_endpoint_is_nothing() -> None:
    assert span("x") is memory_span(MemoryOperation.SEARCH, "swarm", query="text") is NOTHING
    with NOTHING as nothing:
        nothing.set("a", 1)
        nothing.rename("y")
        nothing.failed("z")
    assert (nothing.traceparent, carried()) == ("", {})


def test_without_an_endpoint_opentelemetry_is_not_loaded() -> None:
    assert json.loads(run(PROGRAM).stdout) == {"alone": "", "current": "", "loaded": False}
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    assert json.loads(run(PROGRAM, **off).stdout)["loaded"] is False


def test_an_endpoint_without_the_package_is_said_once_and_breaks_nothing() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from swarm.telemetry.spans import NOTHING, span\n"
        "assert span('a') is span('b') is NOTHING"
    )
    done = run(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert done.stderr.count("pip install 'sona-swarm[otel]'") == 1


def test_a_span_has_its_kind_its_attributes_and_the_process(
    recorded: tuple[dict[str, Received], dict[str, Any], bytes],
) -> None:
    spans, printed, _ = recorded
    alone, inside = spans["alone"], spans["inside"]
    assert (alone.kind, alone.attributes, alone.parent) == ("SERVER", {"n": 1}, "")
    assert (alone.trace, alone.id) == place(printed["alone"])
    assert (inside.trace, inside.parent, inside.pid) == (alone.trace, alone.id, alone.pid)
    assert inside.attributes == {
        "gen_ai.operation.name": "search_memory",
        "gen_ai.memory.store.id": "swarm",
        "gen_ai.memory.query.text": "the question",
        "gen_ai.agent.id": "swarm/coder-1",
        "gen_ai.agent.name": "coder-1",
    }


def test_a_span_goes_on_in_the_trace_that_led_to_it(
    recorded: tuple[dict[str, Received], dict[str, Any], bytes],
) -> None:
    spans, printed, _ = recorded
    assert (spans["part"].trace, spans["part"].parent) == ("a" * 32, "a" * 16)
    after_one = spans["after one"]
    assert (after_one.trace, after_one.parent) == ("a" * 32, "a" * 12 + "aaab")
    assert after_one.linked == {("a" * 32, "a" * 16), place(printed["current"])}


def test_a_span_that_several_traces_led_to_is_linked_with_all_that_were_recorded(
    recorded: tuple[dict[str, Received], dict[str, Any], bytes],
) -> None:
    spans, printed, _ = recorded
    after_many = spans["after many"]
    assert after_many.parent == ""
    assert after_many.trace not in {"a" * 32, "b" * 32, place(printed["current"])[0]}
    assert after_many.linked == {("a" * 32, "a" * 16), ("b" * 32, "b" * 16), place(printed["current"])}


def test_what_is_no_traceparent_is_passed_over(
    recorded: tuple[dict[str, Received], dict[str, Any], bytes],
) -> None:
    spans, printed, _ = recorded
    assert (spans["after none"].trace, spans["after none"].parent) == place(printed["current"])
    assert spans["junk"].parent == ""


def test_of_an_error_the_type_is_kept_and_nothing_that_it_says(
    recorded: tuple[dict[str, Received], dict[str, Any], bytes],
) -> None:
    spans, _, sent = recorded
    assert spans["failing"].is_error
    assert spans["failing"].attributes == {"error.type": "ValueError"}
    assert b"text of a task" not in sent
    assert b"the question" in sent
