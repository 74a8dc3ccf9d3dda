"""What each event does: a prompt begins a task, a tool's end is a step of it, the end of a turn is its outcome.

A sub-agent is an agent of its own, with the task that it was handed. The events of its start and its end come beside
the call that handed it over, and some may be missing: whatever comes first takes up what is known, and the end of the
turn, or of the session, settles what is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

from swarm.errors import CapacityError, InputError, SwarmError, UnknownIdError
from swarm.services.guard import GuardedSwarm
from swarm.services.guard_hooks import GuardedHooks
from swarm.services.hits import PatternHit, found_by_similarity, pattern_hit
from swarm.sona.routing.request import check_route
from swarm.wire.hook_records import MAX_TURNS
from swarm.wire.keys import check_name
from swarm.wire.token_records import Role
from swarm_agents.advice import TaskAdvice
from swarm_gateway.gateway import Gateway
from swarm_gateway.hooks.clients import CLIENTS
from swarm_gateway.hooks.context import context_of
from swarm_gateway.hooks.counts import HookCounts
from swarm_gateway.hooks.events import EventKind, HookEvent, id_of, number_of, text_of
from swarm_gateway.hooks.hide import hide_secrets
from swarm_gateway.hooks.rewards import DELEGATES, Reading, read_result
from swarm_gateway.hooks.sessions import MAX_WAITING, Delegation, HookSession, Offered, Sessions, Turn, bounded
from swarm_gateway.hooks.verdict import CONFIRMED, CORRECTED, Evidence, after_confirmation, is_continuation, word_of

MAX_ANSWER = 4_000
"""Characters of an answer that become a pattern."""
PATTERNS = 10
"""So many are looked at for those worth mentioning."""
MAX_TOKENS = 10**12
SAME = 0.8
"""Who answers with so large a share of a pattern's words has followed it."""
_SLASH = re.compile(r"/\S*")
_FAILED_CALL = Reading(node="", reward=None, speaks=False)


class Recorder:
    """Events in, context out. Its methods take as long as Redis takes; they may be called from several threads."""

    def __init__(self, gateway: Gateway, sessions: Sessions, counts: HookCounts) -> None:
        self._gateway = gateway
        self._sessions = sessions
        self._counts = counts

    def handle(self, event: HookEvent, asker: GuardedSwarm, agent: str = "") -> str:
        """Have an event its effect, once; what to tell the agent, "" for nothing.

        Parameters
        ----------
        agent : who the agent of the session is; by default the token's agent, or one named like the client

        Raises
        ------
        SwarmError
            If it is refused; what it began is as it was, or known as lost.
        """
        if event.kind is EventKind.OTHER:
            return ""
        with self._sessions.open(event.client, event.session) as session:
            is_prompt = event.kind is EventKind.PROMPT
            if session.is_repeated(event.id) or session.is_echo(event.text if is_prompt else "", event.at_s):
                self._counts.did("repeated")
                return ""
            session.at_s, session.model = max(session.at_s, event.at_s), event.model or session.model
            session.is_changed = event.kind is not EventKind.TOOL_START
            return _Session(self._gateway, self._counts, session, asker, agent).take(event)

    def settle(self, client: str, session: str, asker: GuardedSwarm, before_s: float) -> None:
        """End a session that nothing was heard of since `before_s`."""
        with self._sessions.open(client, session) as found:
            if found.at_s <= before_s:
                _Session(self._gateway, self._counts, found, asker, "").end_all()
                self._counts.did("expired")


