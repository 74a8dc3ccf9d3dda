"""The agents whose hooks are around tasks: made here, where workers and agents may meet."""

from __future__ import annotations

from collections.abc import Callable

from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm_agents import Agent

FACTORY = f"{__name__}:make_agents"
"""How a worker is told of it: it imports nothing of the agents by itself."""


def make_agents(settings: Settings) -> Callable[[str, str], Agent]:
    """A factory of agents by name and role, which share one swarm, and with it one embedder and one replica."""
    client = connect(settings.model_copy(update={"socket_timeout": settings.hook_timeout}))
    swarm = Swarm(settings, client=client)

    def make(name: str, role: str) -> Agent:
        known = swarm.agents.registration(name)
        return Agent(name, role=role if known is None else None, swarm=swarm)

    return make
