"""A swarm that no other test knows, with the quick embedder, and its background work in this process."""

from __future__ import annotations

import pytest
from swarm_support import EMBEDDER, Report, a_registration, make_swarm, some_outcome

from swarm.services.background import Background
from swarm.services.receipts import Receipt
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


@pytest.fixture
def report(swarm: Swarm) -> Report:
    """Report outcomes FIRST..LAST-1 of an agent, which is registered if it is new."""

    def report(agent: str, first: int, last: int) -> list[Receipt]:
        if swarm.agents.registration(agent) is None:
            swarm.register(agent, "coder", a_registration().config)
        return [swarm.record(some_outcome(number, agent), f"{agent}-{number}") for number in range(first, last)]

    return report
