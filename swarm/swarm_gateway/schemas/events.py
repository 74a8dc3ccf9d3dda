"""Events of the live state. Each says how something stands now, so that missing one does no harm."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from swarm.services.status import AgentStatus
from swarm.store.events import Event
from swarm.store.workers import WorkerBeat
from swarm.wire.event_types import EVENTS
from swarm_gateway.schemas.base import View
from swarm_gateway.schemas.receipts import MergeView
from swarm_gateway.schemas.status import StatusView
from swarm_gateway.schemas.tasks import CountsView

EVENT_ID = r"^(beginning|now|[0-9]{1,15}-[0-9]{1,15})$"
EVENT_TYPE = Annotated[str, Field(pattern=f"^({'|'.join(EVENTS)})$", examples=["learn:complete"])]


class Merged(View):
    """How far the bank is with one agent: its outcomes up to `stream_id` are searchable, or their agent is not
    believed. A receipt is among them if its `stream_id` is not larger."""

    agent: str
    generation: int
    stream_id: str


class Snapshot(View):
    """Everything, for whoever joins or was away too long."""

    type: Literal["snapshot"] = "snapshot"
    status: StatusView
    merged: tuple[Merged, ...]
    merge: MergeView | None


class SwarmCounts(View):
    """What is counted of the swarm as a whole."""

    type: Literal["counts"] = "counts"
    agents: int
    patterns: int
    bank_version: str
    merges: int
    unmerged_agents: int
    queue_depth: int
    pending: int
    lost: int


class AgentChanged(View):
    """How an agent stands now."""

    type: Literal["agent"] = "agent"
    agent: AgentStatus


class AgentGone(View):
    """An agent is not registered any more."""

    type: Literal["agent_gone"] = "agent_gone"
    name: str


class WorkerChanged(View):
    """How a worker stands now."""

    type: Literal["worker"] = "worker"
    worker: WorkerBeat


class WorkerGone(View):
    """A worker has ended, or is silent."""

    type: Literal["worker_gone"] = "worker_gone"
    name: str


class TasksChanged(View):
    """The tasks of a role by state."""

    type: Literal["tasks"] = "tasks"
    tasks: CountsView


class Searchable(View):
    """More outcomes of an agent have become searchable."""

    type: Literal["searchable"] = "searchable"
    merged: Merged


class BankMerged(View):
    """The bank was published; of several times within a second the last one."""

    type: Literal["merge"] = "merge"
    merge: MergeView


class Away(View):
    """Redis does not answer; a snapshot comes when it does again."""

    type: Literal["away"] = "away"
    why: str


class Ended(View):
    """The stream ends here, and why: ask again if it is to go on."""

    type: Literal["end"] = "end"
    why: str


LiveEvent = (
    Snapshot
    | SwarmCounts
    | AgentChanged
    | AgentGone
    | WorkerChanged
    | WorkerGone
    | TasksChanged
    | Searchable
    | BankMerged
    | Away
    | Ended
)


class EventView(View):
    """Something that happened; what `body` holds hangs on the type."""

    id: str
    at_s: float
    type: str
    body: dict[str, Any]

    @classmethod
    def of_event(cls, event: Event) -> Self:
        return cls(**event.as_dict())


class EventPage(View):
    """Events in order, and behind which one the next page begins."""

    events: list[EventView]
    position: str
