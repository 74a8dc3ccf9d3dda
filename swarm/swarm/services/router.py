"""The router: which model, tool, prompt, agent or variant a task goes to, and what was decided before.

advice = swarm.route("rename a column", routes=["small", "large"], strategy="cost", min_quality=0.8)
print(advice.route, advice.expected_quality, advice.cost, advice.why)
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from swarm.errors import NoRouteError, UnknownIdError, shown
from swarm.services.route_advice import RouteAdvice, RouteQuestion, advice_of
from swarm.services.route_learning import RouteKnowledge
from swarm.sona.index import Hit
from swarm.sona.routing.choice import Choice, choose
from swarm.sona.routing.model import RouteEstimate
from swarm.sona.routing.request import RouteRequest, check_route
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm.store.budgets import SWARM, BudgetStore, agent_scope
from swarm.store.connection import Client
from swarm.store.routes import RouteStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.route_records import Decision, Session

MAX_SESSIONS = 10_000
"""Sessions that a process remembers while Redis is away; the one unused for longest goes first."""
_ATTEMPTS = 5
"""Others spend at the same time: so often a decision begins anew with what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A stored decision, and the choice made again from what it hung on."""

    decision: Decision
    again: Choice

    @property
    def is_same(self) -> bool:
        """Whether both came to the same, for the same reason."""
        return (self.again.route, self.again.why) == (self.decision.route, self.decision.why)


class Router:
    """The router of one swarm in this process.

    Parameters
    ----------
    dim : dimension of the swarm's embeddings
    decision_ttl_s : how long decisions, and what they reserve in budgets, are kept
    """

    def __init__(self, client: Client, keys: SwarmKeys, dim: int, decision_ttl_s: float) -> None:
        self.store = RouteStore(client, keys, decision_ttl_s)
        self.budgets = BudgetStore(client, keys, decision_ttl_s)
        self.knowledge = RouteKnowledge(dim)
        self._version: str | None = None
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def refresh(self) -> None:
        """Pick up new statistics and declarations.

        Raises
        ------
        StoreUnavailableError
            If Redis is away; what is known stays.
        """
        found = self.store.published_since(self._version)
        priors = {name: declared.prior() for name, declared in self.store.declared().items()}
        self.knowledge.follow(None if found is None else found.published, priors)
        if found is not None:
            self._version = found.version

    def decide(
        self,
        question: RouteQuestion,
        query: Vector,
        text: str,
        near: Sequence[Hit],
        *,
        tools: Sequence[str] = (),
        agent: str = "",
        is_online: bool = True,
    ) -> RouteAdvice | None:
        """The route for a task; None if none was given and none is known.

        Parameters
        ----------
        query, near : embedding of the task, and the patterns around it
        tools : names of the tools that are offered for the task
        agent : who asks; its budget applies beside the swarm's
        is_online : with False Redis is left alone: budgets are not asked, and the decision is not kept

        Raises
        ------
        NoRouteError
            If every route breaks a bound, and there is no fallback.
        StoreUnavailableError
            If Redis is away.
        """
        phi = self.knowledge.features(query, text, tools)
        estimates = self.knowledge.estimates(phi, near, _candidates(question))
        if not estimates:
            return None
        session = self._session(question.session, is_online)
        request = replace(
            question.request,
            sticky=session.route,
            failed=tuple(dict.fromkeys([*question.request.failed, *session.failed])),
        )
        if question.max_cost_per_task is not None:
            request = replace(request, budget_left=max(0.0, question.max_cost_per_task - session.spent))
        decision_id = uuid.uuid4().hex
        if is_online:
            request, choice = self._within_budgets(decision_id, request, estimates, agent)
        else:
            choice = choose(estimates, request)
        cost = choice.chosen.expected.cost or 0.0
        if question.max_cost_per_task is not None and session.spent + cost > question.max_cost_per_task:
            raise NoRouteError(f"{choice.why}; and max_cost_per_task leaves too little for the fallback")
        session = replace(session, route=choice.route, spent=session.spent + cost)
        if question.session:
            self._remember(question.session, session)
        if is_online:
            decision = Decision(
                id=decision_id,
                text=text,
                agent=agent,
                session=question.session,
                at_s=time.time(),
                request=request,
                estimates=estimates,
                route=choice.route,
                why=choice.why,
            )
            self.store.keep(decision, session if question.session else None, choice.reason)
        return advice_of(choice, decision_id if is_online else "")

    def learn(self, trajectory: Trajectory, stream_id: str) -> None:
        """Learn from an outcome at once; the published statistics follow."""
        self.knowledge.learn(trajectory, stream_id)

    def settle(self, decision_id: str, cost: float) -> bool:
        """Put what a task cost in place of what its decision reserved, once."""
        return self.budgets.settle(decision_id, cost)

    def failed(self, session: str, route: str, *, is_online: bool = True) -> None:
        """Note that a route failed in a session: its next decision is an upgrade, and never that route again."""
        known = self._session(session, is_online)
        value = replace(known, route="", failed=tuple(dict.fromkeys([*known.failed, route])))
        self._remember(session, value)
        if is_online:
            self.store.put_session(session, value)

    def replay(self, decision_id: str) -> tuple[Decision, Choice]:
        """See `replay_decision`."""
        return replay_decision(self.store, decision_id)

    def _session(self, session: str, is_online: bool) -> Session:
        if not session:
            return Session()
        if is_online:
            return self.store.session(session)
        return self._sessions.get(session, Session())

    def _remember(self, session: str, value: Session) -> None:
        self._sessions[session] = value
        self._sessions.move_to_end(session)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)

    def _within_budgets(
        self, decision_id: str, request: RouteRequest, estimates: dict[str, RouteEstimate], agent: str
    ) -> tuple[RouteRequest, Choice]:
        """Choose and reserve; somebody else may spend in between, then again with what is left."""
        scopes = [SWARM, agent_scope(agent)] if agent else [SWARM]
        own = [] if request.budget_left is None else [request.budget_left]
        for _ in range(_ATTEMPTS):
            spending = self.budgets.spending()
            applying = {scope: spending[scope] for scope in scopes if scope in spending}
            if not applying:
                return request, choose(estimates, request)
            request = replace(request, budget_left=min([*own, *(one.left for one in applying.values())]))
            choice = choose(estimates, request)
            cost = choice.chosen.expected.cost or 0.0
            refused = self.budgets.reserve(decision_id, cost, list(applying))
            if refused is None:
                return request, choice
            if choice.is_fallback:
                raise NoRouteError(f"{choice.why}; and the budget of {refused} has too little left for the fallback")
        raise NoRouteError(f"the budget of {', '.join(applying)} is spent by others faster than it can be read")


def _candidates(question: RouteQuestion) -> list[str] | None:
    if question.routes is None:
        return None
    fallback = [question.request.fallback] if question.request.fallback else []
    return list(dict.fromkeys([*question.routes, *fallback]))


def replay_decision(store: RouteStore, decision_id: str) -> tuple[Decision, Choice]:
    """A stored decision, and the choice made again from what it hung on: the same, bit for bit.

    Raises
    ------
    UnknownIdError
        If there is no such decision, or it has expired.
    """
    decision = store.decision(check_route(decision_id, "decision_id"))
    if decision is None:
        raise UnknownIdError(
            f"decision {shown(decision_id)} is unknown or has expired: swarm route shows the id of each"
        )
    return decision, made_again(decision)


def made_again(decision: Decision) -> Choice:
    """The choice made again from what a decision hung on."""
    return choose(decision.estimates, decision.request)
