"""A swarm that no other test knows, with the quick embedder, and its background work in this process."""

from __future__ import annotations

import pytest
from swarm_support import EMBEDDER, make_swarm

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER, "consolidate_delay": 0.0})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def background(settings: Settings, client: Client) -> Background:
    return Background(settings, client)
