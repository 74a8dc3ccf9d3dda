"""Forgetting: a rewind, after which nothing of the content is stored any more, and nothing brings it back.

1. tombstone  from now on no agent's outcome of it is taken
2. rewind     its effects are taken out of agents and bank, and what is left is learned again
3. erase      its outcomes go from the streams; open trajectories, decisions and verdicts go, too
4. done       the tombstone says so

A forgetting that was killed in between is run again: the tombstone knows what is left to erase.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from swarm.errors import StaleWriterError, UnknownIdError
from swarm.services.agent_ageing import AgentRules
from swarm.services.forget_pattern import Share, regions_of, share_of
from swarm.services.forget_report import Forgetting
from swarm.services.region import Region
from swarm.services.retention import pattern_of
from swarm.services.rewind import Rewinder
from swarm.services.rewind_report import Rewind
from swarm.services.rewind_targets import Target
from swarm.services.scrub import Scrubber
from swarm.services.traces import TraceStore
from swarm.services.turn import WAIT_S, registered, turn_at
from swarm.settings import Settings
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import check_text
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore
from swarm.store.connection import Client
from swarm.store.documents import DocumentStore, collections_of
from swarm.store.forgotten import is_floor
from swarm.store.outcomes import OutcomeStore
from swarm.store.retention import RetentionStore
from swarm.store.tombstones import TombstoneStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import decode_trajectory
from swarm.wire.retention_records import Tombstone

_NOTHING = Rewind(trajectory="", agents=(), dependents=(), patterns=0, bank_version="")


class Forgetter:
    """Forgets trajectories, patterns and agents of one swarm."""

    def __init__(self, settings: Settings, client: Client, by: str = "") -> None:
        keys = SwarmKeys(settings.name)
        self._settings = settings
        self._client = client
        self._keys = keys
        self._by = check_text(by, "by")
        self._agents = AgentStore(client, keys)
        self._bank = BankStore(client, keys)
        self._retention = RetentionStore(client, keys)
        self._tombstones = TombstoneStore(client, keys)
        self._traces = TraceStore(client, keys)
        self._rewinder = Rewinder(settings, client)
        self._scrubber = Scrubber(settings, client)

    def trajectory(self, trajectory: str, agent: str | None = None) -> Forgetting:
        """Forget the outcomes of one trajectory, of one agent or of all; also of one that has yet to be reported.

        Raises
        ------
        UnknownIdError
            If the agent is not registered.
        StaleWriterError
            If others keep a lease for too long, or took over; run it again.
        """
        check_text(trajectory, "trajectory")
        if agent is not None:
            registered(agent, self._agents)
        names = [agent] if agent else self._agents.names()
        stone = self._begin("trajectory", trajectory, agent or "")
        self._tombstones.refuse_trajectories(names, [trajectory], stone.at_s)
        try:
            targets = self._rewinder.targets(trajectory, agent)
        except UnknownIdError:
            targets = []
        places = {target.agent: [f for f in target.fields if not is_floor(f)] for target in targets}
        outcomes = [outcome for name, ids in places.items() for outcome in self._read(name, ids)]
        done = _NOTHING
        if targets:
            done = self._rewinder.take_out(targets, f"trajectory {trajectory}", trajectory=trajectory)
        for name in names:
            self._scrubber.scrub(name, trajectory)
        return self._finish(stone, done, self._erase(places), self._traces.erase_of([trajectory], outcomes))

    def pattern(self, pattern_id: str) -> Forgetting:
        """Forget a pattern of the bank: the outcomes that it comes from, and what agents hold of it.

        Its agents cannot be rolled back to a version before this. What they did with the same action elsewhere stays.
        Errors as in `trajectory`; `UnknownIdError` also if the bank has no such pattern.
        """
        pattern = self._bank.pattern(check_text(pattern_id, "pattern_id"))
        stone = self._tombstones.find(Tombstone(kind="pattern", id=pattern_id, agent="", at_s=0.0, by="").field)
        if pattern is None:
            if stone is None:
                raise UnknownIdError(f"pattern {pattern_id!r:.80} is not in the bank: swarm query shows ids")
            # It was taken out already; what is left is to erase.
            return self._finish_pattern(stone, _NOTHING)
        names = self._agents.names()
        rules = AgentRules(common=self._retention.rules(), policies=self._agents.directory().policies)
        ages = rules.on_grid(self._retention.now_s())
        regions = regions_of(pattern, {name: self._agents.clusters(name) for name in names}, ages)
        shares = [self._share(name, region) for name, region in regions.items()]
        work = {share.agent: tuple(share.outcomes) for share in shares}
        stone = self._begin("pattern", pattern_id, "", work)
        for share in shares:
            self._tombstones.refuse_trajectories([share.agent], _ids(share), stone.at_s)
        action = next((region.action for region in regions.values()), "")
        if action:
            self._tombstones.refuse_action(names, action, stone.at_s)
        done = self._rewinder.take_out(
            [Target(agent=share.agent, fields=tuple(share.outcomes)) for share in shares],
            f"pattern {pattern_id}",
            remains=regions,
        )
        return self._finish_pattern(stone, done)

    def _finish_pattern(self, stone: Tombstone, done: Rewind) -> Forgetting:
        work = stone.work or {}
        outcomes = [outcome for name, places in work.items() for outcome in self._read(name, places)]
        traces = self._traces.erase_of([outcome.id for outcome in outcomes], outcomes)
        return self._finish(stone, done, self._erase(work), traces)

    def agent(self, agent: str) -> Forgetting:
        """Forget an agent with all that it has reported and learned; its name may come back, without its past.

        Errors as in `trajectory`.
        """
        stone = self._tombstones.find(Tombstone(kind="agent", id=agent, agent="", at_s=0.0, by="").field)
        if self._agents.registration(agent) is None and stone is not None and stone.is_done:
            raise UnknownIdError(f"agent {agent!r:.80} was forgotten already")
        registered(agent, self._agents)
        stone = self._begin("agent", agent, "")
        done, erased = self._erase_agent(agent, stone.at_s)
        self._tombstones.erase_receipts(agent)
        traces = self._traces.erase_of_agent(agent) + self._erase_documents(agent)
        self._drop_empty_pins()
        self._tombstones.bury(replace(stone, is_done=True))
        return self._report(stone, done, erased, traces)

    def _erase_documents(self, agent: str) -> int:
        stores = (
            DocumentStore(self._client, self._keys, name, self._settings.max_documents)
            for name in collections_of(self._client, self._keys)
        )
        return sum(store.erase_of_agent(agent) for store in stores)

    def _erase_agent(self, agent: str, at_s: float) -> tuple[Rewind, int]:
        """Rewind, then erase what is left, unless the agent has learned something new in between: then once more."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            done = self._rewinder.rewind(None, agent)
            with turn_at(agent, self._agents, self._settings.lease_ttl) as lease:
                erased = self._client.xlen(self._keys.agent(agent).stream)
                if self._tombstones.erase_agent(agent, lease, done.agents[0].generation, at_s):
                    return done, erased
        raise StaleWriterError(f"agent {agent}: it has learned anew for {WAIT_S:g} s; forget it again")

    def _begin(self, kind: str, name: str, agent: str, work: Mapping[str, Sequence[str]] | None = None) -> Tombstone:
        """Write the tombstone; of one that was begun before, what is left to erase is kept."""
        stone = Tombstone(kind=kind, id=name, agent=agent, at_s=self._tombstones.now_s(), by=self._by)
        earlier = self._tombstones.find(stone.field)
        places = {name: tuple(ids) for name, ids in (work or {}).items()}
        for name, ids in ((earlier and earlier.work) or {}).items():
            places[name] = tuple(dict.fromkeys((*places.get(name, ()), *ids)))
        stone = replace(stone, work=places)
        self._tombstones.put(stone)
        return stone

    def _drop_empty_pins(self) -> None:
        """Remove pins of which the pattern is gone: their direction is that of what was forgotten."""
        pins = self._retention.pins()
        patterns = self._bank.patterns() if pins else []
        for name, record in pins.items():
            if pattern_of(record.pin, patterns) is None:
                self._retention.remove_pin(name)

    def _finish(self, stone: Tombstone, done: Rewind, erased: int, traces: int) -> Forgetting:
        self._drop_empty_pins()
        self._tombstones.bury(replace(stone, is_done=True, work=None))
        return self._report(stone, done, erased, traces)

    def _report(self, stone: Tombstone, done: Rewind, erased: int, traces: int) -> Forgetting:
        return Forgetting(
            kind=stone.kind,
            id=stone.id,
            at_s=stone.at_s,
            agents=done.agents,
            dependents=done.dependents,
            erased=erased,
            traces=traces,
            patterns=self._bank.count(),
            bank_version=self._bank.version(),
        )

    def _share(self, agent: str, region: Region) -> Share:
        threshold = registered(agent, self._agents).config.quality_threshold
        return share_of(agent, region, threshold, self._agents.state(agent).cursor, self._outcomes(agent))

    def _erase(self, places: Mapping[str, Collection[str]]) -> int:
        erased = 0
        for name, ids in places.items():
            if ids:
                with turn_at(name, self._agents, self._settings.lease_ttl) as lease:
                    erased += self._tombstones.erase_outcomes(name, lease, list(ids))
        return erased

    def _read(self, agent: str, places: Sequence[str]) -> list[Trajectory]:
        records = [record for place in places if (record := self._outcomes(agent).find(place)) is not None]
        return [decode_trajectory(record) for record in records]

    def _outcomes(self, agent: str) -> OutcomeStore:
        return OutcomeStore.of(self._settings, self._client, agent)


def _ids(share: Share) -> list[str]:
    return [outcome.id for outcome in share.outcomes.values()]
