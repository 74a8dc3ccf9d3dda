"""A whole stack that sends its spans to a collector of the test's own, and logs JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from otlp_support import Collector
from stack_support import Stack


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """It takes the spans of every stack of the module."""
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def start(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Starts a stack with these settings, by the names of their variables without SWARM_."""
    with ExitStack() as stacks:

        def started(**settings: str) -> Stack:
            stack = Stack(tmp_path_factory.mktemp("stack"), collector, **settings)
            stacks.callback(stack.close)
            stack.start()
            return stack

        yield started
