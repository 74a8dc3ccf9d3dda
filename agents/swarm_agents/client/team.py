"""Clients for all agents of one program, each made when it is first needed."""

from __future__ import annotations

import re
from typing import Self

from anyio import Lock, to_thread

from swarm_agents.client.connect import Opener
from swarm_agents.client.interface import AsyncSwarmClient

_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_NAME = 63


class TeamClients:
    """Async clients by agent; `target` and `token` as for `connect`. Over Redis they share one replica."""

    def __init__(self, target: str | None = None, *, token: str | None = None) -> None:
        self._opener = Opener(target, token)
        self._clients: dict[str, AsyncSwarmClient] = {}
        self._lock = Lock()

    async def of(self, agent: str) -> AsyncSwarmClient:
        """The client of the agent that a framework calls `agent`; the swarm knows it by `swarm_name(agent)`."""
        name = swarm_name(agent)
        async with self._lock:
            if name not in self._clients:
                self._clients[name] = await to_thread.run_sync(self._opener.open, name)
            return self._clients[name]

    async def close(self) -> None:
        """Close all of them."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
        await to_thread.run_sync(self._opener.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def swarm_name(name: str) -> str:
    """A name that an agent of a swarm may have, for one of a framework.

    >>> swarm_name("Triage agent (v2)"), swarm_name("  ")
    ('Triage-agent-v2', 'agent')
    """
    plain = _FOREIGN.sub("-", name).strip("-._")[:_MAX_NAME].rstrip("-._")
    return plain or "agent"
