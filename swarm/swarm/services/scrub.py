"""The last look of a forgetting: whether a trajectory is left in what an agent holds, or could be rolled back to.

A rewind finds outcomes in the stream, and in what clusters remember. Of one that is in neither any more, the agent's
sample and its older versions may still know.
"""

from __future__ import annotations

from dataclasses import replace

import msgpack

from swarm.services.lineage import REWIND
from swarm.services.rebuild_agent import AgentRebuilder
from swarm.services.turn import turn_at
from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import Client
from swarm.store.versions import VersionStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.memory_records import decode_sample, encode_sample


class Scrubber:
    """Scrubs agents of one swarm."""

    def __init__(self, settings: Settings, client: Client) -> None:
        keys = SwarmKeys(settings.name)
        self._lease_ttl = settings.lease_ttl
        self._agents = AgentStore(client, keys)
        self._versions = VersionStore(client, keys)
        self._rebuilder = AgentRebuilder(settings, client)

    def scrub(self, agent: str, trajectory: str) -> bool:
        """Commit a version whose sample is free of a trajectory, and drop all before it, if one of them is not.

        Raises
        ------
        StaleWriterError
            If others keep the lease for too long, or took over.
        """
        # As a text in msgpack has its length before it, a longer id that begins alike is not taken for this one.
        needles = (msgpack.packb(trajectory), f"{trajectory}/".encode())
        if not self._versions.holds_bytes(agent, needles):
            return False
        with turn_at(agent, self._agents, self._lease_ttl) as lease:
            rework = self._rebuilder.rework(agent, lambda entry: False)
            values = dict(rework.built.values)
            if values["sample"] is not None:
                sample = decode_sample(values["sample"])
                gone = [name for name in sample.ids if name == trajectory or name.startswith(f"{trajectory}/")]
                values["sample"] = encode_sample(sample.without(gone))
            scrubbed = replace(
                rework, built=replace(rework.built, values=values), plan=replace(rework.plan, since=None)
            )
            self._rebuilder.commit(agent, lease, scrubbed, REWIND, f"trajectory {trajectory}")
        return True
