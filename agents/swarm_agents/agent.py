"""`Agent`: the hooks around a task, with an adapter that learns in the caller.

agent = Agent("coder-1", role="coder")
advice = agent.before_task("parse ISO dates from a log")
...                                            # do the task, perhaps as advice.best.response says
agent.after_task(advice.trajectory_id, success=True, used=advice.best)
"""

from __future__ import annotations

import inspect
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import wraps
from typing import Literal, ParamSpec, Self, TypeVar, Unpack, overload

from swarm.embed.text import check_text
from swarm.errors import (
    CapacityError,
    InputError,
    RecordError,
    StaleWriterError,
    StoreUnavailableError,
    SwarmError,
    TextError,
    UnknownIdError,
    shown,
)
from swarm.services.hits import PatternHit, pattern_hit
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.recording import check_idempotency_key
from swarm.services.redacted import redacted
from swarm.services.registering import DEFAULT_ROLE
from swarm.services.route_advice import RouteChoices
from swarm.services.selection import select_agents
from swarm.services.swarm import Swarm
from swarm.settings import load_settings
from swarm.sona.adapter import Adapter
from swarm.sona.clusters import action_of
from swarm.sona.config import SonaConfig
from swarm.sona.export import AgentExport
from swarm.sona.trajectory import Step, Trajectory
from swarm.sona.vectors import Vector, check_count, check_names, check_number
from swarm.store.connection import connect
from swarm.telemetry.spans import TRACEPARENT, MemoryOperation, carried, memory_span, traceparent
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy
from swarm.wire.keys import check_name
from swarm.wire.records import decode_trajectory
from swarm_agents.advice import TaskAdvice
from swarm_agents.applied import AppliedPattern
from swarm_agents.breaker import Breaker
from swarm_agents.delivery import Delivery
from swarm_agents.finetune import RANKED, Finetuner, FinetuneReport
from swarm_agents.learner import Learner
from swarm_agents.lessons import lessons_of
from swarm_agents.routing import Routing, report_route
from swarm_agents.task import Task, quality_of

_P = ParamSpec("_P")
_R = TypeVar("_R")

MAX_OPEN = 10_000
"""Tasks under way in one process; the next one is refused."""
_REPLAY = 2_000
_FLUSH_POLL_S = 0.05
_DEFERRED = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHealth:
    """How the hooks of one agent are doing."""

    redis_failures: int
    last_error: str
    spooled: int
    generation: int
    instant_updates: int
    open_tasks: int
    expired_tasks: int = 0
    """Tasks that this process let go because nobody had ended them."""


