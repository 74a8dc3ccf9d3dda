"""An agent as it is stored, read while the swarm runs."""

from __future__ import annotations

from swarm.errors import StaleWriterError
from swarm.services.swarm import Swarm
from swarm.services.turn import registered
from swarm.store.agents import AgentState
from swarm.store.connection import clock_s
from swarm.store.meta import bound_embedder
from swarm.store.migrations import check_swarm
from swarm.wire.agent_file import PortableAgent

_ATTEMPTS = 10
"""Each one is undone by a commit in the meantime; an agent is not consolidated that often."""


def read_portable(agent: str, swarm: Swarm) -> PortableAgent:
    """All that is committed of an agent, at one generation. Outcomes that still wait are not in it.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    StaleWriterError
        If it is consolidated again and again while we read.
    """
    registration = registered(agent, swarm.agents)
    embedder = bound_embedder(swarm.client, swarm.keys) or swarm.embedder.identity
    for _ in range(_ATTEMPTS):
        at_s = clock_s(swarm.client)
        state = swarm.agents.state(agent)
        clusters, values = swarm.agents.clusters(agent), swarm.agents.values(agent)
        if _is_same(swarm.agents.state(agent), state):
            break
    else:
        raise StaleWriterError(f"agent {agent}: it was consolidated {_ATTEMPTS} times while it was read; try again")
    return PortableAgent(
        agent=agent,
        swarm=swarm.keys.swarm,
        schema=check_swarm(swarm.client, swarm.keys),
        at_s=at_s,
        registration=registration,
        embedder=embedder,
        generation=state.generation,
        age=state.age,
        outcomes=max(0, state.consolidated),
        is_silenced=bool(state.silenced),
        clusters=tuple(sorted(clusters, key=lambda cluster: cluster.id)),
        values={name: record for name, record in values.items() if record is not None},
    )


def _is_same(state: AgentState, before: AgentState) -> bool:
    return (state.generation, state.life) == (before.generation, before.life)
