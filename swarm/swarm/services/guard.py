"""`GuardedSwarm`: a swarm as a token may use it. Everything that leaves the machine goes through it.

guarded = GuardedSwarm(Swarm(), token)
guarded.submit("rename a column", role="coder")      # as the agent of the token, whoever it says it is
guarded.hooks(agent).before_task("parse a date")     # refused, if `agent` is another one

What a token may is in `policy`; how a call is judged, in `gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal, Unpack, overload

from swarm.services.access import Access, AccessControl
from swarm.services.applying import Application, Fill
from swarm.services.backup import BackupReport
from swarm.services.execution import ConsensusRule, ExecutionReport
from swarm.services.find import Found, split_id
from swarm.services.forget_report import Forgetting
from swarm.services.gate import Gate
from swarm.services.guard_events import GuardedEvents
from swarm.services.guard_hooks import GuardedHooks, Hooks
from swarm.services.guard_tasks import GuardedTasks
from swarm.services.history import Version
from swarm.services.hits import PatternHit
from swarm.services.patterns import PatternDetail, PatternOrder, PatternPage
from swarm.services.quarantine import Quarantine
from swarm.services.receipts import Receipt
from swarm.services.registering import DEFAULT_ROLE
from swarm.services.retention import PinView, RetentionView
from swarm.services.rewind_report import Rewind
from swarm.services.rollback import Rollback
from swarm.services.route_advice import RouteAdvice
from swarm.services.router import Replay
from swarm.services.status import AgentView, SwarmStatus
from swarm.services.swarm import Swarm
from swarm.services.tasks import TaskOptions, TaskReceipt
from swarm.services.verdict import AgentResult
from swarm.services.warm_start import WarmStart
from swarm.sona.config import SonaConfig
from swarm.sona.export import AgentExport
from swarm.sona.lora import LoraPair
from swarm.sona.trajectory import Trajectory
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy
from swarm.wire.keys import check_name
from swarm.wire.records import Registration
from swarm.wire.retention_records import Retention, Tombstone


class GuardedSwarm:
    """The operations of a swarm that a token allows; the others raise `ForbiddenError`.

    Parameters
    ----------
    swarm : the swarm, on a connection that may do everything
    token : whose calls these are; None for whoever has that connection anyway, who may do everything

    Raises
    ------
    TokenError
        If the token is none of this swarm's, or has expired.
    """

    def __init__(self, swarm: Swarm, token: str | None) -> None:
        control = AccessControl(swarm.settings, swarm.client)
        self._swarm = swarm
        self._gate = Gate(swarm.settings, control, None if token is None else control.authenticate(token))
        self.tasks = GuardedTasks(swarm, self._gate)
        self.events = GuardedEvents(swarm, self._gate)

    def over(self, swarm: Swarm) -> GuardedSwarm:
        """The same token on another connection to its swarm, such as one that is more patient."""
        other = copy(self)
        other._swarm = swarm
        other.tasks, other.events = GuardedTasks(swarm, self._gate), GuardedEvents(swarm, self._gate)
        return other

    @property
    def access(self) -> Access | None:
        """Who asks; None without a token."""
        return self._gate.access

    def require_operator(self, what: str) -> None:
        """Refuse everybody but an operator to do `what`."""
        self._gate.require_operator(what)

    def require_hooks(self, agent: str) -> None:
        """Refuse who may not use the hooks of the agent of this name, before a process hosts it for them."""
        if self._gate.access is not None:
            self._gate.allowed(self._gate.access, "hooks.before_task")
        self._gate.own("hooks.before_task", agent)

    def hooks(self, agent: Hooks) -> GuardedHooks:
        """The hooks of an agent that this process hosts, for its own token or an operator's."""
        return GuardedHooks(agent, self._gate)

    # What the swarm knows

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
        """See `Swarm.query`."""
        self._gate.enter("query", text, agents, roles)
        if group_by is None:
            return self._swarm.query(text, agents=agents, roles=roles, min_quality=min_quality, k=k)
        return self._swarm.query(text, agents=agents, roles=roles, min_quality=min_quality, k=k, group_by=group_by)

    def recall(self, text: str, k: int = 5) -> list[PatternHit]:
        """See `Swarm.recall`."""
        self._gate.enter("recall", text)
        return self._swarm.recall(text, k)

    def retrieve_patterns(
        self,
        task: str,
        k: int = 5,
        min_reward: float = 0.85,
        source_agents: Collection[str] | None = None,
        filters: Mapping[str, str] | None = None,
        min_similarity: float = 0.0,
    ) -> list[PatternHit]:
        """See `Swarm.retrieve_patterns`."""
        self._gate.enter("retrieve_patterns", task, source_agents, filters)
        return self._swarm.retrieve_patterns(task, k, min_reward, source_agents, filters, min_similarity)

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
        """See `Swarm.patterns`."""
        self._gate.enter("patterns", agents, roles, task_type)
        return self._swarm.patterns(
            agents=agents, roles=roles, task_type=task_type, order=order, offset=offset, limit=limit
        )

    def pattern(self, pattern_id: str) -> PatternDetail:
        """See `Swarm.pattern`."""
        self._gate.enter("pattern", pattern_id)
        return self._swarm.pattern(pattern_id)

    def apply(self, pattern: PatternHit | str, new_task: str, *, fill: Fill | None = None) -> Application:
        """See `Swarm.apply`."""
        # By its id: what a hit from outside says of the pattern may be made up.
        pattern_id = pattern.pattern_id if isinstance(pattern, PatternHit) else pattern
        self._gate.enter("apply", pattern_id, new_task)
        return self._swarm.apply(pattern_id, new_task, fill=fill)

    def roles(self) -> dict[str, str]:
        """See `Swarm.roles`."""
        self._gate.enter("roles")
        return self._swarm.roles()

    def agent(self, name: str) -> AgentView:
        """See `Swarm.agent`."""
        self._gate.enter("agent", name)
        return self._swarm.agent(name)

    def status(self) -> SwarmStatus:
        """See `Swarm.status`."""
        self._gate.enter("status")
        return self._swarm.status()

    def retention(self) -> RetentionView:
        """See `Swarm.retention`."""
        self._gate.enter("retention")
        return self._swarm.retention()

    # What an agent does

    def route(self, text: str, *, agent: str = "", **options: Any) -> RouteAdvice:
        """See `Swarm.route`; an agent asks as itself."""
        self._gate.enter("route", text, agent, options)
        agent = self._as_agent("route", agent)
        self._gate.name_session(options)
        return self._swarm.route(text, agent=agent, **options)

    def decision(self, decision_id: str) -> Replay:
        """See `Swarm.decision`; an agent sees those that were made for it."""
        self._gate.enter("decision", decision_id)
        found = self._swarm.decision(decision_id)
        self._gate.own("decision", found.decision.agent)
        return found

    def register(
        self,
        agent: str,
        role: str | None = None,
        config: SonaConfig | None = None,
        *,
        template: str | None = None,
        policy: AgentPolicy | None = None,
    ) -> Registration:
        """See `Swarm.register`; an agent makes itself known, in the role and with the configuration that it has.

        Its role decides which tasks it may claim, and its policy what is never stored: an operator gives it others.
        """
        self._gate.enter("register", agent, role, config, template, policy)
        self._gate.own("register", agent)
        if self._gate.agent:
            known = self._swarm.agents.registration(agent)
            if role is not None and check_name(role, "role") != (known.role if known else DEFAULT_ROLE):
                raise self._gate.refusal("register", f"in role {role!r}, which an operator gives")
            if config is not None and not (known and isinstance(config, SonaConfig) and config == known.config):
                raise self._gate.refusal("register", "with another configuration, which an operator gives")
            if template is not None and not (known and template == known.template):
                raise self._gate.refusal("register", "from another template, which an operator gives")
            if policy is not None and policy != (known.policy if known else NO_POLICY):
                raise self._gate.refusal("register", "with another policy, which an operator gives")
        return self._swarm.register(agent, role, config, template=template, policy=policy)

    def warm_start(self, agent: str, *, roles: Collection[str] | None = None) -> WarmStart:
        """See `Swarm.warm_start`."""
        self._gate.enter("warm_start", agent, roles)
        self._gate.own("warm_start", agent)
        return self._swarm.warm_start(agent, roles=roles)

    def store_pattern(self, task: str, output: str, reward: float = 1.0, *, agent: str = "", **options: Any) -> Receipt:
        """See `Swarm.store_pattern`; an agent stores as itself, and is registered already."""
        self._gate.enter("store_pattern", task, output, agent, options)
        agent = self._as_agent("store_pattern", agent)
        if self._gate.agent and self._swarm.agents.registration(agent) is None:
            # Else it would become a library, whose word is believed.
            self._swarm.register(agent)
        if not isinstance(agent, str) or agent:
            options["agent"] = agent
        return self._swarm.store_pattern(task, output, reward, **options)

    def record(self, trajectory: Trajectory, idempotency_key: str) -> Receipt:
        """See `Swarm.record`."""
        self._gate.enter("record", trajectory, idempotency_key)
        self._gate.own("record", getattr(trajectory, "agent", None))
        return self._swarm.record(trajectory, idempotency_key)

    def record_many(
        self, trajectories: Sequence[Trajectory], idempotency_keys: Sequence[str] | None = None
    ) -> list[Receipt]:
        """See `Swarm.record_many`."""
        self._gate.enter("record_many", trajectories, idempotency_keys)
        for trajectory in trajectories:
            self._gate.own("record_many", getattr(trajectory, "agent", None))
        return self._swarm.record_many(trajectories, idempotency_keys)

    def receipt(self, agent: str, idempotency_key: str) -> Receipt:
        """See `Swarm.receipt`."""
        self._gate.enter("receipt", agent, idempotency_key)
        self._gate.own("receipt", agent)
        return self._swarm.receipt(agent, idempotency_key)

    def find(self, receipt_id: str) -> Found:
        """See `Swarm.find`; an agent finds what it reported, its generations, and its tasks as by `tasks.find`."""
        kind, rest = split_id(receipt_id)
        if kind == "task":
            return self.tasks.find(rest)
        return self.follow(receipt_id)()

    def follow(self, receipt_id: str) -> Callable[[], Found]:
        """As `find`, to be asked again and again how it stands, which counts as one call."""
        kind, rest = split_id(receipt_id)
        if kind == "task":
            self.tasks.find(rest)
        else:
            self._gate.enter("find", receipt_id)
            if kind != "merge":
                self._gate.own("find", rest.partition("/")[0])
        return lambda: self._swarm.find(receipt_id)

    def wait(self, receipt: Receipt, timeout_s: float = 30.0) -> Receipt:
        """See `Swarm.wait`; an hour at most."""
        self._gate.enter("wait", receipt)
        self._gate.own("wait", getattr(receipt, "agent", None))
        return self._swarm.wait(receipt, self._gate.patience(timeout_s, "timeout_s"))

    def export(self, agent: str, micro: LoraPair) -> AgentExport:
        """See `Swarm.export`."""
        self._gate.enter("export", agent)
        self._gate.own("export", agent)
        return self._swarm.export(agent, micro)

    def history(self, agent: str) -> list[Version]:
        """See `Swarm.history`."""
        self._gate.enter("history", agent)
        self._gate.own("history", agent)
        return self._swarm.history(agent)

    def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """See `GuardedTasks.submit`."""
        return self.tasks.submit(task, **options)

    # What an operator does

    def decisions(self, count: int = 50) -> list[Replay]:
        """See `Swarm.decisions`."""
        self._gate.enter("decisions")
        return self._swarm.decisions(count)

    def learn_from_swarm_execution(
        self,
        task: str,
        results: Mapping[str, AgentResult | str],
        consensus: ConsensusRule = "weighted",
        **options: Any,
    ) -> ExecutionReport:
        """See `Swarm.learn_from_swarm_execution`."""
        self._gate.enter("learn_from_swarm_execution", task, results)
        return self._swarm.learn_from_swarm_execution(task, results, consensus, **options)

    def rollback(self, agent: str, version: int) -> Rollback:
        """See `Swarm.rollback`."""
        self._gate.enter("rollback", agent)
        return self._swarm.rollback(agent, version)

    def rewind(self, trajectory: str | None = None, *, agent: str | None = None, retrain: bool = True) -> Rewind:
        """See `Swarm.rewind`."""
        self._gate.enter("rewind", trajectory, agent)
        return self._swarm.rewind(trajectory, agent=agent, retrain=retrain)

    def quarantine(self, agent: str, *, by: str = "") -> Quarantine:
        """See `Swarm.quarantine`."""
        self._gate.enter("quarantine", agent, by)
        return self._swarm.quarantine(agent, by=by)

    def release(self, agent: str, *, by: str = "") -> Quarantine:
        """See `Swarm.release`."""
        self._gate.enter("release", agent, by)
        return self._swarm.release(agent, by=by)

    def forget(
        self, *, pattern: str | None = None, trajectory: str | None = None, agent: str | None = None, by: str = ""
    ) -> Forgetting:
        """See `Swarm.forget`."""
        self._gate.enter("forget", pattern, trajectory, agent, by)
        return self._swarm.forget(pattern=pattern, trajectory=trajectory, agent=agent, by=by)

    def backup(self, path: str | Path) -> BackupReport:
        """See `Swarm.backup`; whoever serves this call chooses the path, not who makes it."""
        self._gate.enter("backup")
        return self._swarm.backup(path)

    def tombstones(self) -> list[Tombstone]:
        """See `Swarm.tombstones`."""
        self._gate.enter("tombstones")
        return self._swarm.tombstones()

    def set_retention(self, *, half_life_s: float | None = None, ttl_s: float | None = None) -> Retention:
        """See `Swarm.set_retention`."""
        self._gate.enter("set_retention")
        return self._swarm.set_retention(half_life_s=half_life_s, ttl_s=ttl_s)

    def pin(self, pattern_id: str, *, by: str = "") -> PinView:
        """See `Swarm.pin`."""
        self._gate.enter("pin", pattern_id, by)
        return self._swarm.pin(pattern_id, by=by)

    def unpin(self, pattern_id: str) -> PinView:
        """See `Swarm.unpin`."""
        self._gate.enter("unpin", pattern_id)
        return self._swarm.unpin(pattern_id)

    def _as_agent(self, operation: str, agent: str) -> str:
        """The agent to act as: its own for an agent that names none."""
        if self._gate.agent and isinstance(agent, str) and agent == "":
            return self._gate.agent
        self._gate.own(operation, agent)
        return agent
