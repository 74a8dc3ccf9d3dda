"""A whole stack that sends its spans to a collector of the test's own, and logs JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from otlp_support import Collector
from stack_support import Stack


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """It takes the spans of every stack of the module."""
    with Collector() as collector:
        yield collector


@pytest.fixture
def start(collector: Collector, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Starts a stack with these settings, by the names of their variables without SWARM_."""
    stacks: list[Stack] = []

    def started(**settings: str) -> Stack:
        stack = Stack(tmp_path, collector, **settings)
        stacks.append(stack)
        stack.start()
        return stack

    yield started
    for stack in stacks:
        stack.close()
