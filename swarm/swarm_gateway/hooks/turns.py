"""The tasks of one session, through the hooks of their agents: begun, stepped, reported, given up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

from swarm.errors import CapacityError, InputError, StoreUnavailableError, UnknownIdError
from swarm.services.guard import GuardedSwarm
from swarm.services.guard_hooks import GuardedHooks
from swarm.services.hits import PatternHit, found_by_similarity, pattern_hit
from swarm.sona.routing.request import check_route
from swarm.wire.hook_records import MAX_TURNS
from swarm.wire.keys import check_name
from swarm.wire.token_records import Role
from swarm_agents.advice import TaskAdvice
from swarm_gateway.gateway import Gateway
from swarm_gateway.hooks.context import context_of
from swarm_gateway.hooks.counts import HookCounts
from swarm_gateway.hooks.hide import hide_secrets
from swarm_gateway.hooks.rewards import Reading
from swarm_gateway.hooks.sessions import HookSession, Offered, Turn
from swarm_gateway.hooks.verdict import Evidence

MAX_ANSWER = 4_000
"""Characters of an answer that become a pattern."""
PATTERNS = 6
"""So many are looked at for those worth mentioning."""
SAME = 0.8
"""Who answers with so large a share of a pattern's words has followed it."""


class Turns:
    """The tasks of one session, as whoever tells of them may have them.

    Parameters
    ----------
    agent : who the agent of the session is; by default the token's agent, or one named like the client
    """

    def __init__(
        self, gateway: Gateway, counts: HookCounts, session: HookSession, asker: GuardedSwarm, agent: str
    ) -> None:
        self._gateway = gateway
        self._counts = counts
        self._session = session
        self._asker = asker
        access = asker.access
        self._is_agent = access is not None and access.role is Role.AGENT
        self._agent = agent or (access.agent if access is not None and self._is_agent else session.client)

    def make_ready(self) -> None:
        """Have the session's agent at hand when the first prompt comes."""
        with self._hooks(self._agent, ""):
            pass

    def new(self, agent_id: str, agent_type: str, at_s: float, text: str = "") -> Turn:
        """A task of the session's agent, or (with an id) of a sub-agent of a type; in the place of the one before."""
        agent, role = (self._sub_agent(agent_type), _slug(agent_type)) if agent_id else (self._agent, "")
        turns = self._session.turns
        turns.pop(agent_id, None)
        while len(turns) >= MAX_TURNS:
            oldest = next(name for name in turns if name)
            self.abandon(turns.pop(oldest))
        turns[agent_id] = Turn(agent=agent, role=role, began_s=at_s, text=hide_secrets(text))
        return turns[agent_id]

    def begin(self, turn: Turn, origin: str, at_s: float) -> str:
        """Begin a task whose text is known; what is known for it, worded. `origin` names the event that began it."""
        turn.began_s = at_s
        turn.trajectory_id = _trajectory_id(self._session, origin)
        hits = self._open(turn)
        turn.offered = tuple(Offered(pattern_id=hit.pattern_id, words=_words(hit.response)) for hit in hits)
        budget = self._gateway.settings.hook_tokens
        return context_of(hits, budget) if budget else ""

    def step(self, turn: Turn, reading: Reading, latency_ms: float) -> None:
        """Record a step of it."""
        if not turn.trajectory_id or reading.reward is None:
            return
        try:
            with self._hooks(turn.agent, turn.role) as hooks:
                hooks.step(turn.trajectory_id, reading.reward, node=reading.node, latency_ms=latency_ms)
            turn.steps += 1
            self._counts.did("steps")
        except CapacityError:
            # What was seen counts all the same; only the step is not kept.
            self._counts.did("steps_left_out")
        except UnknownIdError:
            self._lost(turn)

    def reopen(self, turn: Turn) -> None:
        """Take a task up again after its outcome: what follows is an outcome of its own, of the same task."""
        if not turn.trajectory_id or not turn.text:
            return
        turn.part += 1
        turn.trajectory_id = f"{turn.trajectory_id.partition('.')[0]}.{turn.part}"
        turn.evidence, turn.steps, turn.tokens = Evidence(), 0, 0
        turn.is_reported = turn.is_ended = False
        self._open(turn)

    def settle(self, turn: Turn, at_s: float) -> None:
        """Report what was seen of it, if that speaks for anything and was not reported yet."""
        if not turn.is_reported and (quality := turn.evidence.quality()) is not None:
            self.report(turn, quality, at_s)

    def report(self, turn: Turn, quality: float, at_s: float) -> None:
        """Report its outcome."""
        if not turn.trajectory_id:
            self._counts.did("unattached")
            return
        try:
            with self._hooks(turn.agent, turn.role) as hooks:
                hooks.after_task(
                    turn.trajectory_id,
                    quality=quality,
                    **self._answer(turn),
                    route=_route(self._session.model),
                    latency_ms=max(at_s - turn.began_s, 0.0) * 1e3,
                    cost=turn.tokens * self._gateway.settings.hook_price / 1e6,
                )
            turn.is_reported = True
            self._counts.did("outcomes")
        except UnknownIdError:
            self._lost(turn)

    def end(self, turn: Turn, at_s: float) -> None:
        """Settle it, or give it up: nobody will say more of it."""
        self.settle(turn, at_s)
        if not turn.is_reported:
            self.abandon(turn)

    def abandon(self, turn: Turn) -> None:
        """Give it up: there will be no outcome."""
        if not turn.trajectory_id:
            return
        # With Redis away, one that an earlier process began stays open there.
        with suppress(UnknownIdError, StoreUnavailableError), self._hooks(turn.agent, turn.role) as hooks:
            hooks.abandon(turn.trajectory_id)
        turn.trajectory_id = ""
        self._counts.did("abandoned")

    # Inner parts

    def _open(self, turn: Turn) -> tuple[PatternHit, ...]:
        with self._hooks(turn.agent, turn.role) as hooks:
            # No routes: which model it is was chosen already.
            advice = hooks.before_task(turn.text, k=PATTERNS, trajectory_id=turn.trajectory_id, routes=())
        self._counts.did("begun")
        return (*advice.patterns, *self._failures(advice))

    def _failures(self, advice: TaskAdvice) -> Iterator[PatternHit]:
        """What did not work in tasks like this one, of those that the advice does not hold: it ranks what may work."""
        advised = {hit.action for hit in advice.patterns}
        for hit in self._gateway.swarm.replica.nearest(advice.query, PATTERNS):
            if hit.cluster.confirmed and not hit.cluster.positive and hit.cluster.action not in advised:
                yield pattern_hit(found_by_similarity(hit), {})

    def _answer(self, turn: Turn) -> dict[str, Any]:
        """What was done: a pattern that was offered, if the answer says the same; else the answer."""
        message = hide_secrets(turn.message)[:MAX_ANSWER]
        if not message.strip():
            return {}
        words = _words(message)
        for one in turn.offered:
            is_same = words and len(words & one.words) >= SAME * len(words | one.words)
            if is_same and self._gateway.swarm.replica.action_of(one.pattern_id) is not None:
                return {"used": one.pattern_id}
        return {"output": message}

    def _lost(self, turn: Turn) -> None:
        """The trajectory is gone: forgotten, or lost with Redis's file."""
        turn.trajectory_id = ""
        self._counts.did("lost")

    @contextmanager
    def _hooks(self, agent: str, role: str) -> Iterator[GuardedHooks]:
        # The role of a token's own agent is an operator's to give.
        with self._gateway.hooks(self._asker, agent, None if self._is_agent else role or None) as hooks:
            yield hooks

    def _sub_agent(self, agent_type: str) -> str:
        """Who a sub-agent of this type is; under an agent's token that agent, because it may act as no other."""
        if self._is_agent:
            return self._agent
        return check_name(f"{self._agent[:30]}.{_slug(agent_type) or 'subagent'}", "agent")


def _trajectory_id(session: HookSession, origin: str) -> str:
    # Of the event, so that one which comes again, from a file, opens nothing new.
    name = "\0".join((session.client, session.session, origin))
    return f"hook-{sha256(name.encode()).hexdigest()[:24]}"


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _route(model: str) -> str:
    try:
        return check_route(model, "model") if model else ""
    except InputError:
        return ""


def _slug(text: str) -> str:
    """What can stand in a name of an agent or role.

    >>> _slug("Code Reviewer (strict)")
    'Code-Reviewer-strict'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-._")[:30]
