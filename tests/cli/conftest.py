"""Fixtures for the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cli_support import CommandLine

from swarm.settings import Settings


@pytest.fixture
def command_line() -> Iterator[CommandLine]:
    """`swarm` with a state directory of its own and no Redis yet."""
    made = CommandLine()
    yield made
    made.close()


@pytest.fixture
def external(settings: Settings) -> Iterator[CommandLine]:
    """`swarm` on the external Redis of the tests, for the swarm of `settings`."""
    assert settings.redis_url is not None
    made = CommandLine(SWARM_REDIS_URL=settings.redis_url, SWARM_NAME=settings.name)
    yield made
    made.close()
