"""What became of anything that was accepted."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from swarm.services.find import ConsolidationReceipt, Found, MergeReceipt
from swarm.services.history import Version
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.tasks import TaskView
from swarm_gateway.schemas.base import View, jsonable
from swarm_gateway.schemas.tasks import TaskStateView


class ReceiptView(View):
    """Where an outcome is; see `ReceiptState` for its way. `has_ended`: its state changes only by being taken back."""

    id: str
    agent: str
    idempotency_key: str
    state: ReceiptState
    stream_id: str
    is_new: bool
    reason: str
    generation: int
    has_ended: bool


class VersionView(View):
    """A version of an agent; see `Version`. Losses are of held-out outcomes, null without any."""

    version: int
    at_s: float
    kind: str
    parent: int
    cause: str
    update: str
    why: str
    outcomes: int
    loss_before: float | None
    loss_after: float | None
    clusters: int
    pruned: int
    is_current: bool
    can_roll_back: bool
    figures: dict[str, JsonValue]

    @classmethod
    def of_version(cls, version: Version) -> VersionView:
        """The figures as JSON has them."""
        return cls(**_values(version))


class GenerationView(VersionView):
    """A generation of an agent: committed, or searchable once the bank contains it."""

    id: str
    agent: str
    state: str

    @classmethod
    def of_receipt(cls, receipt: ConsolidationReceipt) -> GenerationView:
        """Everything on one level."""
        return cls(id=receipt.id, agent=receipt.agent, state=receipt.state, **_values(receipt.version))


class MergeView(View):
    """One publication of the bank."""

    id: str
    state: str
    at_s: float
    version: str
    put: int
    removed: int
    is_full: bool


FoundView = ReceiptView | TaskStateView | GenerationView | MergeView


def found_view(found: Found) -> FoundView:
    """Whatever was found by its id."""
    if isinstance(found, Receipt):
        return ReceiptView.of(found)
    if isinstance(found, TaskView):
        return TaskStateView.of_view(found)
    if isinstance(found, MergeReceipt):
        return MergeView.of(found)
    return GenerationView.of_receipt(found)


def _values(version: Version) -> dict[str, Any]:
    return {**version.as_dict(), "figures": jsonable(version.figures)}
