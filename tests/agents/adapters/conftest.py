"""Agents of a framework as agents of a real swarm, in this process."""

from __future__ import annotations

import pytest

from swarm.services.swarm import Swarm
from swarm_agents import Agent
from swarm_agents.client import AsyncSwarmClient
from swarm_agents.client.local import AsyncLocalClient, LocalClient
from swarm_agents.client.team import swarm_name


class LocalTeam:
    """Clients over one swarm; they look at Redis at every hook."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self.clients: dict[str, LocalClient] = {}

    async def of(self, agent: str) -> AsyncSwarmClient:
        name = swarm_name(agent)
        if name not in self.clients:
            engine = Agent(name, swarm=self._swarm, refresh_interval=0.0)
            self.clients[name] = LocalClient(engine, closes_swarm=False)
        return AsyncLocalClient(self.clients[name])


@pytest.fixture
def team(swarm: Swarm) -> LocalTeam:
    return LocalTeam(swarm)
