"""The merge: clusters of all agents -> the patterns of the shared bank.

The bank is a function of the set of current generations: a pattern is the sum of the clusters of one action
and sign that lie near one another, with each agent's part tagged. So a generation counts exactly once, in any
order, and a new generation of an agent replaces its part instead of adding to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from swarm.services.agent_ageing import AgentRules, Ages
from swarm.services.labels import label_patterns
from swarm.services.relay import learned_events, stored_events
from swarm.services.route_update import RouteMerger
from swarm.sona.bank import merge_near
from swarm.sona.clusters import Cluster, family_of, is_library
from swarm.sona.standing import Verdict
from swarm.store.agents import AgentState, AgentStore
from swarm.store.bank import BankStore, MergedAgent
from swarm.store.lease import Lease
from swarm.store.retention import RetentionStore
from swarm.telemetry.spans import TRACEPARENT, MemoryOperation, SpanKind, memory_span, tracing
from swarm.wire.event_types import Body, MergeComplete

MERGE_SIMILARITY = 0.9
"""Cosine from which clusters of several agents become one pattern."""
MAX_EXPERTS = 16
"""The adapters of so many agents bend everybody's queries, those with most outcomes: a replica holds them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What came of one attempt. `version` is "" when nothing was published, and `status` says why."""

    status: str
    version: str = ""
    agents: int = 0
    put: int = 0
    removed: int = 0
    expired: int = 0
    """Patterns among those removed whose newest evidence was too old."""


class Merger:
    """Merges; keeps the clusters of unchanged generations in memory from one merge to the next."""

    def __init__(
        self,
        agents: AgentStore,
        bank: BankStore,
        routes: RouteMerger,
        lease_ttl: float,
        retention: RetentionStore | None = None,
    ) -> None:
        self._agents = agents
        self._bank = bank
        self._routes = routes
        self._lease_ttl = lease_ttl
        self._retention = retention
        self._clusters: dict[str, tuple[int, list[Cluster]]] = {}
        self._seen: dict[str, int] = {}
        """Generations that the bank contains, as last seen."""
        self._aged: dict[str, tuple[tuple[int, str], Sequence[Cluster]]] = {}
        """By agent the clusters of a generation at a time: taking them there costs as much as the rest of a merge."""
        self._published: tuple[str, dict[str, Cluster]] | None = None

    def is_due(self, states: Mapping[str, AgentState] | None = None) -> bool:
        """Whether the bank has aged, or an agent has a generation that it does not contain; by default any agent."""
        if self._ages().key != self._bank.aged():
            return True
        if states is None:
            states = self._agents.states(self._agents.names())
        suspects = [name for name, state in states.items() if 0 < state.generation != self._seen.get(name)]
        if not suspects:
            return False
        merged = self._bank.merged(suspects)
        self._seen.update((name, entry.generation) for name, entry in merged.items())
        return bool(_changed({name: states[name] for name in suspects}, merged))

    def holders_of_expired(self) -> list[str]:
        """Agents that hold clusters, as the last merge read them, which the bank has dropped because of their age."""
        ages = self._ages()
        return [
            name
            for name, (_, clusters) in self._clusters.items()
            if (ageing := ages.of(name)) is not None
            and ageing.expired_s is not None
            and any(map(ageing.is_expired, clusters))
        ]

    def run(self) -> Merge:
        """Take the merge lease and publish what changed, in one transaction.

        Raises
        ------
        StaleWriterError
            If another worker took over; nothing was written.
        """
        lease = self._bank.lease(self._lease_ttl)
        if lease is None:
            return Merge(status="busy")
        with lease.held():
            return self._run(lease)

    def _run(self, lease: Lease) -> Merge:
        merged = self._bank.merged()
        # Read before what they stand for: what is committed meanwhile is merged again.
        states = self._agents.states(self._agents.names())
        changed = _changed(states, merged)
        ages = self._ages()
        if not changed and ages.key == self._bank.aged():
            return Merge(status="idle")
        swarm, came_from = self._agents.swarm, self._came_from(changed)
        with memory_span(MemoryOperation.UPSERT, swarm, kind=SpanKind.CONSUMER, after=came_from) as span:
            done = self._publish(lease, states, merged, changed, ages)
            span.set("swarm.stage", "merge")
            span.set("swarm.version", done.version)
            span.set("gen_ai.memory.record.count", done.put)
        return done

    def _came_from(self, changed: Mapping[str, MergedAgent]) -> Collection[str]:
        """Where the consolidations were recorded that this merges; asked of Redis only if anything is."""
        return self._agents.log_fields(list(changed), TRACEPARENT).values() if changed and tracing() else ()

    def _publish(
        self,
        lease: Lease,
        states: Mapping[str, AgentState],
        merged: Mapping[str, MergedAgent],
        changed: Mapping[str, MergedAgent],
        ages: Ages,
    ) -> Merge:
        self._load(states)
        before = self._before()
        parts = self._parts(states, ages)
        after = bank_of(parts, {name: state.verdict for name, state in states.items()})
        labelled = label_patterns(after)
        put = [pattern for pattern in labelled if not _same(pattern, before.get(pattern.id))]
        new = [pattern for pattern in put if pattern.id not in before]
        removed = sorted(before.keys() - {pattern.id for pattern in after})
        expired = sum(ages.is_expired(before[pattern_id]) for pattern_id in removed)
        # Before the bank, which says what is merged: killed in between, both are published again.
        self._routes.publish(lease, states)
        events = self._events(
            merged,
            changed,
            MergeComplete(
                version="",
                agents=len(changed),
                stored=len(new),
                changed=len(put) - len(new),
                removed=len(removed),
                expired=expired,
            ),
            new,
        )
        version = self._bank.publish(
            lease,
            put,
            removed,
            changed,
            experts=experts_of(states),
            is_full=_is_reset(states, merged),
            aged=ages.key,
            expired=expired,
            events=events,
        )
        self._published = version, {pattern.id: pattern for pattern in labelled}
        return Merge(
            status="published",
            version=version,
            agents=len(changed),
            put=len(put),
            removed=len(removed),
            expired=expired,
        )

    def _events(
        self,
        merged: Mapping[str, MergedAgent],
        changed: Mapping[str, MergedAgent],
        merge: MergeComplete,
        new: Sequence[Cluster],
    ) -> list[Body]:
        """What this merge tells: of agents, of patterns, of itself."""
        learned, untold = learned_events(self._agents, merged, changed)
        stored, others = stored_events(new)
        return [*learned, *stored, replace(merge, untold=untold + others)]

    def _ages(self) -> Ages:
        if self._retention is None:
            return Ages()
        rules = AgentRules(common=self._retention.rules(), policies=self._agents.directory().policies)
        return rules.on_grid(self._retention.now_s())

    def _parts(self, states: Mapping[str, AgentState], ages: Ages) -> Mapping[str, Sequence[Cluster]]:
        held = {name: self._clusters[name] for name in states}
        known, self._aged = self._aged, {}
        parts: dict[str, Sequence[Cluster]] = {}
        for name, (generation, clusters) in held.items():
            ageing = ages.of(name)
            if ageing is None:
                parts[name] = clusters
                continue
            key = generation, ageing.key
            if name not in known or known[name][0] != key:
                known[name] = key, ageing.aged(clusters)
            self._aged[name] = known[name]
            parts[name] = known[name][1]
        return parts

    def _before(self) -> dict[str, Cluster]:
        if self._published is not None and self._published[0] == self._bank.version():
            return self._published[1]
        return {pattern.id: pattern for pattern in self._bank.patterns()}

    def _load(self, states: Mapping[str, AgentState]) -> None:
        # Whoever was forgotten must not come back from this process's memory.
        self._clusters = {name: known for name, known in self._clusters.items() if name in states}
        stale = [name for name, state in states.items() if self._clusters.get(name, (None,))[0] != state.generation]
        loaded = self._agents.clusters_of(stale)
        self._clusters.update((name, (states[name].generation, clusters)) for name, clusters in loaded.items())


