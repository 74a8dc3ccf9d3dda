"""Tombstones: what was forgotten, so that it does not come back; and the erasure of what was stored of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from swarm.errors import StaleWriterError
from swarm.store.connection import Client, clock_s, redis_errors
from swarm.store.lease import Lease
from swarm.store.reply import to_bytes, to_hash
from swarm.store.retention_scripts import BURY, ERASE_AGENT, ERASE_OUTCOMES
from swarm.wire.event_records import encode_event
from swarm.wire.event_types import MAX_ID, MAX_LABEL, AgentForgotten, Body, PatternForgotten, TrajectoryForgotten
from swarm.wire.judgement_records import names_of
from swarm.wire.keys import SwarmKeys
from swarm.wire.retention_records import Tombstone, decode_tombstone, encode_tombstone

_BATCH = 500


class TombstoneStore:
    """The tombstones of one swarm: those of the swarm say what, when and by whom; those of an agent stop outcomes."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._bury = client.register_script(BURY)
        self._erase_outcomes = client.register_script(ERASE_OUTCOMES)
        self._erase_agent = client.register_script(ERASE_AGENT)

    def now_s(self) -> float:
        """The time, by Redis's clock."""
        return clock_s(self._client)

    def all(self) -> list[Tombstone]:
        """All tombstones, oldest first."""
        with redis_errors("read the tombstones"):
            found = to_hash(self._client.hgetall(self._keys.tombstones))
        return sorted(map(decode_tombstone, found.values()), key=lambda stone: (stone.at_s, stone.field))

    def find(self, field: str) -> Tombstone | None:
        """One tombstone, or None."""
        with redis_errors("read a tombstone"):
            found = to_bytes(self._client.hget(self._keys.tombstones, field))
        return None if found is None else decode_tombstone(found)

    def put(self, tombstone: Tombstone) -> None:
        """Write a tombstone, or replace it, while there is something left to erase."""
        with redis_errors("write a tombstone"):
            self._client.hset(self._keys.tombstones, tombstone.field, encode_tombstone(tombstone))

    def bury(self, tombstone: Tombstone) -> None:
        """Write that something is forgotten, and tell; the registration of an agent goes with it."""
        keys, event = self._keys, _forgotten(tombstone)
        agent = tombstone.id if tombstone.kind == "agent" else ""
        with redis_errors(f"end the forgetting of {tombstone.kind} {tombstone.id}"):
            self._bury(
                keys=[keys.tombstones, keys.agents, keys.events],
                args=[tombstone.field, encode_tombstone(tombstone), agent, event.type, encode_event(event)],
            )

    # Of agents

    def refuse_trajectories(self, agents: Iterable[str], trajectories: Iterable[str], at_s: float) -> None:
        """From now on take no outcome of these trajectories from these agents, and drop those that are open."""
        ids = list(trajectories)
        for name in agents:
            keys = self._keys.agent(name)
            for first in range(0, len(ids), _BATCH):
                batch = ids[first : first + _BATCH]
                with redis_errors(f"write tombstones of {name}"):
                    pipeline = self._client.pipeline(transaction=True)
                    pipeline.hset(keys.tombs, mapping={f"t:{trajectory}": repr(at_s) for trajectory in batch})
                    pipeline.hdel(keys.open, *batch)
                    for question, answer in filter(None, map(names_of, batch)):
                        # What was asked of a codebase, and what was said to the answer.
                        pipeline.hdel(keys.code_asked, question)
                        pipeline.hdel(keys.code_judged, f"{question}-{answer}")
                    pipeline.execute()

    def refuse_action(self, agents: Iterable[str], action: str, at_s: float) -> None:
        """From now on take no outcome from these agents that tried an action before `at_s`."""
        with redis_errors("write tombstones of an action"):
            pipeline = self._client.pipeline(transaction=False)
            for name in agents:
                pipeline.hset(self._keys.agent(name).tombs, f"a:{action}", repr(at_s))
            pipeline.execute()

    def erase_outcomes(self, agent: str, lease: Lease, places: Sequence[str]) -> int:
        """Erase outcomes that were taken back from the stream; how many were there.

        Raises
        ------
        StaleWriterError
            If the lease was lost; some may be left.
        """
        keys, erased = self._keys.agent(agent), 0
        for first in range(0, len(places), _BATCH):
            with redis_errors(f"erase outcomes of {agent}"):
                done = int(
                    self._erase_outcomes(
                        keys=[keys.lease, keys.state, keys.stream, keys.forgotten],
                        args=[lease.token, *places[first : first + _BATCH]],
                    )
                )
            if done < 0:
                raise StaleWriterError(f"agent {agent}: the lease with token {lease.token} was lost")
            erased += done
        return erased

    def erase_agent(self, agent: str, lease: Lease, generation: int, at_s: float) -> bool:
        """Erase all that an agent has, if it has learned nothing since `generation`; False if it has.

        Raises
        ------
        StaleWriterError
            If the lease was lost; nothing was erased.
        """
        keys = self._keys.agent(agent)
        gone = [
            *(keys.clusters, keys.weights, keys.learner, keys.sample, keys.routes),
            *(keys.undo, keys.forgotten, keys.open, keys.dead, keys.tombs, keys.trainings),
            *(keys.code, keys.code_files, keys.code_state, keys.code_asked, keys.code_judged),
        ]
        with redis_errors(f"erase agent {agent}"):
            done = int(
                self._erase_agent(
                    keys=[keys.lease, keys.state, keys.stream, keys.log, *gone],
                    args=[lease.token, generation, repr(at_s)],
                )
            )
        if done == -1:
            raise StaleWriterError(f"agent {agent}: the lease with token {lease.token} was lost")
        return done >= 0

    def erase_receipts(self, agent: str) -> None:
        """Erase an agent's receipts: the idempotency keys in their names are of its making."""
        pattern = self._keys.agent(agent).receipt("*")
        with redis_errors(f"erase the receipts of {agent}"):
            batch: list[bytes] = []
            for key in self._client.scan_iter(match=pattern, count=_BATCH):
                batch.append(key)
                if len(batch) >= _BATCH:
                    self._client.unlink(*batch)
                    batch = []
            if batch:
                self._client.unlink(*batch)


def _forgotten(tombstone: Tombstone) -> Body:
    name, by = tombstone.id[:MAX_ID], tombstone.by[:MAX_LABEL]
    if tombstone.kind == "agent":
        return AgentForgotten(agent=name, by=by)
    if tombstone.kind == "pattern":
        return PatternForgotten(pattern=name, by=by)
    return TrajectoryForgotten(trajectory=name, agent=tombstone.agent, by=by)
