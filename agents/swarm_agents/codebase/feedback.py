"""What was said to an answer: an outcome of the agent, and a judgement of what the search went by.

The outcome goes the way of all outcomes, and from the bank helps with questions like this one, for every agent. The
judgement weighs the signs of likeness, and helps with all questions to this index.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from typing import Any

from swarm.errors import InputError, UnknownIdError, shown
from swarm.services.receipts import Receipt
from swarm.store.codebase import CodeStore
from swarm.wire.judgement_records import Asked, Judged, judgement_of
from swarm_agents.agent import Agent
from swarm_agents.codebase.search import answer_of

_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,62})/([0-9a-f]{10})-([0-9a-f]{6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What was said to one answer. It is not new if something was said before, and then that holds."""

    id: str
    name: str
    question: str
    is_good: bool
    is_new: bool
    receipt: Receipt

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "receipt": self.receipt.as_dict()}


def split_answer_id(answer_id: object) -> tuple[str, str, str]:
    """Agent, question and answer of the id of an answer.

    >>> split_answer_id("code/0123456789-abcdef")
    ('code', '0123456789', 'abcdef')
    """
    found = _ID.fullmatch(answer_id) if isinstance(answer_id, str) else None
    if found is None:
        raise InputError(f"id must be AGENT/QUESTION-ANSWER as swarm query --name shows it, got {shown(answer_id)}")
    agent, question, answer = found.groups()
    return agent, question, answer


def check_answer(store: CodeStore, answer_id: str) -> tuple[Asked, int]:
    """The question of an answer that can be judged, and which of its candidates that is.

    Raises
    ------
    UnknownIdError
        If there is no such answer any more.
    """
    name, question, answer = split_answer_id(answer_id)
    if name != store.agent:
        raise InputError(f"id is of agent {name}, not of {store.agent}")
    asked = store.asked(question)
    chosen = None if asked is None else _position(asked, answer)
    if asked is None or chosen is None:
        raise UnknownIdError(f"answer {answer_id} is unknown, or too old: ask again with swarm query --name {name}")
    return asked, chosen


def give_feedback(agent: Agent, answer_id: str, *, is_good: bool, wait_s: float = 0.0) -> Feedback:
    """Say whether an answer was good; the first word about an answer counts, once.

    Parameters
    ----------
    agent : the one whose index answered
    wait_s : seconds to wait until the outcome is searchable

    Raises
    ------
    UnknownIdError
        If there is no such answer any more.
    """
    store = CodeStore(agent.swarm.client, agent.swarm.keys, agent.name)
    asked, chosen = check_answer(store, answer_id)
    _, question, answer = split_answer_id(answer_id)
    key = judgement_of(question, answer)
    agent.before_task(asked.text, k=1, trajectory_id=key)
    receipt = agent.after_task(key, success=is_good, output=asked.names[chosen], wait=wait_s)
    judged = Judged(at_s=time.time(), chosen=chosen, quality=float(is_good), signs=asked.signs)
    # Last: should this end before, the same call does the rest, and the outcome counts once all the same.
    is_new = store.judge(f"{question}-{answer}", judged)
    return Feedback(
        id=answer_id,
        name=asked.names[chosen],
        question=asked.text,
        is_good=is_good,
        is_new=is_new,
        receipt=receipt,
    )


def _position(asked: Asked, answer: str) -> int | None:
    return next((i for i, name in enumerate(asked.names) if answer_of(name) == answer), None)
