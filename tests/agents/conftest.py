"""Agents of a swarm that no other test knows, and a Redis that a test may kill."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import PrivateRedis
from swarm_support import EMBEDDER, make_swarm

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm_agents import Agent


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER, "consolidate_delay": 0.0})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def background(settings: Settings, client: Client) -> Background:
    return Background(settings, client)


@pytest.fixture
def agent(swarm: Swarm) -> Agent:
    return Agent("coder-1", role="coder", swarm=swarm)


@pytest.fixture
def known(swarm: Swarm, background: Background) -> Swarm:
    """A swarm whose library knows three answers."""
    swarm.store_pattern("decode a JSON document", "json")
    swarm.store_pattern("match a pattern in a string", "re")
    swarm.store_pattern("compress a file", "gzip")
    background.drain(0.0)
    return swarm


@pytest.fixture
def own_settings(settings: Settings, own_redis: PrivateRedis) -> Settings:
    return settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 0.5})


@pytest.fixture
def new_agent(own_settings: Settings) -> Callable[..., Agent]:
    """Makes agents as a process of its own would: with a connection of its own; they look at Redis at every hook."""

    def make(name: str = "coder-1", **changes: object) -> Agent:
        settings = own_settings.model_copy(update=changes)
        agent = Agent(name, swarm=make_swarm(settings, connect(settings)), refresh_interval=0.0)
        agent.breaker.pause_s = 0.05
        return agent

    return make
