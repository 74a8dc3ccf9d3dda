"""Agents in Redis: registrations, states, weights, clusters, and the commit of a generation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm.errors import DamagedRecordError
from swarm.sona.clusters import Cluster
from swarm.sona.standing import Verdict
from swarm.store.commit import Brought, Commit, Committer
from swarm.store.connection import Client, redis_errors
from swarm.store.forgotten import Forgotten, ForgottenStore
from swarm.store.lease import Lease
from swarm.store.looks import Looks
from swarm.store.reply import to_bytes, to_entries, to_hash, to_text
from swarm.store.scripts import REGISTER
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy
from swarm.wire.codec import encode
from swarm.wire.event_records import encode_event
from swarm.wire.event_types import AgentChanged, AgentCreated
from swarm.wire.keys import SwarmKeys, check_name
from swarm.wire.records import (
    Registration,
    Weights,
    decode_cluster,
    decode_registration,
    decode_weights,
    encode_cluster,
    encode_registration,
    policy_of,
    role_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """Where an agent stands. `cursor` is the last stream id that its generation contains, `weights_generation`
    the generation in which its weights were promoted last.

    `processed` counts the outcomes up to the cursor; among them `dead` those that could not be used, `rewound` those
    that were taken back. `reset_generation` is the last one that took something back: what processes learned by
    themselves before it is void. `skipped` counts the generations that a generation's content does not build on.
    """

    generation: int = 0
    cursor: str = "0-0"
    accepted: int = 0
    processed: int = 0
    dead: int = 0
    rewound: int = 0
    weights_generation: int = 0
    reset_generation: int = 0
    skipped: int = 0
    life: int = 0
    """How often an agent of this name was forgotten."""
    refused: int = 0
    """Outcomes that were not taken, because they belong to what was forgotten."""
    promotions: int = 0
    """How often new weights were promoted by a consolidation ..."""
    refusals: int = 0
    """... and how often they were refused."""
    expired_open: int = 0
    """Tasks that were let go because nobody had ended them, see `Settings.open_ttl`."""
    verdict: Verdict = Verdict.PROBATION
    """How far its feedback is believed, see `sona.standing`; an operator's quarantine goes before it."""
    silenced: int = 0
    """1 while an operator keeps it in quarantine, see `services.quarantine`."""

    @property
    def pending(self) -> int:
        """Outcomes that wait for consolidation."""
        return self.accepted - self.processed

    @property
    def consolidated(self) -> int:
        return self.processed - self.dead - self.rewound

    @property
    def age(self) -> int:
        """How many consolidations the content comes from; with it they draw the same numbers after a rollback."""
        return self.generation - self.skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Who is in a swarm: the role of every agent, and the policy of those that have one."""

    roles: Mapping[str, str]
    policies: Mapping[str, AgentPolicy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """In which life an agent is, see `AgentState.life`, and under which policy."""

    life: str
    policy: AgentPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLook:
    """An agent's state, its open trajectories and the length of its stream. `oldest_ms`: when the oldest outcome that
    waits was accepted, ms since the epoch, by Redis's clock; None if none waits."""

    state: AgentState
    open: int
    in_stream: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a commit writes: everything that changed since the generation before."""

    cursor: str
    processed: int
    removed: Sequence[str]
    put: Sequence[Cluster]
    dead: Mapping[str, str]
    values: Mapping[str, bytes]
    """Whole records by name, see `Commit`."""
    figures: Mapping[str, int | float | bool | str]
    keep: int
    """Outcomes to keep in the stream behind the cursor."""
    rewound: int = 0
    """Outcomes that were passed over, because they were taken back before they were consolidated."""
    settled: Sequence[str] = ()
    """The marks of those of them that were taken back one by one."""
    is_empty: bool = False
    """Whether no outcome was learned, so that the content is as old as before."""
    update: str = ""
    """What became of new weights, to be counted: promoted, refused, or "" if none were tried."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """Further fields of the log entry."""
    brought: Brought | None = None
    """Outcomes that come with it, and never waited."""


_AT_ONCE = 64
"""The records of so many agents are fetched in one round trip."""
VALUES = ("weights", "learner", "sample", "routes")
"""The names of the whole records of a generation."""
_WAITING = ("accepted", "processed")
_COUNTS = (
    "generation",
    "accepted",
    "processed",
    "dead",
    "rewound",
    "weights_generation",
    "reset_generation",
    "skipped",
    "life",
    "refused",
    "promotions",
    "refusals",
    "expired_open",
    "silenced",
)
_FIELDS = ("cursor", "accepted", "processed", "verdict", *(name for name in _COUNTS if name not in _WAITING))


def _state(name: str, values: Sequence[bytes | None]) -> AgentState:
    found = dict(zip(_FIELDS, values, strict=True))
    cursor, verdict = found.pop("cursor"), found.pop("verdict")
    if int(found["silenced"] or 0):
        verdict = Verdict.QUARANTINED.value.encode()
    try:
        return AgentState(
            cursor=(cursor or b"0-0").decode(),
            verdict=Verdict((verdict or Verdict.PROBATION.value.encode()).decode()),
            **{field: int(count or 0) for field, count in found.items()},
        )
    except ValueError as error:
        raise DamagedRecordError(f"state of agent {name}: {error}") from error


class AgentStore:
    """All agents of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._register = client.register_script(REGISTER)
        self._committer = Committer(client, keys)
        self._forgotten = ForgottenStore(client, keys)
        self._directory: tuple[tuple[object, ...], Directory] | None = None
        self._looks = Looks(client, keys, _FIELDS)

    @property
    def swarm(self) -> str:
        """The swarm's name."""
        return self._keys.swarm

    def register(self, name: str, registration: Registration) -> None:
        """Write an agent's registration, and tell; a later one replaces it."""
        check_name(name, "agent")
        keys, role = self._keys, registration.role
        told = (AgentCreated(agent=name, role=role), AgentChanged(agent=name, role=role))
        events = [part for event in told for part in (event.type, encode_event(event))]
        with redis_errors(f"register agent {name}"):
            self._register(
                keys=[keys.agents, keys.meta, keys.events], args=[name, encode_registration(registration), *events]
            )

    def roles(self) -> dict[str, str]:
        """The role of every agent."""
        return dict(self.directory().roles)

    def directory(self) -> Directory:
        """Roles and policies; fetched again only when somebody was registered, or went."""
        with redis_errors("list the agents"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hget(self._keys.meta, "registered")
            pipeline.hlen(self._keys.agents)
            seen = tuple(pipeline.execute())
            if self._directory is None or self._directory[0] != seen:
                found = to_hash(self._client.hgetall(self._keys.agents))
                policies = {name: policy for name, data in found.items() if (policy := policy_of(data)) != NO_POLICY}
                roles = {name: role_of(data) for name, data in found.items()}
                self._directory = seen, Directory(roles=roles, policies=policies)
        return self._directory[1]

    def registrations(self) -> dict[str, Registration]:
        """All agents by name."""
        with redis_errors("list the agents"):
            found = to_hash(self._client.hgetall(self._keys.agents))
        return {name: decode_registration(data) for name, data in found.items()}

    def registration(self, name: str) -> Registration | None:
        """What is known of an agent, or None."""
        check_name(name, "agent")
        with redis_errors(f"read agent {name}"):
            found = to_bytes(self._client.hget(self._keys.agents, name))
        return None if found is None else decode_registration(found)

    def life(self, name: str) -> str | None:
        """The present life of an agent, None if it is not registered; in one round trip."""
        found = self.membership(name)
        return None if found is None else found.life

    def membership(self, name: str) -> Membership | None:
        """As `life`, with the policy."""
        check_name(name, "agent")
        with redis_errors(f"read agent {name}"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hget(self._keys.agents, name)
            pipeline.hget(self._keys.agent(name).state, "life")
            registration, life = pipeline.execute()
        if registration is None:
            return None
        return Membership(life=(life or b"0").decode(), policy=policy_of(registration))

    def names(self) -> list[str]:
        """Names of all agents, sorted."""
        with redis_errors("list the agents"):
            return sorted(to_text(name) for name in self._client.hkeys(self._keys.agents))

    def states(self, names: Iterable[str]) -> dict[str, AgentState]:
        """The states of several agents."""
        return {name: look.state for name, look in self.looks(names).items()}

    def looks(self, names: Iterable[str]) -> dict[str, AgentLook]:
        """The states of several agents, and what waits for each, in few round trips."""
        return {
            name: AgentLook(
                state=_state(name, look.values),
                open=look.open,
                in_stream=look.in_stream,
                oldest_ms=int(look.oldest.partition("-")[0]) if look.oldest else None,
            )
            for name, look in self._looks.at(names)
        }

    def state(self, name: str) -> AgentState:
        return self.states([name])[name]

    def silence(self, name: str, is_silenced: bool) -> None:
        """Say whether an operator keeps an agent in quarantine."""
        with redis_errors(f"say whether {name} is in quarantine"):
            self._client.hset(self._keys.agent(name).state, "silenced", int(is_silenced))

    def weights(self, name: str) -> Weights | None:
        """The committed weights, or None before the first promotion."""
        with redis_errors(f"read the weights of {name}"):
            found = to_bytes(self._client.get(self._keys.agent(name).weights))
        return None if found is None else decode_weights(found)

    def values(self, name: str) -> dict[str, bytes | None]:
        """The whole records of the current generation; None for one that was never written."""
        keys = self._keys.agent(name)
        with redis_errors(f"read what {name} has learned"):
            found = self._client.mget(keys.weights, keys.learner, keys.sample, keys.routes)
        return dict(zip(VALUES, map(to_bytes, found), strict=True))

    def routes(self, name: str) -> bytes | None:
        """The statistics of the routes that an agent used, as stored; None if it used none."""
        return self.routes_of([name])[name]

    def routes_of(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """As `routes`, of several agents."""
        found: dict[str, bytes | None] = {}
        for start in range(0, len(names), _AT_ONCE):
            page = names[start : start + _AT_ONCE]
            with redis_errors("read the routes of the agents"):
                pipeline = self._client.pipeline(transaction=False)
                for name in page:
                    pipeline.get(self._keys.agent(name).routes)
                found |= zip(page, map(to_bytes, pipeline.execute()), strict=True)
        return found

    def clusters(self, name: str) -> list[Cluster]:
        """The clusters of the current generation, by id."""
        return self.clusters_of([name])[name]

    def clusters_of(self, names: Sequence[str]) -> dict[str, list[Cluster]]:
        """The clusters of the current generations of several agents, by id."""
        found = {}
        for start in range(0, len(names), _AT_ONCE):
            page = names[start : start + _AT_ONCE]
            with redis_errors(f"read the clusters of {page[0]}"):
                pipeline = self._client.pipeline(transaction=False)
                for name in page:
                    pipeline.hgetall(self._keys.agent(name).clusters)
                records = [to_hash(reply) for reply in pipeline.execute()]
            for name, of_agent in zip(page, records, strict=True):
                found[name] = [decode_cluster(data) for data in of_agent.values()]
        return found

    def log_fields(self, names: Sequence[str], field: str) -> dict[str, str]:
        """A field of the newest log entry of several agents; one whose entry lacks it is not there."""
        with redis_errors("read the logs of the agents"):
            pipeline = self._client.pipeline(transaction=False)
            for name in names:
                pipeline.xrevrange(self._keys.agent(name).log, count=1)
            newest = [to_entries(reply) for reply in pipeline.execute()]
        values = {
            name: entries[0][1].get(field.encode()) for name, entries in zip(names, newest, strict=True) if entries
        }
        return {name: value.decode() for name, value in values.items() if value is not None}

    def log_tails(self, counts: Mapping[str, int]) -> dict[str, list[tuple[str, dict[bytes, bytes]]]]:
        """So many of the newest log entries of several agents as stored, oldest first."""
        with redis_errors("read the logs of the agents"):
            pipeline = self._client.pipeline(transaction=False)
            for name, count in counts.items():
                pipeline.xrevrange(self._keys.agent(name).log, count=count)
            found = pipeline.execute()
        return {name: to_entries(reply)[::-1] for name, reply in zip(counts, found, strict=True)}

    def forgotten(self, name: str) -> Forgotten:
        """Outcomes that were taken back."""
        return self._forgotten.of(name)

    def lease(self, name: str, ttl: float) -> Lease | None:
        """The right to consolidate an agent, or None while somebody else has it."""
        keys = self._keys.agent(name)
        return Lease.take(self._client, keys.lease, keys.fence, ttl)

    def commit(self, name: str, lease: Lease, expected: int, generation: Generation) -> int:
        """Write a generation in one transaction; its number.

        Raises
        ------
        StaleWriterError
            If the lease was lost or somebody committed meanwhile; nothing was written.
        """
        return self._committer.write(
            name,
            lease,
            expected,
            Commit(
                cursor=generation.cursor,
                processed=generation.processed,
                removed=generation.removed,
                put={cluster.id: encode_cluster(cluster) for cluster in generation.put},
                dead=generation.dead,
                values=generation.values,
                figures=encode("figures", generation.figures),
                keep=generation.keep,
                newly_skipped=int(generation.is_empty),
                rewound=generation.rewound,
                settled=generation.settled,
                update=generation.update,
                origin=generation.origin,
                brought=generation.brought,
            ),
        )
