"""What each event does: a prompt begins a task, a tool's end is a step of it, the end of a turn is its outcome.

A sub-agent is an agent of its own, with the task that it was handed. The events of its start and its end come beside
the call that handed it over, and some may be missing: whatever comes first takes up what is known, and the end of the
turn, or of the session, settles what is left.
"""

from __future__ import annotations

import re
from contextlib import suppress

from swarm.errors import StoreUnavailableError, SwarmError
from swarm.services.guard import GuardedSwarm
from swarm_gateway.gateway import Gateway
from swarm_gateway.hooks.clients import CLIENTS
from swarm_gateway.hooks.counts import HookCounts
from swarm_gateway.hooks.events import EventKind, HookEvent, id_of, number_of, text_of
from swarm_gateway.hooks.hide import hide_secrets
from swarm_gateway.hooks.rewards import DELEGATES, Reading, read_result
from swarm_gateway.hooks.sessions import MAX_WAITING, Delegation, HookSession, Sessions, Turn, bounded
from swarm_gateway.hooks.turns import Turns
from swarm_gateway.hooks.verdict import CONFIRMED, CORRECTED, after_confirmation, is_continuation, word_of

MAX_TOKENS = 10**12
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
        agent : who the agent of the session is; see `Turns`

        Raises
        ------
        SwarmError
            If it is refused; what it began is as it was, or known as lost.
        """
        if event.kind is EventKind.OTHER:
            return ""
        own = "" if asker.access is None else asker.access.agent
        # Before a session is touched: not every event comes to a hook that would refuse it.
        asker.require_hooks(agent or own)
        # An agent's sessions are its own: who knows the name of another's must not tell of it.
        name = f"{own}/{event.session}" if own else event.session
        with self._sessions.open(event.client, name) as session:
            is_prompt = event.kind is EventKind.PROMPT
            if session.is_repeated(event.id) or session.is_echo(event.text if is_prompt else "", event.at_s):
                self._counts.did("repeated")
                return ""
            session.at_s, session.model = max(session.at_s, event.at_s), event.model or session.model
            session.is_changed = event.kind is not EventKind.TOOL_START
            return self._events(session, asker, agent).take(event)

    def settle(self, client: str, session: str, asker: GuardedSwarm, before_s: float) -> None:
        """End a session that nothing was heard of since `before_s`."""
        with self._sessions.open(client, session) as found:
            if found.at_s <= before_s:
                self._events(found, asker, "").end_all()
                self._counts.did("expired")

    def _events(self, session: HookSession, asker: GuardedSwarm, agent: str) -> _Events:
        return _Events(session, Turns(self._gateway, self._counts, session, asker, agent), self._counts)


class _Events:
    """The events of one session."""

    def __init__(self, session: HookSession, turns: Turns, counts: HookCounts) -> None:
        self._session = session
        self._turns = turns
        self._counts = counts

    def take(self, event: HookEvent) -> str:
        """Have the event its effect."""
        match event.kind:
            case EventKind.SESSION_START:
                self._turns.make_ready()
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
        turn = self._turns.new("", "", event.at_s, text)
        said = self._turns.begin(turn, f"\0{event.id}", event.at_s)
        if EventKind.PROMPT in CLIENTS[event.client].answered:
            return said
        turn.unsaid = said
        return ""

    def _turn_end(self, event: HookEvent) -> None:
        for agent_id, turn in list(self._session.turns.items()):
            if agent_id and turn.is_ended:
                # Its call never came back: what it cost stays unknown.
                self._finish(agent_id, turn, event.at_s)
        turn = self._turn(event)
        turn.is_ended, turn.message = True, event.text or turn.message
        turn.evidence.is_interrupted |= event.is_interrupt
        self._turns.settle(turn, event.at_s)

    def _close(self, turn: Turn, at_s: float, word: float | None) -> None:
        """The user goes on: settle the task before, and note what the user says of it."""
        try:
            self._turns.settle(turn, at_s)
            if word is not None and turn.trajectory_id and turn.text:
                if turn.is_reported:
                    self._turns.reopen(turn)
                self._turns.report(turn, word, at_s)
                self._counts.did("words")
            elif not turn.is_reported:
                self._turns.abandon(turn)
        except StoreUnavailableError:
            # An earlier process began it, and Redis, which knows it, is away: that must not keep the next task.
            self._counts.did("unsettled")

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
            self._turns.reopen(turn)
        turn.evidence.add(reading)
        began_s = self._session.starts.pop(event.tool_use_id, event.at_s)
        latency_ms = event.duration_ms if event.duration_ms is not None else (event.at_s - began_s) * 1e3
        self._turns.step(turn, reading, max(latency_ms, 0.0))
        if event.tool in DELEGATES:
            self._delegate_end(event)
        if event.kind not in CLIENTS[event.client].answered:
            return ""
        said, turn.unsaid = turn.unsaid, ""
        return said

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
        origin = f"{event.agent_id}\0{event.id}"
        return self._turns.begin(turn, origin, event.at_s) if turn.text else ""

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
            self._turns.begin(turn, f"{agent_id}\0{event.tool_use_id}", turn.began_s or event.at_s)
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

    # All of them

    def _turn(self, event: HookEvent) -> Turn:
        """The task that an event is part of; one of which nothing else is known, if its begin was not told."""
        known = self._session.turns.get(event.agent_id)
        return known or self._turns.new(event.agent_id, event.agent_type, event.at_s)

    def _finish(self, agent_id: str, turn: Turn, at_s: float) -> None:
        """A sub-agent has ended, and nobody will say more of it."""
        self._session.turns.pop(agent_id, None)
        self._turns.end(turn, at_s)

    def end_all(self) -> None:
        """The session is over: settle all that is under way in it."""
        for turn in self._session.turns.values():
            # What one of them cannot must not keep the others.
            with suppress(SwarmError):
                self._turns.end(turn, max(self._session.at_s, turn.began_s))
        self._session.turns.clear()
        self._session.is_over = True
