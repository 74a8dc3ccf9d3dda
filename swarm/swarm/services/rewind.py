"""Rewind: all that came from one trajectory, or from one agent, is taken out of the swarm.

1. mark     the outcomes are forgotten: no later consolidation learns them
2. settle   each agent that learned them goes back to its last version without them and learns the rest again, in
            one commit, which also makes the versions that held them unreachable
3. merge    the bank is published without them
4. retrain  agents whose adapters were trained against the bank that held them train again

Each step is derived from what is stored: a rewind that was killed in between is run again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from swarm.errors import InputError, StaleWriterError
from swarm.services.lineage import RETRAIN, REWIND, holds, lineage
from swarm.services.merge import Merger
from swarm.services.rebuild_agent import AgentRebuilder
from swarm.services.region import Region, without_region
from swarm.services.rewind_report import Dependent, Rewind, RewoundAgent
from swarm.services.rewind_targets import Target, one_trajectory, whole_agent
from swarm.services.route_update import RouteMerger
from swarm.services.turn import WAIT_S, registered, turn_at
from swarm.settings import Settings
from swarm.sona.vectors import check_text
from swarm.store.agents import AgentState, AgentStore
from swarm.store.bank import BankStore
from swarm.store.connection import Client
from swarm.store.forgotten import UP_TO, ForgottenStore, is_floor, settled_by
from swarm.store.reply import stream_position
from swarm.store.retention import RetentionStore
from swarm.store.routes import RouteStore
from swarm.store.versions import LogEntry, VersionStore
from swarm.wire.keys import SwarmKeys

_POLL_S = 0.05


class Rewinder:
    """Rewinds of one swarm."""

    def __init__(self, settings: Settings, client: Client) -> None:
        keys = SwarmKeys(settings.name)
        self._lease_ttl = settings.lease_ttl
        self._agents = AgentStore(client, keys)
        self._bank = BankStore(client, keys)
        self._versions = VersionStore(client, keys)
        self._forgotten = ForgottenStore(client, keys)
        self._rebuilder = AgentRebuilder(settings, client)
        self._merger = Merger(
            self._agents,
            self._bank,
            RouteMerger(self._agents, RouteStore(client, keys, settings.receipt_ttl)),
            settings.lease_ttl,
            RetentionStore(client, keys),
        )

    def rewind(self, trajectory: str | None, agent: str | None, *, retrain: bool = True) -> Rewind:
        """Take out what came from one trajectory (of one agent, if that is given), or all that came from an agent.

        Parameters
        ----------
        retrain : whether other agents' adapters are trained again, if they learned from it through the bank

        Raises
        ------
        InputError
            If neither is given.
        UnknownIdError
            If the agent is not registered, or no outcome of that trajectory is known.
        StaleWriterError
            If others keep a lease for too long, or took over; run it again.
        """
        trajectory = None if trajectory is None else check_text(trajectory, "trajectory")
        agent = None if agent is None else check_text(agent, "agent")
        targets = self.targets(trajectory, agent)
        cause = f"trajectory {trajectory}" if trajectory else f"agent {agent}"
        return self.take_out(targets, cause, trajectory=trajectory or "", retrain=retrain)

    def take_out(
        self,
        targets: Sequence[Target],
        cause: str,
        *,
        trajectory: str = "",
        retrain: bool = True,
        remains: Mapping[str, Region] | None = None,
    ) -> Rewind:
        """Take out these outcomes; `cause` stands in the versions' log.

        Parameters
        ----------
        remains : by agent, a part of what it holds that goes whether or not the stream has its outcomes; nothing before
            can be rolled back to then. Other parameters and errors as in `rewind`
        """
        for target in targets:
            self._forgotten.mark(target.agent, target.fields)
        learned_ms = {target.agent: self._learned_ms(target) for target in targets}
        rewound = [self._settle(target, cause, (remains or {}).get(target.agent)) for target in targets]
        self._merge()
        dependents = self._retrain_all(learned_ms, cause, is_wanted=retrain)
        self._merge()
        for target in targets:
            self._forgotten.finish(target.agent, target.fields)
        return Rewind(
            trajectory=trajectory,
            agents=tuple(rewound),
            dependents=tuple(dependents),
            patterns=self._bank.count(),
            bank_version=self._bank.version(),
        )

    def targets(self, trajectory: str | None, agent: str | None) -> list[Target]:
        """The outcomes that are meant; errors as in `rewind`."""
        if agent:
            registered(agent, self._agents)
        if trajectory:
            names = [agent] if agent else self._agents.names()
            return one_trajectory(trajectory, names, self._agents, self._rebuilder.outcomes)
        if not agent:
            raise InputError("rewind takes a trajectory, an agent or both, got neither")
        return [whole_agent(agent, self._agents, self._rebuilder.outcomes(agent))]

    def _learned_ms(self, target: Target) -> int | None:
        """When the agent first learned what is to go, ms since the epoch; None if it never did."""
        forgotten = self._agents.forgotten(target.agent)
        marks = {field: forgotten.marks[field] for field in target.fields if not forgotten.is_done(field)}
        # What an earlier rewind took out is no part of this one.
        gone = [field for field, state in forgotten.marks.items() if is_floor(field) and state and field not in marks]
        floor = max((stream_position(field.removeprefix(UP_TO)) for field in gone), default=(0, 0))
        for entry in self._versions.log(target.agent):
            if holds(entry, marks) and any(stream_position(last) > floor for _, last in entry.spans):
                return entry.at_ms
        return None

    # Settling

    def _settle(self, target: Target, cause: str, region: Region | None = None) -> RewoundAgent:
        """Commit a version of the agent without what is marked, and make those with it unreachable."""
        name = target.agent
        with turn_at(name, self._agents, self._lease_ttl) as lease:
            state, forgotten = self._agents.state(name), self._agents.forgotten(name)
            marks = {field: "" for field in target.fields if not forgotten.marks[field]}
            learned = tuple(field for field in marks if self._is_learned(name, field, state))
            if not learned and not (region is not None and region.covers_any(self._agents.clusters(name))):
                settled = max((settled_by(forgotten.marks[field]) for field in target.fields), default=0)
                return RewoundAgent(agent=name, outcomes=len(marks), generation=settled)
            rework, remains = self._rebuilder.rework(name, lambda entry: holds(entry, marks)), 0
            if region is not None:
                rework, remains = without_region(rework, region)
            last = self._last_of(target, state)
            waiting = self._waiting(name, state.cursor, last)
            gone = self._gone(target, learned, state, waiting)
            number = self._rebuilder.commit(
                name,
                lease,
                rework,
                REWIND,
                cause,
                cursor=last,
                processed=waiting,
                rewound=min(gone + remains, max(gone, state.consolidated)),
                settled=learned,
                keep=0 if target.is_whole else None,
            )
        again = rework.plan.again
        taken = sum(any(holds(entry, {field: ""}) for entry in again) for field in learned)
        return RewoundAgent(
            agent=name,
            outcomes=gone if target.is_whole else len(marks),
            generation=number,
            base=rework.base.version,
            replayed=rework.built.replayed,
            lost=remains if target.is_whole else max(0, rework.missing - taken) + remains,
            unrepeated=() if target.is_whole else rework.unrepeated,
        )

    def _is_learned(self, agent: str, field: str, state: AgentState) -> bool:
        """Whether a generation may have learned what a field stands for; else consolidation passes it over."""
        if is_floor(field):
            return True
        is_behind = stream_position(field) <= stream_position(state.cursor)
        return is_behind and self._rebuilder.outcomes(agent).dead_reason(field) is None

    def _last_of(self, target: Target, state: AgentState) -> str:
        """The cursor after a rewind: of a whole agent it takes what waits, too."""
        floors = [field.removeprefix(UP_TO) for field in target.fields if is_floor(field)]
        return max([state.cursor, *floors], key=stream_position)

    def _waiting(self, agent: str, cursor: str, last: str) -> int:
        return sum(1 for _ in self._rebuilder.outcomes(agent).pages(cursor, last))

    def _gone(self, target: Target, learned: Sequence[str], state: AgentState, waiting: int) -> int:
        """How many outcomes count as taken back from now on."""
        if not any(map(is_floor, learned)):
            return len(learned)
        if target.is_whole:
            return state.consolidated + waiting
        # Of what was consolidated only what the stream still holds can stay.
        outcomes, forgotten = self._rebuilder.outcomes(target.agent), self._agents.forgotten(target.agent)
        kept = [place for place, _ in outcomes.pages("0-0", state.cursor) if not forgotten.covers(place)]
        return max(0, state.consolidated - len(kept))

    # The bank and the others

    def _merge(self) -> None:
        """Publish every generation that there is now."""
        wanted = {name: state.generation for name, state in self._agents.states(self._agents.names()).items()}
        deadline = time.monotonic() + WAIT_S
        while self._is_behind(wanted):
            try:
                status = self._merger.run().status
            except StaleWriterError:
                status = "stale"
            if status != "published":
                if time.monotonic() >= deadline:
                    raise StaleWriterError(f"bank: others keep its lease for more than {WAIT_S:g} s; rewind again")
                time.sleep(_POLL_S)

    def _is_behind(self, wanted: Mapping[str, int]) -> bool:
        merged = self._bank.merged()
        return any(
            generation > (merged[name].generation if name in merged else 0) for name, generation in wanted.items()
        )

    def _retrain_all(self, learned_ms: Mapping[str, int | None], cause: str, *, is_wanted: bool) -> list[Dependent]:
        """Train the adapters again that learned from the bank while it held what is gone."""
        found = []
        for name in self._agents.names():
            since_ms = {agent: ms for agent, ms in learned_ms.items() if agent != name and ms is not None}
            if not since_ms or not self._depends(name, since_ms, cause):
                continue
            if is_wanted:
                found.append(self._retrain(name, since_ms, cause))
            else:
                found.append(Dependent(agent=name, generation=0, why="not asked for"))
        return found

    def _depends(self, agent: str, since_ms: Mapping[str, int], cause: str) -> bool:
        entries = lineage(self._versions.log(agent), self._agents.state(agent).generation)
        start_ms = min(since_ms.values())
        is_done = any(e.kind == RETRAIN and e.cause == cause and e.at_ms >= start_ms for e in entries)
        return not is_done and any(_learned_from(entry, since_ms) for entry in entries)

    def _retrain(self, agent: str, since_ms: Mapping[str, int], cause: str) -> Dependent:
        with turn_at(agent, self._agents, self._lease_ttl) as lease:
            rework = self._rebuilder.rework(agent, lambda entry: _learned_from(entry, since_ms))
            innocent = [
                entry.generation
                for entry in rework.plan.again
                if entry.generation in rework.unrepeated and not _learned_from(entry, since_ms)
            ]
            if rework.missing:
                why = f"{rework.missing} of its outcomes are not in its stream any more"
            elif innocent:
                why = f"version {innocent[0]} came from no outcome and would be lost"
            else:
                return Dependent(agent=agent, generation=self._rebuilder.commit(agent, lease, rework, RETRAIN, cause))
        return Dependent(agent=agent, generation=0, why=why)


def _learned_from(entry: LogEntry, since_ms: Mapping[str, int]) -> bool:
    """Whether a generation got its weights from what agents put into the bank, or from their weights, since then.

    A warm start names those whose weights went in as its `sources`; other weights are trained against the bank.
    """
    sources = entry.figures.get("sources")
    if isinstance(sources, dict):
        return any(agent in sources and entry.at_ms >= at_ms for agent, at_ms in since_ms.items())
    return bool(entry.figures.get("promoted")) and entry.at_ms >= min(since_ms.values())
