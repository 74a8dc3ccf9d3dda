"""`Swarm`: what one swarm knows, asked from anywhere.

swarm = Swarm()
for hit in swarm.query("parse a date from text", k=3):
    print(hit.response, hit.mean_quality, [source.agent for source in hit.sources])
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack, overload

import numpy as np

from swarm.embed.base import Embedder
from swarm.embed.identity import require_same
from swarm.embed.registry import load_embedder
from swarm.embed.task_type import TaskTypes
from swarm.embed.text import check_text
from swarm.errors import InputError, NoRouteError, UnknownIdError, WaitTimeoutError, shown
from swarm.services.answers import Same
from swarm.services.applying import Application, Fill, apply_pattern
from swarm.services.backup import BackupReport, back_up
from swarm.services.events import Events
from swarm.services.execution import (
    ConsensusRule,
    ExecutionReport,
    learn_from_execution,
    outcome_key,
    redacted_results,
)
from swarm.services.export import export_agent
from swarm.services.find import Found, find_consolidation, find_merge, split_id, with_generation
from swarm.services.forget_report import Forgetting
from swarm.services.history import Version, read_history
from swarm.services.hits import PatternHit, found_by_similarity, pattern_hit
from swarm.services.patterns import (
    MAX_OFFSET,
    MAX_PAGE,
    PatternDetail,
    PatternOrder,
    PatternPage,
    list_patterns,
    read_pattern,
)
from swarm.services.placement import NEAREST, Placement, candidates_of, choose
from swarm.services.quarantine import Quarantine, set_quarantine
from swarm.services.receipts import Receipt, ReceiptState, find_receipt, receipt_of
from swarm.services.recording import check_idempotency_key, checked_records, outcomes_by_agent, traced
from swarm.services.redacted import redaction_of
from swarm.services.registering import registration_from
from swarm.services.replica import Replica
from swarm.services.resend import Resender
from swarm.services.retention import (
    PinView,
    RetentionView,
    pin_pattern,
    read_retention,
    set_retention,
    unpin_pattern,
)
from swarm.services.rewind_report import Rewind
from swarm.services.rollback import Rollback, roll_back
from swarm.services.route_advice import RouteAdvice, RouteOptions, route_names, route_question
from swarm.services.router import Replay, Router, made_again
from swarm.services.selection import select_agents
from swarm.services.status import AgentView, SwarmStatus, read_agent, read_status
from swarm.services.tasks import TaskOptions, TaskReceipt, Tasks
from swarm.services.verdict import AgentResult
from swarm.services.warm_start import WarmStart, warm_start
from swarm.settings import Settings, load_settings
from swarm.sona.clusters import action_of
from swarm.sona.config import SonaConfig
from swarm.sona.export import AgentExport
from swarm.sona.index import ActionHit
from swarm.sona.lora import LoraPair
from swarm.sona.routing.near import NEIGHBOURS
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector, check_count, check_number
from swarm.store.agents import AgentStore, Membership
from swarm.store.bank import BankStore
from swarm.store.commit import Committer
from swarm.store.connection import Client, connect
from swarm.store.meta import bind_embedder, bound_embedder
from swarm.store.migrations import bind_schema
from swarm.store.outcomes import Outcome, OutcomeStore
from swarm.store.reliability import ReliabilityStore
from swarm.store.retention import RetentionStore
from swarm.store.tombstones import TombstoneStore
from swarm.store.versions import VersionStore
from swarm.telemetry.spans import MemoryOperation, Span, memory_span
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy
from swarm.wire.event_types import MAX_LABEL, AgentQuarantined, AgentReleased
from swarm.wire.keys import DECISIONS_LENGTH, SwarmKeys, check_name
from swarm.wire.records import Registration, encode_trajectory
from swarm.wire.retention_records import Retention, Tombstone

_POLL_S = 0.05


class Swarm:
    """One swarm: registration, queries, patterns, receipts and status.

    Parameters
    ----------
    settings : by default from the environment
    embedder : by default the one that the settings name, loaded when first needed
    """

    def __init__(
        self, settings: Settings | None = None, *, client: Client | None = None, embedder: Embedder | None = None
    ) -> None:
        self.settings = settings or load_settings()
        self.keys = SwarmKeys(self.settings.name)
        self.client = client or connect(self.settings)
        self.agents = AgentStore(self.client, self.keys)
        self.bank = BankStore(self.client, self.keys)
        self.reliability = ReliabilityStore(self.client, self.keys, verdict_ttl=self.settings.receipt_ttl)
        self.tasks = Tasks(
            self.settings, self.client, self.agents, keep=lambda task, record: self.sent.sent_task(task, record)
        )
        self.sent = Resender(self.settings)
        self.events = Events(self.client, self.keys)
        self._retention = RetentionStore(self.client, self.keys)
        self._embedder = embedder
        self._types: TaskTypes | None = None
        self._is_bound = self._is_same = False
        self._replica: Replica | None = None
        self._router: Router | None = None
        self._lock = threading.Lock()

    @property
    def embedder(self) -> Embedder:
        """The embedder, loaded when first needed."""
        with self._lock:
            if self._embedder is None:
                self._embedder = load_embedder(self.settings.embedder)
            return self._embedder

    def unbind(self) -> None:
        """Ask Redis anew at the next `bind`: its data are gone."""
        self._is_bound = self._is_same = False

    def bind(self) -> None:
        """Make sure that the swarm's vectors are of this embedder; asked of Redis once per process.

        Raises
        ------
        EmbedderMismatchError
            If the swarm is bound to another one; the message names both.
        """
        if not self._is_bound:
            bind_schema(self.client, self.keys)
            bind_embedder(self.client, self.keys, self.embedder.identity)
            self._is_bound = True

    def _check_embedder(self) -> None:
        """As `bind`, but a swarm that nobody has joined yet stays unbound: asking must not create one."""
        if self._is_bound or self._is_same:
            return
        if (bound := bound_embedder(self.client, self.keys)) is not None:
            require_same(bound, self.embedder.identity)
            self._is_same = True

    @property
    def replica(self) -> Replica:
        """The local copy of the bank that queries are answered from."""
        dim = self.embedder.identity.dim
        with self._lock:
            if self._replica is None:
                self._replica = Replica(self.bank, SonaConfig(dim=dim))
            return self._replica

    @property
    def router(self) -> Router:
        """What routes, and remembers what it decided."""
        dim = self.embedder.identity.dim
        with self._lock:
            if self._router is None:
                self._router = Router(self.client, self.keys, dim, self.settings.receipt_ttl)
            return self._router

    def embed(self, text: object, parameter: str = "text") -> Vector:
        """The vector of a text, of shape (d,), unit length; refuses what is not usable text."""
        return self.embedder.embed_one(check_text(text, parameter))

    def task_type(self, vector: Vector) -> str:
        """The type of a task from its vector (General, Reasoning, Factual, Creative, CodeGen, Conversational)."""
        embedder = self.embedder
        with self._lock:
            if self._types is None:
                self._types = TaskTypes(embedder)
            return self._types.infer(vector)

    # Agents

    def register(
        self,
        agent: str,
        role: str | None = None,
        config: SonaConfig | None = None,
        *,
        template: str | None = None,
        policy: AgentPolicy | None = None,
    ) -> Registration:
        """Make an agent known, or change what is registered of it; None leaves what is known as it is.

        Parameters
        ----------
        template : what it is made from, for people
        policy : how its evidence ages, and what is taken out of its texts from now on; what is stored already stays
        """
        check_name(agent, "agent")
        if role is not None:
            check_name(role, "role")
        self._check_embedder()
        known = self.agents.registration(agent)
        registration = registration_from(
            known, self.embedder.identity, role=role, config=config, template=template, policy=policy
        )
        self.bind()
        # An agent that is known needs no right to write what all share.
        if registration != known:
            self.agents.register(agent, registration)
        return registration

    def warm_start(self, agent: str, *, roles: Collection[str] | None = None) -> WarmStart:
        """Let a new agent begin with the average of what the others' adapters do; see `services.warm_start`.

        Parameters
        ----------
        roles : only of agents in these roles; None means of all

        Raises
        ------
        UnknownIdError
            If the agent or a role is not registered.
        """
        known = self.roles()
        others = select_agents(known, None, roles)
        return warm_start(
            agent,
            list(known) if others is None else others,
            self.agents,
            VersionStore(self.client, self.keys),
            Committer(self.client, self.keys),
            self.settings.lease_ttl,
        )

    def export(self, agent: str, micro: LoraPair) -> AgentExport:
        """All that an agent has learned, with the micro tier of its process; see `export_agent`."""
        versions = VersionStore(self.client, self.keys)
        embedder = str(self.embedder.identity)
        return export_agent(agent, micro, embedder, self.agents, self.outcomes(agent), versions)

    def roles(self) -> dict[str, str]:
        """The role of every agent."""
        return self.agents.roles()

    # Queries

    @overload
    def query(
        self,
        text: str,
        *,
        agents: Collection[str] | None = None,
        roles: Collection[str] | None = None,
        min_quality: float = 0.0,
        k: int = 5,
        group_by: None = None,
    ) -> list[PatternHit]: ...

    @overload
    def query(
        self,
        text: str,
        *,
        agents: Collection[str] | None = None,
        roles: Collection[str] | None = None,
        min_quality: float = 0.0,
        k: int = 5,
        group_by: Literal["agent"],
    ) -> dict[str, list[PatternHit]]: ...

    def query(
        self,
        text: str,
        *,
        agents: Collection[str] | None = None,
        roles: Collection[str] | None = None,
        min_quality: float = 0.0,
        k: int = 5,
        group_by: Literal["agent"] | None = None,
    ) -> list[PatternHit] | dict[str, list[PatternHit]]:
        """What the swarm knows for a task like `text`, best first, with provenance.

        Parameters
        ----------
        agents, roles : count only the evidence of these agents, or of agents in these roles
        min_quality : leave out patterns whose mean quality is below, in [0, 1]
        k : at most so many, 1..1000
        group_by : "agent" answers a list for each agent that knows something

        Raises
        ------
        TextError, BoundsError, UnknownIdError
            For text or numbers out of bounds, or an agent or role that is not registered.
        """
        count = check_count(k, "k", 1, 1000)
        check_number(min_quality, "min_quality", 0.0, 1.0)
        if not (group_by is None or (isinstance(group_by, str) and group_by == "agent")):
            raise InputError(f"group_by must be 'agent' or None, got {shown(group_by, 40)}")
        with self._searching(text):
            y = self.embed(text)
            known = self.roles()
            wanted = select_agents(known, agents, roles)
            self._check_embedder()
            self.replica.refresh()

            def ask(sources: Collection[str] | None) -> list[PatternHit]:
                hits: list[ActionHit] = self.replica.rank(y, count, agents=sources, min_quality=min_quality)
                return [pattern_hit(hit, known) for hit in hits]

            if group_by is None:
                return ask(wanted)
            return {name: hits for name in sorted(known if wanted is None else wanted) if (hits := ask([name]))}

    def _searching(self, text: str) -> Span:
        query = text if self.settings.trace_content else ""
        return memory_span(MemoryOperation.SEARCH, self.settings.name, query=query)

    def route(
        self, text: str, *, agent: str = "", tools: Sequence[str] = (), **options: Unpack[RouteOptions]
    ) -> RouteAdvice:
        """Which model, tool or variant to take for a task like `text`, and why.

        Parameters
        ----------
        agent : who asks; its budget applies beside the swarm's
        tools : names of the tools that are offered for the task
        options : see `route_question`

        Raises
        ------
        InputError
            For text or options out of their bounds.
        NoRouteError
            If every route breaks a bound and there is no fallback, or no route was given and none is known.
        """
        if not _is_empty(agent):
            check_name(agent, "agent")
        question, offered = route_question(**options), route_names(tools, "tools")
        if agent and (known := self.agents.membership(agent)):
            text = redaction_of(known.policy).text(check_text(text))
        query = self.embed(text)
        self._check_embedder()
        self.replica.refresh()
        self.router.refresh()
        near = self.replica.nearest(query, NEIGHBOURS)
        advice = self.router.decide(question, query, text, near, tools=offered, agent=agent)
        if advice is None:
            raise NoRouteError("no route was given and none is known: name some, or declare them (swarm route declare)")
        return advice

    def recall(self, text: str, k: int = 5) -> list[PatternHit]:
        """The k patterns whose tasks were most like `text` in what matters: to solve it again as one of them was.

        Names, numbers and dates count less than in `query`; failures are not weighed.
        """
        count = check_count(k, "k", 1, 1000)
        with self._searching(text):
            x = self.embed(text)
            self._check_embedder()
            self.replica.refresh()
            known = self.roles()
            return [pattern_hit(found_by_similarity(hit), known) for hit in self.replica.recall(x, count)]

    def retrieve_patterns(
        self,
        task: str,
        k: int = 5,
        min_reward: float = 0.85,
        source_agents: Collection[str] | None = None,
        filters: Mapping[str, str] | None = None,
        min_similarity: float = 0.0,
    ) -> list[PatternHit]:
        """The published form of `query`: patterns with a mean reward of at least `min_reward`.

        Parameters
        ----------
        filters : may hold "task_type" and "role"
        min_similarity : leave out patterns whose nearest success is less like the task, a cosine in [0, 1]. Published
            are .8, .85 and .9; what those mean hangs on the embedder, and paraphrases often lie below all three
        """
        count = check_count(k, "k", 1, 1000)
        least = check_number(min_similarity, "min_similarity", 0.0, 1.0)
        wanted = dict(_mapping(filters, "filters"))
        role, task_type = wanted.pop("role", None), wanted.pop("task_type", None)
        if wanted:
            others = sorted(name if isinstance(name, str) else shown(name) for name in wanted)
            raise InputError(f"filters may hold task_type and role, got {', '.join(others)[:200]}")
        hits = self.query(
            task,
            agents=source_agents,
            roles=None if role is None else [role],
            min_quality=min_reward,
            k=count if task_type is None and not least else 1000,
        )
        return [hit for hit in hits if (task_type is None or hit.task_type == task_type) and hit.similarity >= least][
            :count
        ]

    def patterns(
        self,
        *,
        agents: Collection[str] | None = None,
        roles: Collection[str] | None = None,
        task_type: str | None = None,
        order: str | PatternOrder = PatternOrder.EVIDENCE,
        offset: int = 0,
        limit: int = 50,
    ) -> PatternPage:
        """The patterns of the bank, page by page: to look through them, where `query` ranks them for a task.

        Parameters
        ----------
        agents, roles : only those with evidence of these agents, or of agents in these roles
        task_type : only those of this type
        order : what comes first, see `PatternOrder`
        offset, limit : so many are passed over, 0..10,000, and so many answered, 1..200

        Raises
        ------
        InputError
            For values out of bounds, or an agent or role that is not registered.
        """
        start, most = check_count(offset, "offset", 0, MAX_OFFSET), check_count(limit, "limit", 1, MAX_PAGE)
        if not isinstance(order, str) or order not in list(PatternOrder):
            raise InputError(f"order must be one of {', '.join(PatternOrder)}, got {shown(order, 40)}")
        known = self.roles()
        wanted = select_agents(known, agents, roles)
        self._check_embedder()
        self.replica.refresh()
        return list_patterns(
            self.replica.patterns(),
            known,
            agents=wanted,
            task_type=None if task_type is None else check_text(task_type, "task_type"),
            order=PatternOrder(order),
            offset=start,
            limit=most,
        )

    def pattern(self, pattern_id: str) -> PatternDetail:
        """One pattern of the bank with its provenance, and how far its agents are believed; see `read_pattern`."""
        return read_pattern(pattern_id, self.bank, self.agents, self._retention, self.roles())

    def apply(self, pattern: PatternHit | str, new_task: str, *, fill: Fill | None = None) -> Application:
        """The pattern's response made to fit `new_task`, with what was filled in marked; see `apply_pattern`.

        Parameters
        ----------
        pattern : a hit of a query, or a pattern id
        fill : called with each slot that the task gives no value for; answers one, or None

        Raises
        ------
        UnknownIdError
            If the bank has no such pattern.
        InputError
            If it is one of failures, to be avoided, or names no response.
        """
        if isinstance(pattern, PatternHit):
            return apply_pattern(pattern.pattern_id, pattern.response, pattern.examples, new_task, fill)
        detail = self.pattern(pattern)
        if not detail.summary.positive:
            raise InputError(f"pattern {shown(pattern)} is of what failed: it is there to be avoided")
        return apply_pattern(pattern, detail.summary.response, detail.examples, new_task, fill)

    def decision(self, decision_id: str) -> Replay:
        """A decision of the router, made again from what it hung on; see `replay_decision`."""
        found, again = self.router.replay(decision_id)
        return Replay(decision=found, again=again)

    def decisions(self, count: int = 50) -> list[Replay]:
        """The latest decisions of the router, newest first, each made again from what it hung on."""
        latest = self.router.store.latest(check_count(count, "count", 1, DECISIONS_LENGTH))
        return [Replay(decision=found, again=made_again(found)) for found in latest]

    # Outcomes

    def store_pattern(
        self,
        task: str,
        output: str,
        reward: float = 1.0,
        *,
        success: bool = True,
        input: str = "",
        metadata: Mapping[str, str] | None = None,
        agent: str = "library",
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Store that `output` solved `task` (or, with `success=False`, that it did not) with this reward.

        It takes the way of every outcome: durable at once, searchable after consolidation and merge.
        """
        quality = check_number(reward, "reward", 0.0, 1.0)
        check_text(output, "output")
        if not isinstance(success, bool | np.bool_):
            raise InputError(f"success must be True or False, got {shown(success, 40)}")
        query = (
            check_text(task, "task")
            if _is_empty(input)
            else f"{check_text(task, 'task')}\n{check_text(input, 'input')}"
        )
        known = self.agents.membership(agent)
        redaction = redaction_of(known.policy if known else NO_POLICY)
        query, output = redaction.text(query), redaction.text(output)
        embedding = self.embed(query, "task")
        trajectory_id = uuid.uuid4().hex
        key = check_idempotency_key(trajectory_id if idempotency_key is None else idempotency_key)
        trajectory = Trajectory(
            id=trajectory_id,
            embedding=embedding,
            quality=quality if success else min(quality, 1.0 - quality),
            action=action_of(output),
            response=output,
            text=query,
            task_type=self.task_type(embedding),
            agent=agent,
            at_s=time.time(),
            context=dict(_mapping(metadata, "metadata")),
        )
        if known is None:
            # What is refused must not leave an agent behind.
            encode_trajectory(trajectory)
            self.register(agent, role="library")
        return self.record(trajectory, key)

    def record(self, trajectory: Trajectory, idempotency_key: str) -> Receipt:
        """Append an outcome to its agent's stream, once per idempotency key; durable when this returns.

        One that belongs to what was forgotten is not taken: the receipt's state is `forgotten`. What the redaction of
        its agent finds in its texts is taken out, and a text that changes by that is embedded anew.

        Raises
        ------
        InputError
            If a value of the trajectory is out of its bounds, or its embedding of another dimension.
        UnknownIdError
            If its agent is not registered: nobody would consolidate it.
        QueueFullError
            If `max_pending` outcomes wait; nothing was taken.
        """
        return self.record_many([trajectory], [idempotency_key])[0]

    def record_many(
        self, trajectories: Sequence[Trajectory], idempotency_keys: Sequence[str] | None = None
    ) -> list[Receipt]:
        """As `record`, for many outcomes, in few round trips; their ids are the keys if none are given.

        Raises
        ------
        InputError, UnknownIdError
            As `record`; nothing was taken.
        QueueFullError
            If `max_pending` outcomes of an agent wait; a call with the same keys does the rest.
        """
        keys = [trajectory.id for trajectory in trajectories] if idempotency_keys is None else list(idempotency_keys)
        if len(keys) != len(trajectories):
            raise InputError(f"idempotency_keys must be {len(trajectories)}, one for each trajectory, got {len(keys)}")
        with memory_span(MemoryOperation.CREATE, self.settings.name) as span:
            span.set("gen_ai.memory.record.count", len(keys))
            return self._record([traced(one) for one in trajectories], keys)

    def _record(self, trajectories: Sequence[Trajectory], keys: Sequence[str]) -> list[Receipt]:
        records = checked_records(trajectories, keys, self.embedder.identity.dim)
        known = {agent: self._membership(agent) for agent in dict.fromkeys(one.agent for one in trajectories)}
        self.bind()
        waiting = outcomes_by_agent(trajectories, keys, records, known, self.embed)
        receipts = {agent: iter(self.deliver(agent, outcomes)) for agent, outcomes in waiting.items()}
        return [next(receipts[trajectory.agent]) for trajectory in trajectories]

    def _membership(self, agent: str) -> Membership:
        found = self.agents.membership(agent)
        if found is None:
            raise UnknownIdError(f"agent {shown(agent)} is not registered")
        return found

    def deliver(self, agent: str, outcomes: Sequence[Outcome]) -> list[Receipt]:
        """Append encoded outcomes to the stream of a registered agent, and keep them in case that Redis loses them."""
        self.sent.begin()
        appended = self.outcomes(agent).append_many(outcomes)
        self.sent.sent_outcomes(agent, outcomes)
        return [
            receipt_of(agent, outcome.idempotency_key, found) for outcome, found in zip(outcomes, appended, strict=True)
        ]

    def learn_from_swarm_execution(
        self,
        task: str,
        results: Mapping[str, AgentResult | str],
        consensus: ConsensusRule = "weighted",
        *,
        same: Same = None,
        choices: int | None = None,
        idempotency_key: str | None = None,
    ) -> ExecutionReport:
        """Let each agent learn from what it did for `task`, against what all of them came to.

        Each outcome has the quality P(its answer is right) x (the quality that the agent reported); without a
        consensus the report alone counts. Every outcome takes the way of all outcomes, with a receipt. How often an
        agent was right adds up, and weighs its next votes.

        Parameters
        ----------
        results : agent -> its `AgentResult`, or its output as text; an empty output is no vote
        consensus : "weighted" by reliability (Dawid and Skene), "majority", a `Threshold` for either, `Agreed` with
            the answer that is known, or a judge that is called with the task and the outputs and answers the right one
        same : when two outputs are one answer: equal texts; from this cosine on; or what a callable says
        choices : how many answers are possible, if that is known
        idempotency_key : calls with the same key count once, the first one

        Raises
        ------
        UnknownIdError
            If an agent is not registered.
        InputError
            If a value is out of bounds, or the key was used for other results.
        CapacityError
            If an agent's bound is reached; a call with the same key does the rest.
        """
        execution = check_idempotency_key(uuid.uuid4().hex if idempotency_key is None else idempotency_key)
        # Too long with what comes before it, it would be refused when the verdict is kept already.
        check_idempotency_key(outcome_key(execution))
        return learn_from_execution(
            *redacted_results(task, results, self.agents.directory()),
            consensus,
            self,
            self.reliability,
            execution,
            same=same,
            choices=choices,
        )

    def outcomes(self, agent: str) -> OutcomeStore:
        """The stream of one agent."""
        return OutcomeStore.of(self.settings, self.client, agent)

    def receipt(self, agent: str, idempotency_key: str) -> Receipt:
        """Where an accepted outcome stands now; see `find_receipt`."""
        check_idempotency_key(idempotency_key)
        return find_receipt(agent, idempotency_key, self.outcomes(agent), self.agents, self.bank)

    def find(self, receipt_id: str) -> Found:
        """Where anything that was accepted stands now, by its id; see `services.find` for the kinds of ids.

        Raises
        ------
        InputError
            If it is no id.
        UnknownIdError
            If there is nothing of that id, or it was forgotten with the lifetime of a receipt.
        """
        kind, rest = split_id(receipt_id)
        if kind == "task":
            return self.tasks.find(rest)
        if kind == "merge":
            return find_merge(rest, self.bank)
        versions = VersionStore(self.client, self.keys)
        if kind == "consolidation":
            return find_consolidation(rest, self.agents, versions, self.bank)
        agent, _, key = rest.partition("/")
        return with_generation(self.receipt(check_name(agent, "agent"), key), versions)

    def wait(self, receipt: Receipt, timeout_s: float = 30.0) -> Receipt:
        """Wait until an outcome is searchable, dead, or taken back.

        Raises
        ------
        WaitTimeoutError
            If that takes longer than `timeout_s`; the outcome stays on its way.
        """
        if not isinstance(receipt, Receipt):
            raise InputError(f"receipt must be a Receipt, got {type(receipt).__name__}")
        deadline = time.monotonic() + check_number(timeout_s, "timeout_s", 0.0, 1e9)
        while not (found := self._follow(receipt)).has_ended:
            if time.monotonic() >= deadline:
                raise WaitTimeoutError(
                    f"outcome {receipt.idempotency_key} of agent {receipt.agent} is {found.state.value} after "
                    f"{timeout_s:g} s: are workers running? (swarm status)"
                )
            time.sleep(_POLL_S)
        return found

    def _follow(self, receipt: Receipt) -> Receipt:
        try:
            return self.receipt(receipt.agent, receipt.idempotency_key)
        except UnknownIdError:
            # What is spooled comes to Redis when its agent replays it.
            if receipt.state is ReceiptState.SPOOLED:
                return receipt
            raise

    # Tasks

    def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """Put a task on the queue of a role; see `Tasks.submit`. `swarm.tasks` has the rest."""
        self.sent.begin()
        return self.tasks.submit(task, placer=lambda text, role, name: self.place(text, role, seed=name), **options)

    def place(self, text: str, role: str, *, agents: Collection[str] | None = None, seed: str = "") -> Placement:
        """Which agent of a role does a task like `text` best; see `services.placement`.

        Parameters
        ----------
        agents : only one of these; None means of all that are registered
        seed : draws, together with what is known, whether somebody new is tried

        Raises
        ------
        UnknownIdError
            If no agent has the role, or none of `agents`.
        """
        wanted = select_agents(self.roles(), agents, [check_name(role, "role")]) or []
        if not wanted:
            raise UnknownIdError(f"no agent of role {role} among {', '.join(agents or ())!r:.80}")
        x = self.embed(text)
        self._check_embedder()
        self.replica.refresh()
        near = self.replica.nearest(x, NEAREST)
        states = self.agents.states(candidates_of(near, wanted, seed))
        verdicts = {name: state.verdict for name, state in states.items()}
        return choose(near, self.tasks.store.assigned(role), verdicts, self.replica.index.temperature, seed)

    def close(self) -> None:
        """Let go of what this process keeps for the case that Redis loses it; a later process takes it over.

        Callbacks on events end, too.
        """
        self.events.close()
        self.sent.close()

    # Versions

    def history(self, agent: str) -> list[Version]:
        """The versions of an agent, newest first; see `read_history`."""
        return read_history(agent, self.agents, VersionStore(self.client, self.keys))

    def rollback(self, agent: str, version: int) -> Rollback:
        """Let an agent hold again what it held at `version`; see `roll_back`. The next merge publishes it."""
        versions, committer = VersionStore(self.client, self.keys), Committer(self.client, self.keys)
        return roll_back(agent, version, self.agents, versions, committer, self.settings.lease_ttl)

    def rewind(self, trajectory: str | None = None, *, agent: str | None = None, retrain: bool = True) -> Rewind:
        """Take out of the swarm all that came from one trajectory, or from one agent; see `Rewinder.rewind`.

        When this returns, the bank is published without it.
        """
        # What merges is loaded by who merges alone: a hook's process starts without it.
        from swarm.services.rewind import Rewinder

        return Rewinder(self.settings, self.client).rewind(trajectory, agent, retrain=retrain)

    def quarantine(self, agent: str, *, by: str = "") -> Quarantine:
        """Keep what an agent learns, and let none of it count, until `release`; see `set_quarantine`."""
        return self._set_quarantine(agent, True, by)

    def release(self, agent: str, *, by: str = "") -> Quarantine:
        """Let an agent count again for what its reports have earned; see `set_quarantine`."""
        return self._set_quarantine(agent, False, by)

    def _set_quarantine(self, agent: str, is_silenced: bool, by: str) -> Quarantine:
        versions, committer = VersionStore(self.client, self.keys), Committer(self.client, self.keys)
        done = set_quarantine(agent, is_silenced, by, self.agents, versions, committer, self.settings.lease_ttl)
        if not done.generation:
            # It has learned nothing: no merge will tell of it.
            kind = AgentQuarantined if is_silenced else AgentReleased
            self.events.publish(kind(agent=agent, generation=0, is_earned=False, by=by[:MAX_LABEL]))
        return done

    # Retention

    def forget(
        self, *, pattern: str | None = None, trajectory: str | None = None, agent: str | None = None, by: str = ""
    ) -> Forgetting:
        """Erase a pattern, a trajectory (of one agent, if that is given, too) or an agent; nothing brings it back.

        See `Forgetter`. What backups and task records hold of it stays there.

        Raises
        ------
        InputError
            If none is given, or a pattern and something else.
        """
        # What merges is loaded by who merges alone: a hook's process starts without it.
        from swarm.services.forget import Forgetter

        if pattern is not None and (trajectory is not None or agent is not None):
            raise InputError("forget takes a pattern, or a trajectory and perhaps its agent, or an agent")
        forgetter = Forgetter(self.settings, self.client, by)
        record = pattern or trajectory or ""
        with memory_span(MemoryOperation.DELETE, self.settings.name, agent=agent or "", record=record):
            if pattern is not None:
                return forgetter.pattern(pattern)
            if trajectory is not None:
                return forgetter.trajectory(trajectory, agent)
            if agent is not None:
                return forgetter.agent(agent)
            raise InputError("forget takes a pattern, a trajectory or an agent, got none")

    def backup(self, path: str | Path) -> BackupReport:
        """Write the swarm as it is to a file, while it runs; see `services.backup`. `restore` reads it."""
        return back_up(Path(path), self.settings, self.client)

    def tombstones(self) -> list[Tombstone]:
        """What was forgotten, when and by whom, oldest first."""
        return TombstoneStore(self.client, self.keys).all()

    def retention(self) -> RetentionView:
        """How evidence ages here, and what is pinned."""
        return read_retention(self._retention, self.bank)

    def set_retention(self, *, half_life_s: float | None = None, ttl_s: float | None = None) -> Retention:
        """Let evidence age; None switches that off. See `set_retention` in `services.retention`."""
        bind_schema(self.client, self.keys)
        return set_retention(self._retention, half_life_s, ttl_s)

    def pin(self, pattern_id: str, *, by: str = "") -> PinView:
        """Keep a pattern from decaying, expiring and being pruned; see `pin_pattern`."""
        return pin_pattern(pattern_id, by, self._retention, self.bank)

    def unpin(self, pattern_id: str) -> PinView:
        """Let a pattern age again; see `unpin_pattern`."""
        return unpin_pattern(pattern_id, self._retention, self.bank)

    # State

    def agent(self, name: str) -> AgentView:
        """How one agent stands, with what is registered of it; see `read_agent`."""
        return read_agent(name, self.client, self.keys)

    def status(self) -> SwarmStatus:
        """How the swarm stands, from stored state."""
        return read_status(self.client, self.keys)


def _mapping(values: Mapping[str, str] | None, parameter: str) -> Mapping[str, str]:
    if values is not None and not isinstance(values, Mapping):
        raise InputError(f"{parameter} must be a mapping of texts, got {type(values).__name__}")
    return values or {}


def _is_empty(text: object) -> bool:
    return isinstance(text, str) and text == ""
