"""What became of anything that was accepted, by its id:

outcome/AGENT/KEY         an outcome, by its agent and idempotency key
consolidation/AGENT/N     generation N of an agent
merge/ID                  one publication of the bank, by its id in the change log
task/ROLE:DIGITS          a task; its id alone will do
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from swarm.errors import InputError, UnknownIdError
from swarm.services.history import Version, read_history
from swarm.services.receipts import Receipt
from swarm.services.tasks import TaskView
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore
from swarm.store.reply import stream_position
from swarm.store.versions import LogEntry, VersionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolidationReceipt:
    """A generation of an agent: committed, or searchable once the bank contains it or a later one."""

    agent: str
    version: Version
    is_searchable: bool

    @property
    def id(self) -> str:
        return f"consolidation/{self.agent}/{self.version.version}"

    @property
    def state(self) -> str:
        return "searchable" if self.is_searchable else "committed"

    @property
    def has_ended(self) -> bool:
        """Whether the bank contains it."""
        return self.is_searchable

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"id": self.id, "agent": self.agent, "state": self.state, **self.version.as_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReceipt:
    """One publication of the bank: what it changed, and whether replicas had to load everything anew."""

    version: str
    put: int
    removed: int
    is_full: bool

    @property
    def id(self) -> str:
        return f"merge/{self.version}"

    @property
    def state(self) -> str:
        return "published"

    @property
    def has_ended(self) -> bool:
        """It has: a publication is there as a whole, or not at all."""
        return True

    @property
    def at_s(self) -> float:
        """When, in seconds since the epoch by Redis's clock."""
        return stream_position(self.version)[0] / 1000.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"id": self.id, "state": self.state, "at_s": self.at_s, **asdict(self)}


Found = Receipt | TaskView | ConsolidationReceipt | MergeReceipt


def split_id(receipt_id: object) -> tuple[str, str]:
    """(kind, what is behind it) of the id of a receipt.

    >>> split_id("outcome/ada/key/1"), split_id("coder:00ff")
    (('outcome', 'ada/key/1'), ('task', 'coder:00ff'))
    """
    kind, slash, rest = receipt_id.partition("/") if isinstance(receipt_id, str) else ("", "", "")
    if isinstance(receipt_id, str) and not slash:
        return "task", receipt_id
    if kind not in ("outcome", "consolidation", "merge", "task"):
        raise InputError(
            f"id must be outcome/AGENT/KEY, consolidation/AGENT/N, merge/ID or that of a task, got {receipt_id!r:.120}"
        )
    return kind, rest


def find_consolidation(rest: str, agents: AgentStore, versions: VersionStore, bank: BankStore) -> ConsolidationReceipt:
    """The receipt of AGENT/N.

    Raises
    ------
    UnknownIdError
        If the agent is not registered, or its log does not hold that generation (any more).
    """
    agent, _, number = rest.rpartition("/")
    for version in read_history(agent, agents, versions):
        if str(version.version) == number:
            merged = bank.merged([agent]).get(agent)
            is_searchable = merged is not None and merged.generation >= version.version
            return ConsolidationReceipt(agent=agent, version=version, is_searchable=is_searchable)
    raise UnknownIdError(f"agent {agent} has no generation {number!r:.40} in its log")


def find_merge(version: str, bank: BankStore) -> MergeReceipt:
    """The receipt of a publication.

    Raises
    ------
    UnknownIdError
        If the change log does not hold it (any more).
    """
    change = bank.change(version)
    if change is None:
        raise UnknownIdError(f"the bank's change log has no entry {version!r:.40}")
    return MergeReceipt(version=version, put=change.put, removed=change.removed, is_full=change.is_full)


def with_generation(receipt: Receipt, versions: VersionStore) -> Receipt:
    """`receipt` with the generation that its outcome went into first, as far as the agent's log goes back."""
    if not receipt.stream_id:
        return receipt
    position = stream_position(receipt.stream_id)
    log = versions.log(receipt.agent)
    found = next((entry.generation for entry in log if _covers(entry, position)), 0)
    # The oldest entry of a log that was trimmed stands for all before it.
    is_certain = not log or found != log[0].generation or found == 1
    return replace(receipt, generation=found if is_certain else 0)


def _covers(entry: LogEntry, position: tuple[int, int]) -> bool:
    return any(stream_position(first) < position <= stream_position(last) for first, last in entry.spans)
