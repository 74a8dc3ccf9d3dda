"""Receipts: what became of something that was accepted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from swarm.errors import UnknownIdError, shown
from swarm.sona.standing import Verdict
from swarm.store.agents import AgentState, AgentStore
from swarm.store.bank import BankStore
from swarm.store.forgotten import Forgotten
from swarm.store.outcomes import FORGOTTEN_RECEIPT, Appended, OutcomeStore
from swarm.store.reply import stream_position


class ReceiptState(StrEnum):
    """The way of an outcome, in this order; the last four are the other ends."""

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
    FORGOTTEN = "forgotten"
    """Not taken: it belongs to a trajectory, a pattern or an agent that was forgotten."""


_ENDS = (
    ReceiptState.SEARCHABLE,
    ReceiptState.QUARANTINED,
    ReceiptState.DEAD,
    ReceiptState.REWOUND,
    ReceiptState.FORGOTTEN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to a reported outcome. `is_new` is False when its idempotency key had been seen before.

    `generation` is that of its agent in which it was consolidated; only `Swarm.find` looks it up, else it is 0.
    """

    agent: str
    idempotency_key: str
    state: ReceiptState
    stream_id: str = ""
    is_new: bool = True
    reason: str = ""
    generation: int = 0

    @property
    def id(self) -> str:
        """By this `Swarm.find` and `swarm receipt` know it."""
        return f"outcome/{self.agent}/{self.idempotency_key}"

    @property
    def has_ended(self) -> bool:
        """Whether its state can change only by being taken back."""
        return self.state in _ENDS

    def as_dict(self) -> dict[str, str | bool | int]:
        return {"id": self.id, **asdict(self)}


def receipt_of(agent: str, idempotency_key: str, appended: Appended) -> Receipt:
    """The receipt of an outcome that was handed in."""
    return Receipt(
        agent=agent,
        idempotency_key=idempotency_key,
        state=ReceiptState.FORGOTTEN if appended.is_forgotten else ReceiptState.ACCEPTED,
        stream_id=appended.stream_id,
        is_new=appended.is_new,
    )


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
    if stream_id == FORGOTTEN_RECEIPT:
        return Receipt(agent=agent, idempotency_key=idempotency_key, state=ReceiptState.FORGOTTEN, is_new=False)
    merged = bank.merged([agent]).get(agent)
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
