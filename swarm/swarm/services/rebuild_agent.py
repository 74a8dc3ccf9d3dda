"""One agent carries a plan out: it goes back, learns again, and commits that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swarm.services.agent_ageing import AgentRules
from swarm.services.lineage import RETRAIN, REWIND, Plan, plan_without
from swarm.services.rebuild import EMPTY, Rebuilt, rebuild
from swarm.services.rollback import ROLLBACK, values_of
from swarm.services.turn import registered
from swarm.settings import Settings
from swarm.store.agents import AgentState, AgentStore
from swarm.store.commit import UNREACHABLE, Commit, Committer
from swarm.store.connection import Client
from swarm.store.lease import Lease
from swarm.store.outcomes import OutcomeStore
from swarm.store.retention import RetentionStore
from swarm.store.versions import Content, LogEntry, VersionStore, encode_spans
from swarm.wire.codec import encode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_cluster

_REPEATABLE = ("", REWIND, RETRAIN, ROLLBACK)
_MAX_CAUSE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rework:
    """A plan, and what learning again came to; `missing` of the outcomes were not learned again.

    `unrepeated` are the versions whose part cannot be made again, because it came from no outcome.
    """

    state: AgentState
    plan: Plan
    base: Content
    built: Rebuilt
    missing: int
    unrepeated: tuple[int, ...]


class AgentRebuilder:
    """Rebuilds agents of one swarm; the caller has their leases."""

    def __init__(self, settings: Settings, client: Client) -> None:
        keys = SwarmKeys(settings.name)
        self._settings = settings
        self._client = client
        self._keys = keys
        self._agents = AgentStore(client, keys)
        self._versions = VersionStore(client, keys)
        self._retention = RetentionStore(client, keys)
        self._committer = Committer(client, keys)

    def outcomes(self, agent: str) -> OutcomeStore:
        """The stream of an agent."""
        return OutcomeStore.of(self._settings, self._client, agent)

    def rework(self, agent: str, is_tainted: Callable[[LogEntry], bool]) -> Rework:
        """What the agent would hold had its tainted generations learned only what is neither forgotten nor trimmed."""
        state = self._agents.state(agent)
        plan = plan_without(self._versions.log(agent), self._versions.reachable(agent), state.generation, is_tainted)
        base = EMPTY if plan.base == 0 else self._versions.at(agent, plan.base)
        others = {name: self._agents.clusters(name) for name in self._agents.names() if name != agent}
        config = registered(agent, self._agents).config
        built = rebuild(
            agent,
            base,
            plan.spans,
            config,
            self.outcomes(agent),
            self._agents.forgotten(agent),
            others,
            {name: state.verdict for name, state in self._agents.states(others).items()},
            AgentRules(common=self._retention.rules(), policies=self._agents.directory().policies),
        )
        learned = plan.outcomes
        if not plan.is_whole:
            learned = max(learned, round(sum(cluster.n for cluster in self._agents.clusters(agent))))
        return Rework(
            state=state,
            plan=plan,
            base=base,
            built=built,
            missing=max(0, learned - built.replayed),
            unrepeated=tuple(entry.generation for entry in plan.again if entry.kind not in _REPEATABLE),
        )

    def commit(
        self,
        agent: str,
        lease: Lease,
        rework: Rework,
        kind: str,
        cause: str,
        *,
        cursor: str | None = None,
        processed: int = 0,
        rewound: int = 0,
        settled: tuple[str, ...] = (),
        keep: int | None = None,
    ) -> int:
        """Write the generation that `rework` came to; its number. The rest is as in `Commit`.

        Raises
        ------
        StaleWriterError
            If another worker took over; nothing was written.
        """
        state, built = rework.state, rework.built
        held = self._versions.at(agent, state.generation).clusters
        wanted = {cluster.id: encode_cluster(cluster) for cluster in built.clusters}
        values = values_of(built.values)
        return self._committer.write(
            agent,
            lease,
            state.generation,
            Commit(
                cursor=cursor or state.cursor,
                processed=processed,
                removed=sorted(held.keys() - wanted.keys()),
                put={name: record for name, record in wanted.items() if held.get(name) != record},
                values=values,
                figures=encode("figures", built.figures),
                keep=registered(agent, self._agents).config.trajectory_capacity if keep is None else keep,
                since=UNREACHABLE if rework.plan.since is None else rework.plan.since,
                newly_skipped=state.generation + 1 - built.age - state.skipped,
                is_reset=True,
                rewound=rewound,
                settled=settled,
                origin={
                    "kind": kind,
                    "parent": str(rework.base.version),
                    "spans": encode_spans(built.spans),
                    "cause": cause[:_MAX_CAUSE],
                },
            ),
        )
