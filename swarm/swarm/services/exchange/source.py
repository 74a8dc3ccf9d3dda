"""An agent as it is stored, read while the swarm runs."""

from __future__ import annotations

from swarm.services.swarm import Swarm
from swarm.services.turn import at_one_generation, registered
from swarm.store.connection import clock_s
from swarm.store.meta import bound_embedder
from swarm.store.migrations import check_swarm
from swarm.wire.agent_file import PortableAgent


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
    schema = check_swarm(swarm.client, swarm.keys)
    # Before all that is read: what is forgotten later must not come back by the file.
    at_s = clock_s(swarm.client)
    state, clusters, values = at_one_generation(
        agent, swarm.agents, lambda state: (state, swarm.agents.clusters(agent), swarm.agents.values(agent))
    )
    return PortableAgent(
        agent=agent,
        swarm=swarm.keys.swarm,
        schema=schema,
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