def _changed(states: Mapping[str, AgentState], merged: Mapping[str, MergedAgent]) -> dict[str, MergedAgent]:
    return {
        name: MergedAgent(generation=state.generation, cursor=state.cursor)
        for name, state in states.items()
        if state.generation > 0 and (name not in merged or merged[name].generation < state.generation)
    }


def _is_reset(states: Mapping[str, AgentState], merged: Mapping[str, MergedAgent]) -> bool:
    """Whether an agent took something back: replicas then load the bank anew, in one order.

    Sums of float32 hang on the order of the rows in their last digit, and a rollback gives back the very ranking.
    """
    return any(name in states and states[name].reset_generation > entry.generation for name, entry in merged.items())


def bank_of(parts: Mapping[str, Sequence[Cluster]], verdicts: Mapping[str, Verdict]) -> list[Cluster]:
    """The patterns of the swarm: nothing from agents in quarantine, the rest merged, and marked if unconfirmed.

    A pattern is confirmed by independent agents: by a second one, or by one whose reports have proven to agree with
    what others know. Where there is one agent only, nobody could confirm anything, and nothing is marked.
    """
    counted = {name: part for name, part in parts.items() if verdicts.get(name) is not Verdict.QUARANTINED}
    patterns = merge_agents(counted.values())
    if sum(not is_library(name) and len(part) > 0 for name, part in counted.items()) < 2:
        return patterns
    trusted = {name for name, verdict in verdicts.items() if verdict is Verdict.TRUSTED}
    return [
        pattern
        if len(pattern.agents) > 1 or not trusted.isdisjoint(pattern.agents)
        else replace(pattern, confirmed=False)
        for pattern in patterns
    ]


def experts_of(states: Mapping[str, AgentState]) -> dict[str, int]:
    """The agents whose adapters bend everybody's queries, with the generation of their weights.

    Those that are believed and have trained weights; of many those with most outcomes.
    """
    able = [
        name
        for name, state in states.items()
        if state.verdict is Verdict.TRUSTED and state.weights_generation > 0 and not is_library(name)
    ]
    chosen = sorted(able, key=lambda name: (-states[name].consolidated, name))[:MAX_EXPERTS]
    return {name: states[name].weights_generation for name in sorted(chosen)}


def merge_agents(parts: Iterable[Sequence[Cluster]]) -> list[Cluster]:
    """Patterns from the clusters of several agents; the same for any order of the agents."""
    families: dict[tuple[str, bool], list[Cluster]] = defaultdict(list)
    for clusters in parts:
        for cluster in clusters:
            families[family_of(cluster)].append(cluster)
    return [pattern for _, family in sorted(families.items()) for pattern in merge_near(family, MERGE_SIMILARITY)]


def _same(pattern: Cluster, other: Cluster | None) -> bool:
    """Whether two states of a pattern are equal in everything."""
    return (
        other is not None
        and replace(pattern, sum_embedding=other.sum_embedding) == other
        and bool((pattern.sum_embedding == other.sum_embedding).all())
    )
