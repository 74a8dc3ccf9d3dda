"""A gateway in this process for the hooks of coding agents, with the quick embedder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hook_support import HookClient, hook_client
from swarm_support import EMBEDDER

from swarm.services.background import Background
from swarm.settings import Settings
from swarm.store.connection import Client


@pytest.fixture
def settings(settings: Settings) -> Settings:
    # A deadline that a busy machine keeps: the tests of the deadline set their own.
    return settings.model_copy(update={"embedder": EMBEDDER, "consolidate_delay": 0.0, "hook_deadline": 30.0})


@pytest.fixture
def claude(settings: Settings, client: Client) -> Iterator[HookClient]:
    """Claude Code in one session."""
    with hook_client(settings) as made:
        yield made


@pytest.fixture
def background(settings: Settings, client: Client) -> Background:
    return Background(settings, client)
