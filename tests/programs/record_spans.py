"""Record spans and print what their traceparents are: what the tests of telemetry ask a process of its own for."""

import json
import sys

from swarm.telemetry.spans import MemoryOperation, SpanKind, carried, flush, memory_span, span, traceparent

ONE, OTHER = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")
LATER = f"00-{'a' * 32}-{'a' * 12}aaab-01"
UNSAMPLED = f"00-{'c' * 32}-{'c' * 16}-00"


def main() -> None:
    """Spans of every kind, each named by what is special about it."""
    with span("alone", SpanKind.SERVER, {"n": 1}) as alone:
        assert traceparent() == alone.traceparent == carried().get("traceparent", "")
        with memory_span(MemoryOperation.SEARCH, "swarm", agent="coder-1", query="the question") as inner:
            inner.rename("inside")
    with span("part", parent=ONE):
        pass
    with span("current") as current:
        with span("after one", after=[ONE, LATER, ""]):
            pass
        with span("after many", after=[ONE, OTHER, UNSAMPLED]):
            pass
        with span("after none", after=["", "junk", UNSAMPLED]):
            pass
    with span("junk", parent="00-junk"):
        pass
    try:
        with span("failing"):
            raise ValueError("the text of a task")
    except ValueError:
        pass
    flush()
    loaded = "opentelemetry" in sys.modules
    print(json.dumps({"alone": alone.traceparent, "current": current.traceparent, "loaded": loaded}))


if __name__ == "__main__":
    main()