class _Session:
    """One event of one session."""

    def __init__(
        self, gateway: Gateway, counts: HookCounts, session: HookSession, asker: GuardedSwarm, agent: str
    ) -> None:
        self._gateway = gateway
        self._settings = gateway.settings
        self._counts = counts
        self._session = session
        self._asker = asker
        access = asker.access
        self._is_agent = access is not None and access.role is Role.AGENT
        self._agent = agent or (access.agent if access is not None and self._is_agent else session.client)

    def take(self, event: HookEvent) -> str:
        """Have the event its effect."""
        match event.kind:
            case EventKind.SESSION_START:
                # So that the agent is at hand when the first prompt comes.
                with self._hooks(self._agent, ""):
                    return ""
            case EventKind.PROMPT:
                return self._prompt(event)
            case EventKind.TOOL_START:
                return self._tool_start(event)
            case EventKind.TOOL_END | EventKind.TOOL_FAILED:
                return self._tool_end(event)
            case EventKind.AGENT_START:
                return self._agent_start(event)
            case EventKind.AGENT_END:
                self._agent_end(event)
            case EventKind.MESSAGE:
                self._turn(event).message = event.text
            case EventKind.TURN_END:
                self._turn_end(event)
            case EventKind.SESSION_END:
                self.end_all()
        return ""

    # The agent that the user talks to

    def _prompt(self, event: HookEvent) -> str:
        before = self._session.turns.get("")
        word = word_of(event.text)
        if before is not None:
            self._close(before, event.at_s, word)
        text = event.text.strip()
        if word == CONFIRMED:
            text = after_confirmation(text)
            # What is confirmed is not gone on with.
            before = None
        if not text or _SLASH.fullmatch(text):
            return ""
        if before is not None and before.text and (word == CORRECTED or is_continuation(text)):
            # It goes on with the task before; what was corrected belongs to it.
            text = f"{before.text}\n{text}" if word == CORRECTED else before.text
        elif is_continuation(text):
            return ""
        turn = self._put("", Turn(agent=self._agent, text=hide_secrets(text)))
        return self._begin(turn, "", event.id, event.at_s)

    def _turn_end(self, event: HookEvent) -> None:
        for agent_id, turn in list(self._session.turns.items()):
            if agent_id and turn.is_ended:
                # Its call never came back: what it cost stays unknown.
                self._end(turn, event.at_s)
                self._session.turns.pop(agent_id, None)
        turn = self._turn(event)
        turn.is_ended, turn.message = True, event.text or turn.message
        turn.evidence.is_interrupted |= event.is_interrupt
        self._report_if_known(turn, event.at_s)

    def _close(self, turn: Turn, at_s: float, word: float | None) -> None:
        """The user goes on: settle the task before, and note what the user says of it."""
        self._report_if_known(turn, at_s)
        if word is not None and turn.trajectory_id and turn.text:
            if turn.is_reported:
                self._reopen(turn)
            self._report(turn, word, at_s)
            self._counts.did("words")
        elif not turn.is_reported:
            self._abandon(turn)

    # Tools

    def _tool_start(self, event: HookEvent) -> str:
        bounded(self._session.starts, MAX_WAITING)[event.tool_use_id] = event.at_s
        text = hide_secrets(text_of(event.tool_input, "prompt", "description"))
        if event.tool in DELEGATES and text:
            handed = Delegation(agent_type=id_of(event.tool_input, "subagent_type", "agent_type"), text=text)
            bounded(self._session.delegations, MAX_WAITING)[event.tool_use_id] = handed
        return ""

    def _tool_end(self, event: HookEvent) -> str:
        turn, reading = self._turn(event), read_result(event)
        if turn.is_reported:
            # Somebody made it go on after its end, such as another hook.
            self._reopen(turn)
        turn.evidence.add(reading)
        began_s = self._session.starts.pop(event.tool_use_id, event.at_s)
        latency_ms = event.duration_ms if event.duration_ms is not None else (event.at_s - began_s) * 1e3
        self._step(turn, reading, max(latency_ms, 0.0))
        if event.tool in DELEGATES:
            self._delegate_end(event)
        if event.kind not in CLIENTS[event.client].answered:
            return ""
        said, turn.unsaid = turn.unsaid, ""
        return said

    def _step(self, turn: Turn, reading: Reading, latency_ms: float) -> None:
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

    # Sub-agents

    def _agent_start(self, event: HookEvent) -> str:
        if not event.agent_id:
            return ""
        turn = self._turn(event)
        # Cursor says the task itself.
        turn.text = hide_secrets(event.text)
        return self._take_up(turn, event)

    def _agent_end(self, event: HookEvent) -> None:
        if not event.agent_id:
            return
        turn = self._turn(event)
        if not turn.trajectory_id:
            # Its start was not told.
            self._take_up(turn, event)
        turn.is_ended, turn.message = True, event.text or turn.message
        if not turn.delegation:
            # Else the call that handed it over is about to come back, and says what it cost.
            self._finish(event.agent_id, turn, event.at_s)

    def _take_up(self, turn: Turn, event: HookEvent) -> str:
        """Have a sub-agent begin with the first task that was handed to one of its type; what is known for it."""
        for call, handed in self._session.delegations.items():
            if handed.agent_type in ("", event.agent_type) or not event.agent_type:
                turn.delegation, turn.text = call, handed.text
                del self._session.delegations[call]
                break
        return self._begin(turn, event.agent_id, event.id, event.at_s) if turn.text else ""

    def _delegate_end(self, event: HookEvent) -> None:
        """The call of a sub-agent came back: what it cost, and how it went if its end was not told."""
        handed = self._session.delegations.pop(event.tool_use_id, None)
        response = event.tool_response if isinstance(event.tool_response, dict) else {}
        agent_id, turn = self._delegate(event.tool_use_id, id_of(response, "agentId", "agent_id"))
        if turn is None:
            return
        text = handed.text if handed else hide_secrets(text_of(event.tool_input, "prompt", "description"))
        if not turn.trajectory_id and text:
            turn.text = text
            self._begin(turn, agent_id, f"{event.tool_use_id}/{agent_id}", turn.began_s or event.at_s)
        turn.delegation, turn.tokens = "", turn.tokens + int(number_of(response, "totalTokens", MAX_TOKENS) or 0)
        if (duration_ms := number_of(response, "totalDurationMs")) is not None:
            turn.began_s = event.at_s - duration_ms / 1e3
        if event.kind is EventKind.TOOL_FAILED or response.get("status") in ("error", "failed"):
            turn.evidence.add(_FAILED_CALL)
            turn.is_ended = True
        if turn.is_ended or response.get("status") == "completed":
            self._finish(agent_id, turn, event.at_s)

    def _delegate(self, call: str, agent_id: str) -> tuple[str, Turn | None]:
        if agent_id in self._session.turns and agent_id:
            return agent_id, self._session.turns[agent_id]
        found = ((name, turn) for name, turn in self._session.turns.items() if turn.delegation == call and call)
        return next(found, (agent_id, None))

    # Tasks

    def _turn(self, event: HookEvent) -> Turn:
        """The task that an event is part of; one of which nothing else is known, if its begin was not told."""
        known = self._session.turns.get(event.agent_id)
        if known is not None:
            return known
        agent, role = (self._sub_agent(event.agent_type), event.agent_type) if event.agent_id else (self._agent, "")
        return self._put(event.agent_id, Turn(agent=agent, role=_slug(role), began_s=event.at_s))

    def _put(self, agent_id: str, turn: Turn) -> Turn:
        turns = self._session.turns
        turns.pop(agent_id, None)
        while len(turns) >= MAX_TURNS:
            oldest = next(name for name in turns if name)
            self._abandon(turns.pop(oldest))
        turns[agent_id] = turn
        return turn

    def _begin(self, turn: Turn, agent_id: str, event_id: str, at_s: float) -> str:
        turn.began_s = at_s
        turn.trajectory_id = _trajectory_id(self._session, agent_id, event_id)
        hits = self._open(turn)
        turn.offered = tuple(Offered(pattern_id=hit.pattern_id, words=_words(hit.response)) for hit in hits)
        context = context_of(hits, self._settings.hook_tokens) if self._settings.hook_tokens else ""
        if EventKind.PROMPT not in CLIENTS[self._session.client].answered and not agent_id:
            turn.unsaid, context = context, ""
        return context

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

    def _reopen(self, turn: Turn) -> None:
        """Take a task up again after its outcome: what follows is an outcome of its own, of the same task."""
        if not turn.trajectory_id or not turn.text:
            return
        turn.part += 1
        turn.trajectory_id = f"{turn.trajectory_id.partition('.')[0]}.{turn.part}"
        turn.evidence, turn.steps, turn.tokens = Evidence(), 0, 0
        turn.is_reported = turn.is_ended = False
        self._open(turn)

    def _finish(self, agent_id: str, turn: Turn, at_s: float) -> None:
        """A sub-agent has ended, and nobody will say more of it."""
        self._session.turns.pop(agent_id, None)
        self._end(turn, at_s)

    def _end(self, turn: Turn, at_s: float) -> None:
        self._report_if_known(turn, at_s)
        if not turn.is_reported:
            self._abandon(turn)

    def end_all(self) -> None:
        """The session is over: settle all that is under way in it."""
        for turn in self._session.turns.values():
            # What one of them cannot must not keep the others.
            with suppress(SwarmError):
                self._end(turn, max(self._session.at_s, turn.began_s))
        self._session.turns.clear()
        self._session.is_over = True

    def _report_if_known(self, turn: Turn, at_s: float) -> None:
        if not turn.is_reported and (quality := turn.evidence.quality()) is not None:
            self._report(turn, quality, at_s)

    def _report(self, turn: Turn, quality: float, at_s: float) -> None:
        if not turn.trajectory_id:
            self._counts.did("unattached")
            return
        try:
            with self._hooks(turn.agent, turn.role) as hooks:
                hooks.after_task(
                    turn.trajectory_id,
                    quality=quality,
                    **_answer(turn),
                    route=_route(self._session.model),
                    latency_ms=max(at_s - turn.began_s, 0.0) * 1e3,
                    cost=turn.tokens * self._settings.hook_price / 1e6,
                )
            turn.is_reported = True
            self._counts.did("outcomes")
        except UnknownIdError:
            self._lost(turn)

    def _abandon(self, turn: Turn) -> None:
        if not turn.trajectory_id:
            return
        with suppress(UnknownIdError), self._hooks(turn.agent, turn.role) as hooks:
            hooks.abandon(turn.trajectory_id)
        turn.trajectory_id = ""
        self._counts.did("abandoned")

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


def _trajectory_id(session: HookSession, agent_id: str, event_id: str) -> str:
    # Of the event, so that an event which comes again, from a file, opens nothing new.
    origin = "\0".join((session.client, session.session, agent_id, event_id))
    return f"hook-{sha256(origin.encode()).hexdigest()[:24]}"


def _answer(turn: Turn) -> dict[str, Any]:
    """What was done: a pattern that was offered, if the answer says the same; else the answer."""
    message = hide_secrets(turn.message)[:MAX_ANSWER]
    if not message.strip():
        return {}
    words = _words(message)
    for one in turn.offered:
        if words and len(words & one.words) >= SAME * len(words | one.words):
            return {"used": one.pattern_id}
    return {"output": message}


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
