"""Who calls a tool, and as which agent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from swarm.errors import UnknownIdError, shown
from swarm.services.guard import GuardedSwarm
from swarm.services.guard_hooks import GuardedHooks
from swarm_gateway.gateway import Gateway

NOBODY = "mcp"
"""The agent of those who are given no name, and say none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The swarm as whoever calls may use it.

    `name` is the agent that it is when it says nothing else: that of its token, or of the server's configuration.
    """

    gateway: Gateway
    swarm: GuardedSwarm
    name: str = ""

    def agent(self, said: str) -> str:
        """The agent that is meant; empty if that is open."""
        own = "" if self.swarm.access is None else self.swarm.access.agent
        return said or own or self.name

    @contextmanager
    def hooks(self, agent: str, role: str | None = None) -> Iterator[GuardedHooks]:
        """The hooks of an agent."""
        with self.gateway.hooks(self.swarm, agent, role) as hooks:
            yield hooks

    @contextmanager
    def hooks_of(self, trajectory_id: str) -> Iterator[GuardedHooks]:
        """The hooks of the agent whose task it is: its name is part of every handle that is given out here.

        Raises
        ------
        UnknownIdError
            If it is no such handle.
        """
        agent, colon, _ = trajectory_id.partition(":")
        if not (agent and colon):
            raise UnknownIdError(f"trajectory_id {shown(trajectory_id)} is none that trajectory_begin answers")
        with self.hooks(agent) as hooks:
            yield hooks