class Agent:
    """One agent of a swarm, in this process. Its methods may be called from several threads.

    Parameters
    ----------
    name : unique in the swarm; two processes with one name share its experience
    role : what it does, for queries by role; by default the one registered before, else "agent"
    swarm : the swarm to join; by default the one of the environment, over a connection of its own that gives
        up after `hook_timeout`
    config : learning settings; by default those registered before, else the defaults
    sources : whose experience to use: agents by name; None means everybody's
    refresh_interval : seconds between looks at what changed in Redis
    warm_start : whether it begins with the average of what the others' adapters do, if it is new to the swarm; by
        default only with the preset "ephemeral"
    """

    def __init__(
        self,
        name: str,
        *,
        role: str | None = None,
        swarm: Swarm | None = None,
        config: SonaConfig | None = None,
        sources: Collection[str] | None = None,
        refresh_interval: float = 0.25,
        warm_start: bool | None = None,
    ) -> None:
        self.name = check_name(name, "name")
        self._given_role = None if role is None else check_name(role, "role")
        self.swarm = swarm or _own_swarm()
        self.breaker = Breaker()
        self._sources: Sequence[str] | None = None if sources is None else check_names(sources, "sources")
        self._refresh_interval = check_number(refresh_interval, "refresh_interval", 0.0, 86_400.0)
        if config is not None and not isinstance(config, SonaConfig):
            raise InputError(f"config must be a SonaConfig, got {type(config).__name__}")
        self._given_config = config
        if not (warm_start is None or isinstance(warm_start, bool)):
            raise InputError(f"warm_start must be True, False or None, got {shown(warm_start, 40)}")
        self._warm_start = warm_start
        self._learner = Learner(name, self.swarm, config or SonaConfig(dim=self.swarm.embedder.identity.dim))
        self._delivery = Delivery(name, self.swarm, self.breaker)
        self._is_registered = False
        self._is_caught_up = False
        self._is_fresh = False
        self._roles: dict[str, str] = {}
        self._refreshed_at = -refresh_interval
        self._lock = threading.Lock()
        self._open: dict[str, Trajectory] = {}
        self._unkept: set[str] = set()
        self._expired = 0
        self.refresh()

    # Hooks

    def before_task(
        self,
        text: str,
        *,
        k: int = 5,
        agents: Collection[str] | None = None,
        roles: Collection[str] | None = None,
        min_quality: float = 0.0,
        tools: Sequence[str] = (),
        trajectory_id: str | None = None,
        **route: Unpack[RouteChoices],
    ) -> TaskAdvice:
        """What has worked for tasks like `text`, for this agent and the others, and which route to take.

        Answers from the local replica; with Redis away it still answers, from what it last saw.

        Parameters
        ----------
        k : at most so many patterns, 1..1000
        agents, roles, min_quality : as in `Swarm.query`; routes of which less is expected are left out too
        tools : names of the tools that are offered for the task
        trajectory_id : by default a new one; one that is open already, perhaps of a process that is gone, begins anew
        route : what to route by, such as routes, strategy, max_cost, timeout_ms, fallback, session; see
            `route_question`. With any of them the decision is kept, can be replayed, and counts in the budgets

        Raises
        ------
        TextError, BoundsError, UnknownIdError
            For bad input; then no trajectory is open.
        """
        count = check_count(k, "k", 1, 1000)
        check_number(min_quality, "min_quality", 0.0, 1.0)
        name = uuid.uuid4().hex if trajectory_id is None else check_idempotency_key(trajectory_id, "trajectory_id")
        routing = Routing(self.name, self.swarm, self.breaker, min_quality, tools, route)
        settings = self.swarm.settings
        content = self._delivery.redaction.text(text) if settings.trace_content else ""
        with memory_span(MemoryOperation.SEARCH, settings.name, agent=self.name, record=name, query=content) as span:
            if time.monotonic() - self._refreshed_at >= self._refresh_interval:
                self.refresh()
            text = self._delivery.redaction.text(check_text(text))
            query = self.swarm.embed(text)
            sources = self._sources
            if agents is not None or roles is not None:
                sources = select_agents(self._roles, agents, roles)
            # Whose experience does not count must not bend the query either.
            y = self._learner.bend(query, is_own_alone=sources is not None)
            hits = self.swarm.replica.rank(
                query, count, y=y, agents=sources, min_quality=min_quality, asker=self.name, config=self.config
            )
            span.set("gen_ai.memory.record.count", len(hits))
            advised = routing.advise(query, y, text)
            trajectory = Trajectory(
                id=name,
                embedding=query,
                quality=0.0,
                text=text,
                task_type=self.swarm.task_type(query),
                agent=self.name,
                at_s=time.time(),
                context={**routing.context(advised), **carried()},
            )
            self._remember(trajectory)
            return TaskAdvice(
                trajectory_id=trajectory.id,
                text=text,
                task_type=trajectory.task_type,
                patterns=tuple(pattern_hit(hit, self._roles) for hit in hits),
                route=advised,
                is_fresh=self._is_fresh and not self.breaker.is_open,
                query=query,
                adapted=y,
            )

    def apply(self, pattern: PatternHit | str, task: str, **options: object) -> AppliedPattern:
        """Begin `task` by following `pattern`: a hit, or its pattern id. `after_task` then needs no `used`.

        Parameters
        ----------
        options : as in `before_task`

        Raises
        ------
        InputError, UnknownIdError
            For bad input or an unknown pattern; then no trajectory is open.
        """
        action, response, context = self._what_was_done(pattern, "")
        application = self.swarm.apply(pattern, task) if response else None
        advice = self.before_task(task, **options)  # type: ignore[arg-type]  # before_task checks them
        opened = self.opened(advice.trajectory_id)
        context = {**opened.context, **context}
        self._remember(replace(opened, action=action, response=response, context=context))
        return AppliedPattern(advice=advice, pattern_id=context["pattern"], action=action, application=application)

    def step(self, trajectory_id: str, reward: float, *, node: PatternHit | str = "", latency_ms: float = 0.0) -> None:
        """Record a step of a task under way: which tool or pattern, how well in [0, 1], how long.

        A step that used a pattern takes its share of the outcome, see `sona.credit`.
        """
        trajectory = self.opened(trajectory_id)
        if len(trajectory.steps) >= self.config.max_trajectory_steps:
            raise CapacityError(f"max_trajectory_steps is {self.config.max_trajectory_steps}: {trajectory_id} is full")
        step = Step(
            reward=check_number(reward, "reward", 0.0, 1.0),
            node=node.action if isinstance(node, PatternHit) else node,
            latency_ms=check_number(latency_ms, "latency_ms", 0.0, 1e12),
        )
        self._remember(replace(trajectory, steps=(*trajectory.steps, step)))

    def after_task(
        self,
        trajectory_id: str,
        *,
        success: bool | None = None,
        quality: float | None = None,
        used: PatternHit | str | None = None,
        output: str = "",
        route: str = "",
        latency_ms: float = 0.0,
        cost: float = 0.0,
        idempotency_key: str | None = None,
        wait: float = 0.0,
    ) -> Receipt:
        """Report what happened, learn from it at once, and answer a receipt.

        Parameters
        ----------
        success, quality : one of them: right or wrong, or a quality in [0, 1]
        used : the pattern that was followed (a hit of `before_task`, or its pattern id); by default that of `apply`
        output : what was done instead, or as well; it becomes a pattern of its own when none was used
        route : the model or tool that did it; latency in ms, cost in USD
        idempotency_key : reports with the same key count once, the first one; by default the trajectory's id
        wait : seconds to wait until it is searchable, so that the next hook sees it; the receipt says how far it came

        Raises
        ------
        UnknownIdError
            If the trajectory or the pattern is unknown.
        CapacityError
            If a bound is reached (`max_pending`, `spool_max_bytes`); the trajectory stays open.
        """
        check_number(wait, "wait", 0.0, 1e6)
        key = check_idempotency_key(trajectory_id, "trajectory_id")
        if idempotency_key is not None:
            key = check_idempotency_key(idempotency_key)
        try:
            trajectory = self.opened(trajectory_id)
        except UnknownIdError:
            if (first := self._earlier_receipt(key)) is None:
                raise
            return first
        action, response, context = self._what_was_done(used, output)
        if used is None and trajectory.action:
            # It was begun by `apply`: what came out is the outcome of the pattern, not one of its own.
            action, response, context = trajectory.action, trajectory.response, {}
        # In the trace of whoever calls, else where the task began.
        begun = () if traceparent() else [trajectory.context.get(TRACEPARENT, "")]
        with memory_span(MemoryOperation.CREATE, self.swarm.settings.name, agent=self.name, record=key, after=begun):
            ended = replace(
                trajectory,
                quality=quality_of(success, quality),
                action=action,
                response=response,
                route=route,
                latency_ms=check_number(latency_ms, "latency_ms", 0.0, 1e12),
                cost=check_number(cost, "cost", 0.0, 1e9),
                context={**trajectory.context, **context, **carried()},
            )
            if self._delivery.spooled and not self.breaker.is_open:
                self.refresh()
            ended = redacted(ended, self._delivery.redaction, self.swarm.embed)
            receipt = self._delivery.report(ended, key, is_registered=self._is_registered)
            self._close(trajectory_id)
            if receipt.is_new:
                self._learner.learn(ended)
                report_route(self.swarm, self.breaker, ended, receipt.stream_id)
        return self._awaited(receipt, wait) if wait else receipt

    def abandon(self, trajectory_id: str) -> None:
        """Close a trajectory that will have no outcome; nothing is learned from it."""
        self.opened(trajectory_id)
        self._delivery.forget(trajectory_id)
        self._close(trajectory_id)

    @contextmanager
    def task(self, text: str, *, paused_by: tuple[type[BaseException], ...] = (), **options: object) -> Iterator[Task]:
        """Hooks around a block: its success is the outcome, an exception its failure.

        with agent.task("rename a column") as task:
            task.used(task.advice.best)

        Exceptions of `paused_by` are none: the block will be begun anew, and nothing is learned from this time.
        """
        task = Task(self.before_task(text, **options))  # type: ignore[arg-type]  # before_task checks them
        started = time.perf_counter()
        try:
            yield task
        except paused_by:
            self.abandon(task.advice.trajectory_id)
            raise
        except BaseException as error:
            try:
                self._finish(task, 0.0, started)
            except SwarmError as refused:
                # What went wrong in the task is what the caller must see.
                self.breaker.noted(refused)
                error.add_note(f"this failure was not recorded: {refused}")
            raise
        self._finish(task, 1.0 if task.quality is None else task.quality, started)

    def on_task(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Decorator: hooks around a function whose first argument is the task's text.

        If it answers a text that can be stored, that is the task's output.
        """
        if any(is_deferred(function) for is_deferred in _DEFERRED):
            raise InputError("on_task takes a plain function: use `with agent.task(...)` inside one that is deferred")

        @wraps(function)
        def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            if not args or not isinstance(args[0], str):
                raise InputError("a function under on_task takes the task's text as its first argument")
            with self.task(args[0]) as task:
                result = function(*args, **kwargs)
                with suppress(TextError):
                    task.output = check_text(result)
                return result

        return wrapped

    # Training

    def finetune(
        self,
        task: str,
        examples: Iterable[Mapping[str, object]],
        epochs: int = 3,
        *,
        hold_out: float = 0.1,
        timeout_s: float = 60.0,
    ) -> FinetuneReport:
        """Learn a named task from examples, and say what that changed on some that were kept aside.

        They are outcomes as all others: recorded once, audited, gated, published to the swarm. Workers are not needed.

        Parameters
        ----------
        task : its name, such as "code-review"; one that the agent's task does not have yet ends that for EWC
        examples : mappings with "input" or "task" (or both), "output", and "reward" or "quality" in [0, 1] (1)
        epochs : passes of the base tier over them, 1..100
        hold_out : share of the examples, by their hash, that is never learned: the report is about these
        timeout_s : seconds to wait for the bank, should a worker be merging it

        Raises
        ------
        InputError
            If a value is out of bounds; nothing was recorded.
        StoreUnavailableError
            If Redis is away.
        StaleWriterError
            If another process has the agent's lease for a minute, or took over; a call with the same examples goes on.
        """
        check_text(task, "task")
        passes = check_count(epochs, "epochs", 1, 100)
        share = check_number(hold_out, "hold_out", 0.0, 0.9)
        patience = check_number(timeout_s, "timeout_s", 0.0, 1e6)
        lessons = lessons_of(examples, task, self.name)
        return Finetuner(self.swarm, self.name, self._ranked, self.refresh).learn(
            task, lessons, passes, share, patience
        )

    # State

    def refresh(self) -> bool:
        """Replay the spool, follow the bank, pick up new weights. False if that cannot be done now; see `health`."""
        self._refreshed_at = time.monotonic()
        self._is_fresh = False
        if self.breaker.is_open:
            return False
        try:
            if not self._is_registered:
                self._register()
            elif self._delivery.spooled:
                self._delivery.policy = self.swarm.agents.directory().policies.get(self.name, self._delivery.policy)
            self._delivery.replay()
            self._follow()
            self._keep()
        except StoreUnavailableError as error:
            self.breaker.failed(error)
            return False
        except RecordError as error:
            # Hooks fail open: with bytes in Redis that cannot be read, the agent goes on with what it has.
            self.breaker.noted(error)
            return False
        self.breaker.succeeded()
        self._is_fresh = True
        return True

    def drop_expired(self) -> int:
        """Let go of tasks that nobody has ended within `open_ttl`, here and in Redis; how many.

        Done by itself when a task is begun at the bound, and by who keeps many agents, from time to time; what no
        process has in memory any more, workers let go.
        """
        before_s = time.time() - self.swarm.settings.open_ttl
        with self._lock:
            old = [name for name, trajectory in self._open.items() if trajectory.at_s < before_s]
            for name in old:
                del self._open[name]
            self._unkept.difference_update(old)
            self._expired += len(old)
        if old:
            self._delivery.expire(old, before_s)
        return len(old)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Send what is spooled; False if some of it still waits after `timeout_s`, in the spool, for another time."""
        deadline = time.monotonic() + check_number(timeout_s, "timeout_s", 0.0, 1e9)
        while not self.refresh() or self._delivery.spooled:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_FLUSH_POLL_S)
        return True

    def export(self, timeout_s: float = 30.0) -> AgentExport:
        """All that this agent has learned, to be aggregated elsewhere: its patterns and both tiers of its adapter.

        What it reported is durable without this, and in its swarm it counts anyway.

        Raises
        ------
        StoreUnavailableError
            If Redis is away, or what is spooled cannot be sent within `timeout_s`: the export would not be whole.
        """
        if not self.flush(timeout_s):
            raise StoreUnavailableError(
                f"agent {self.name}: {self._delivery.spooled} outcomes are not in Redis after {timeout_s:g} s: "
                f"{self.breaker.last_error}"
            )
        return self.swarm.export(self.name, self._learner.micro())

    @overload
    def close(self, *, export: Literal[True], timeout_s: float = 5.0) -> AgentExport: ...

    @overload
    def close(self, *, export: Literal[False] = False, timeout_s: float = 5.0) -> None: ...

    def close(self, *, export: bool = False, timeout_s: float = 5.0) -> AgentExport | None:
        """End this agent's part in this process: send what is spooled, and hand over an export if one is wanted.

        Without an export nothing is raised: what cannot be sent waits in the spool for the agent's next process. If
        the export fails, the agent goes on.
        """
        exported = self.export(timeout_s) if export else None
        if not export and self.has_unsent:
            self.flush(timeout_s)
        self._delivery.close()
        return exported

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def opened(self, trajectory_id: str) -> Trajectory:
        """A task under way, perhaps one that an earlier process of this agent began.

        Raises
        ------
        UnknownIdError
            If it is unknown or has ended.
        StoreUnavailableError
            If Redis, the only one who may know, is away.
        """
        check_idempotency_key(trajectory_id, "trajectory_id")
        with self._lock:
            trajectory = self._open.get(trajectory_id)
        trajectory = trajectory or self._delivery.recall(trajectory_id)
        if trajectory is None:
            raise UnknownIdError(f"trajectory_id {shown(trajectory_id)} is unknown or has ended")
        return trajectory

    def receipt(self, idempotency_key: str) -> Receipt:
        """Where an outcome stands now, from the spool or from Redis."""
        check_idempotency_key(idempotency_key)
        return self._delivery.spooled_receipt(idempotency_key) or self.swarm.receipt(self.name, idempotency_key)

    def health(self) -> AgentHealth:
        """Counts of this process."""
        return AgentHealth(
            redis_failures=self.breaker.failures,
            last_error=self.breaker.last_error,
            spooled=self._delivery.spooled,
            generation=self.generation,
            instant_updates=self.instant_updates,
            open_tasks=len(self._open),
            expired_tasks=self._expired,
        )

    @property
    def unkept(self) -> int:
        """Tasks under way that this process alone knows, because Redis was away when they began."""
        return len(self._unkept)

    @property
    def has_unsent(self) -> bool:
        """Whether something waits here for Redis: outcomes in the spool, or tasks under way."""
        return self._delivery.spooled > 0 or self.unkept > 0

    @property
    def is_forgotten(self) -> bool:
        """Whether it was forgotten since this process saw it last, as Redis says now."""
        life = self._delivery.life
        return self._is_registered and self.swarm.agents.state(self.name).life > int(life or 0)

    @property
    def role(self) -> str:
        """What it does, as registered."""
        return self._roles.get(self.name, self._given_role or DEFAULT_ROLE)

    @property
    def config(self) -> SonaConfig:
        """The learning settings: those given, else those registered before, else the defaults."""
        return self._learner.config

    @property
    def policy(self) -> AgentPolicy:
        """How its evidence ages and what is taken out of its texts, as registered."""
        return self._delivery.policy

    def redact(self, text: str) -> str:
        """A text as its hooks take it: without what its policy takes out."""
        return self._delivery.redaction.text(text)

    def bend(self, query: Vector) -> Vector:
        """A query of shape (d,) as this agent's own adapter bends it."""
        return self._learner.bend(query, is_own_alone=True)

    @property
    def adapter(self) -> Adapter:
        """The adapter that bends this agent's queries."""
        return self._learner.adapter

    @property
    def generation(self) -> int:
        """The newest generation of this agent that this process has seen."""
        return self._learner.generation

    @property
    def instant_updates(self) -> int:
        """Steps of the instant loop in this process."""
        return self._learner.updates

    # Inner parts

    def _ranked(self, query: Vector) -> list[str]:
        """The actions that the hooks would advise for a query, best first."""
        y = self._learner.bend(query, is_own_alone=self._sources is not None)
        hits = self.swarm.replica.rank(query, RANKED, y=y, agents=self._sources, asker=self.name, config=self.config)
        return [hit.action for hit in hits]

    def _register(self) -> None:
        # Redis may have lost its data, or the agent was forgotten: its texts must not be stored as they are by that.
        is_known = self.name in self.swarm.agents.directory().roles
        policy = None if is_known else self._delivery.policy
        registration = self.swarm.register(self.name, self._given_role, self._given_config, policy=policy)
        if registration.config != self.config:
            self._learner.configure(registration.config)
        self._live(self.swarm.agents.life(self.name) or "0")
        self._delivery.policy = registration.policy
        self._is_registered = True
        ephemeral = SonaConfig.preset("ephemeral", dim=self.config.dim, seed=self.config.seed)
        if self.config == ephemeral if self._warm_start is None else self._warm_start:
            # Somebody who took over consolidates it already: then it is not new.
            with suppress(StaleWriterError):
                self.swarm.warm_start(self.name)

    def _follow(self) -> None:
        known = self.swarm.agents.directory()
        if self.name not in known.roles:
            # Redis has lost its data, or the swarm was erased: nobody would consolidate what we report.
            self.swarm.unbind()
            self._register()
            known = self.swarm.agents.directory()
            self._is_caught_up = False
        self._roles = dict(known.roles)
        self._delivery.policy = known.policies.get(self.name, NO_POLICY)
        self.swarm.replica.refresh()
        self.swarm.router.refresh()
        self._learner.follow()
        if str(self._learner.life) != self._delivery.life:
            # Forgotten, and made known anew by another process of this name.
            self._register()
            self._learner.follow()
        if not self._is_caught_up:
            self._catch_up()

    def _live(self, life: str) -> None:
        """Begin the life that the agent has now. After it was forgotten nothing of the former one goes on here."""
        if self._delivery.life not in ("", life):
            with self._lock:
                self._open.clear()
                self._unkept.clear()
            self._learner.begin_anew()
            self._is_caught_up = False
        self._delivery.life = life

    def _catch_up(self) -> None:
        """What an earlier process reported and no generation contains yet: the micro tier learns it again."""
        cursor = self.swarm.agents.state(self.name).cursor
        waiting = self._delivery.unconsolidated(cursor, _REPLAY)
        self._is_caught_up = True
        for record in waiting:
            # One that cannot be read teaches nothing; consolidation says why.
            with suppress(RecordError):
                trajectory = decode_trajectory(record)
                if len(trajectory.embedding) == self.config.dim:
                    self._learner.learn(trajectory)

    def _remember(self, trajectory: Trajectory) -> None:
        if not self._has_room(trajectory.id):
            self.drop_expired()
            if not self._has_room(trajectory.id):
                raise CapacityError(f"agent {self.name}: {MAX_OPEN} tasks are under way; end some first")
        trajectory = redacted(trajectory, self._delivery.redaction, self.swarm.embed)
        # First in Redis: if that refuses it, nothing has changed here.
        is_kept = self._delivery.remember(trajectory)
        with self._lock:
            self._open[trajectory.id] = trajectory
            (self._unkept.discard if is_kept else self._unkept.add)(trajectory.id)

    def _has_room(self, trajectory_id: str) -> bool:
        with self._lock:
            return trajectory_id in self._open or len(self._open) < MAX_OPEN

    def _close(self, trajectory_id: str) -> None:
        with self._lock:
            self._open.pop(trajectory_id, None)
            self._unkept.discard(trajectory_id)

    def _keep(self) -> None:
        """Let Redis know the tasks that were begun while it was away: another process may have to end them."""
        with self._lock:
            unkept = [self._open[name] for name in self._unkept]
        for opened in unkept:
            trajectory = redacted(opened, self._delivery.redaction, self.swarm.embed)
            if not self._delivery.remember(trajectory):
                return
            with self._lock:
                self._unkept.discard(trajectory.id)
                has_ended = trajectory.id not in self._open
            if has_ended:
                # In between, by another thread: its end came to Redis before its beginning.
                self._delivery.forget(trajectory.id)

    def _awaited(self, receipt: Receipt, wait_s: float) -> Receipt:
        """The receipt as it stands when its outcome is searchable, or after `wait_s`."""
        deadline = time.monotonic() + wait_s
        while not receipt.has_ended and time.monotonic() < deadline:
            time.sleep(_FLUSH_POLL_S)
            # While Redis is away, or the outcome waits in the spool for it, there is nothing to ask.
            with suppress(StoreUnavailableError, UnknownIdError):
                if receipt.state is not ReceiptState.SPOOLED or self.refresh():
                    receipt = replace(self.receipt(receipt.idempotency_key), is_new=receipt.is_new)
        self.refresh()
        return receipt

    def _earlier_receipt(self, key: str) -> Receipt | None:
        """The receipt of a report with this key, if there was one: a report that is repeated has no further effect."""
        try:
            return replace(self.receipt(key), is_new=False)
        except UnknownIdError:
            return None

    def _what_was_done(self, used: PatternHit | str | None, output: str) -> tuple[str, str, dict[str, str]]:
        """(action, response, context)."""
        if used is None:
            if isinstance(output, str) and output == "":
                return "", "", {}
            return action_of(check_text(output, "output")), output, {}
        if isinstance(used, PatternHit):
            others = sum(s.outcomes for s in used.sources if s.agent != self.name and s.role != "library")
            share = others / used.outcomes if used.outcomes else 0.0
            return used.action, used.response, {"pattern": used.pattern_id, "from_others": f"{share:.4f}"}
        found = self.swarm.replica.action_of(used) if isinstance(used, str) else None
        if found is None:
            raise UnknownIdError(f"used: pattern {shown(used)} is unknown")
        return found[0], found[1], {"pattern": used}

    def _finish(self, task: Task, quality: float, started: float) -> None:
        self.after_task(
            task.advice.trajectory_id,
            quality=quality,
            used=task.pattern,
            output=task.output,
            route=task.route,
            latency_ms=(time.perf_counter() - started) * 1e3,
            cost=task.cost,
        )


def _own_swarm() -> Swarm:
    settings = load_settings()
    return Swarm(settings, client=connect(settings.model_copy(update={"socket_timeout": settings.hook_timeout})))
