"""How a swarm stands, derived from what is stored; nothing here is remembered or assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from swarm.services.turn import registered
from swarm.store.agents import AgentLook, AgentStore
from swarm.store.bank import BankStore
from swarm.store.connection import Client, clock_s, redis_errors
from swarm.store.meta import bound_embedder
from swarm.store.supervisors import SupervisorBeat, SupervisorRegistry
from swarm.store.tasks import RoleCounts, read_counts
from swarm.store.workers import WorkerBeat, WorkerRegistry
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """One agent: accepted outcomes are consolidated, pending, dead (unusable) or rewound (taken back).

    `lost` counts outcomes that should wait in the stream and are not there; it must be 0.
    """

    name: str
    role: str
    generation: int
    accepted: int
    consolidated: int
    pending: int
    dead: int
    rewound: int
    lost: int
    open: int
    oldest_pending_s: float | None
    verdict: str
    """How far its feedback is believed: trusted, probation or quarantined."""
    refused: int = 0
    """Outcomes that were not taken, because they belong to what was forgotten."""
    expired_open: int = 0
    """Tasks that were let go because nobody had ended them; they are not open any more."""
    silenced: bool = False
    """Whether an operator put it in quarantine; else the verdict is what its reports have earned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent, with what is registered of it."""

    status: AgentStatus
    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmStatus:
    """One swarm."""

    name: str
    embedder: str | None
    agents: tuple[AgentStatus, ...]
    patterns: int
    bank_version: str
    merges: int
    unmerged_agents: int
    workers: tuple[WorkerBeat, ...]
    queue_depth: int
    tasks: tuple[RoleCounts, ...] = ()
    """Tasks for agents, by role."""
    supervisors: tuple[SupervisorBeat, ...] = ()
    """Who looks after the workers, by host."""

    @property
    def pending(self) -> int:
        return sum(agent.pending for agent in self.agents)

    @property
    def lost(self) -> int:
        return sum(agent.lost for agent in self.agents) + sum(tasks.lost for tasks in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        tasks = [counts.as_dict() for counts in self.tasks]
        return {**asdict(self), "tasks": tasks, "pending": self.pending, "lost": self.lost}


def read_status(client: Client, keys: SwarmKeys) -> SwarmStatus:
    """Read everything in a few round trips."""
    agents, bank = AgentStore(client, keys), BankStore(client, keys)
    now_s = clock_s(client)
    with redis_errors("read the status"):
        queue_depth = int(client.llen(keys.broker_queue))
    identity = bound_embedder(client, keys)
    merged = bank.merged()
    statuses = _agents(agents, agents.roles(), now_s)
    return SwarmStatus(
        name=keys.swarm,
        embedder=None if identity is None else str(identity),
        agents=statuses,
        patterns=bank.count(),
        bank_version=bank.version(),
        merges=bank.merges(),
        unmerged_agents=sum(
            status.generation > (merged[status.name].generation if status.name in merged else 0) for status in statuses
        ),
        workers=tuple(WorkerRegistry(client, keys).alive(now_s)),
        queue_depth=queue_depth,
        tasks=read_counts(client, keys),
        supervisors=tuple(SupervisorRegistry(client, keys).alive(now_s)),
    )


def read_agent(name: str, client: Client, keys: SwarmKeys) -> AgentView:
    """How one agent stands.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    """
    store = AgentStore(client, keys)
    registration = registered(name, store)
    [status] = _agents(store, {name: registration.role}, clock_s(client))
    return AgentView(status=status, registration=registration)


def _agents(store: AgentStore, roles: Mapping[str, str], now_s: float) -> tuple[AgentStatus, ...]:
    return tuple(
        AgentStatus(
            name=name,
            role=roles[name],
            generation=look.state.generation,
            accepted=look.state.accepted,
            consolidated=look.state.consolidated,
            pending=look.state.pending,
            dead=look.state.dead,
            rewound=look.state.rewound,
            lost=_lost(look),
            open=look.open,
            oldest_pending_s=None if look.oldest_ms is None else max(0.0, now_s - look.oldest_ms / 1000.0),
            verdict=look.state.verdict.value,
            refused=look.state.refused,
            expired_open=look.state.expired_open,
            silenced=bool(look.state.silenced),
        )
        for name, look in store.looks(roles).items()
    )


def _lost(look: AgentLook) -> int:
    # The stream also holds outcomes that were consolidated, so its length alone would hide losses.
    pending = look.state.pending
    return pending if look.oldest_ms is None else max(0, pending - look.in_stream)
