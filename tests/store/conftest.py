"""Stores of a swarm that no other test knows."""

from __future__ import annotations

import pytest
from swarm_support import agent_store, bank_store

from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore
from swarm.store.connection import Client
from swarm.store.outcomes import OutcomeStore
from swarm.wire.keys import SwarmKeys


@pytest.fixture
def keys(settings: Settings) -> SwarmKeys:
    return SwarmKeys(settings.name)


@pytest.fixture
def agents(client: Client, settings: Settings) -> AgentStore:
    return agent_store(client, settings)


@pytest.fixture
def bank(client: Client, settings: Settings) -> BankStore:
    return bank_store(client, settings)


@pytest.fixture
def outcomes(client: Client, keys: SwarmKeys) -> OutcomeStore:
    """The stream of agent coder-1, which takes ten outcomes at most."""
    return OutcomeStore(client, keys.agent("coder-1"), max_pending=10, receipt_ttl=60.0)
