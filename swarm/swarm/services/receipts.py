"""Receipts: what became of something that was accepted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from swarm.errors import UnknownIdError, shown
from swarm.sona.standing import Verdict
from swarm.store.agents import AgentState, AgentStore
from swarm.store.bank import BankStore
from swarm.store.forgotten import Forgotten
from swarm.store.outcomes import OutcomeStore
from swarm.store.reply import stream_position


class ReceiptState(StrEnum):
    """The way of an outcome, in this order; `quarantined`, `dead` and `rewound` are the other ends."""

    SPOOLED = "spooled"
    """In the local spool file, because Redis is away."""
    ACCEPTED = "accepted"
    """In the agent's stream."""
    CONSOLIDATED = "consolidated"
    """In a committed generation of the agent."""
    SEARCHABLE = "searchable"
    """In the shared bank."""
    QUARANTINED = "quarantined"
    """Kept, but not in the shared bank: its agent's reports agree with nothing that is known, or contradict it."""
    DEAD = "dead"
    """Could not be used; `reason` says why."""
    REWOUND = "rewound"
    """Taken back: in no generation of the agent that is, or can be rolled back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to a reported outcome. `is_new` is False when its idempotency key had been seen before."""

    agent: str
    idempotency_key: str
    state: ReceiptState
    stream_id: str = ""
    is_new: bool = True
    reason: str = ""

    def as_dict(self) -> dict[str, str | bool]:
        return asdict(self)


def find_receipt(
    agent: str, idempotency_key: str, outcomes: OutcomeStore, agents: AgentStore, bank: BankStore
) -> Receipt:
    """Where an outcome stands now, derived from the stored cursor and the merged generations.

    Raises
    ------
    UnknownIdError
        If the key was never used, or its receipt expired.
    """
    stream_id = outcomes.find_receipt(idempotency_key)
    if stream_id is None:
        raise UnknownIdError(f"no receipt for idempotency key {shown(idempotency_key)} of agent {agent}")
    merged = bank.merged().get(agent)
    agent_state = agents.state(agent)
    # Read last: a commit writes cursor and reason together, so behind the cursor there is a reason or never will be.
    reason = outcomes.dead_reason(stream_id) or ""
    forgotten = agents.forgotten(agent)
    state = _derive(stream_id, agent_state, "0-0" if merged is None else merged.cursor, reason, forgotten)
    return Receipt(agent=agent, idempotency_key=idempotency_key, state=state, stream_id=stream_id, reason=reason)


def _derive(stream_id: str, state: AgentState, merged_cursor: str, reason: str, forgotten: Forgotten) -> ReceiptState:
    position = stream_position(stream_id)
    if reason:
        return ReceiptState.DEAD
    is_waiting = position > stream_position(state.cursor)
    if forgotten.covers(stream_id) and (is_waiting or forgotten.is_settled(stream_id)):
        return ReceiptState.REWOUND
    if position <= stream_position(merged_cursor):
        return ReceiptState.QUARANTINED if state.verdict is Verdict.QUARANTINED else ReceiptState.SEARCHABLE
    if position <= stream_position(state.cursor):
        return ReceiptState.CONSOLIDATED
    return ReceiptState.ACCEPTED
