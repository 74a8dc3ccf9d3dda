"""Types of events: what each says, by ids, names and figures; no text of a task, an answer or an error is in any.

Each type is a class. What is told of is in `EVENTS`; what a follower says by itself is in `NOTICES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

MAX_NAMES = 16
"""So many agents an event names at most; its count says how many there were."""
MAX_LABEL = 200
"""Characters of who did it; what is longer is cut."""
MAX_ID = 1_000
"""The same for the id of what was forgotten."""


class Body:
    """What an event says beside its id, its time and its type."""

    __slots__ = ()
    type: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternStored(Body):
    """The bank has a pattern that it did not have before."""

    type: ClassVar[str] = "pattern:stored"
    pattern: str
    agents: tuple[str, ...]
    """At most `MAX_NAMES` of those it comes from."""
    agent_count: int
    outcomes: float
    """Its evidence; not whole where evidence decays."""
    quality: float
    """Their mean quality."""
    is_confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternForgotten(Body):
    """A pattern was erased, with the outcomes that it came from."""

    type: ClassVar[str] = "pattern:forgotten"
    pattern: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryForgotten(Body):
    """The outcomes of a trajectory were erased."""

    type: ClassVar[str] = "trajectory:forgotten"
    trajectory: str
    agent: str = ""
    """Empty for the trajectories of that id of all agents."""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnComplete(Body):
    """A consolidation of an agent is in the bank: what it learned is searchable, if the agent is believed."""

    type: ClassVar[str] = "learn:complete"
    agent: str
    generation: int
    outcomes: int
    """Of this consolidation, without those that could not be used."""
    clusters: int
    """What the agent holds after it."""
    quality: float | None
    """Mean of its outcomes as reported; None without any."""
    update: str
    """What became of new weights: promoted, refused, or "" if none were tried."""
    cursor: str
    """Stream id of the last outcome that it contains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnRefused(Body):
    """New weights lost against those before on outcomes that were held out; the agent keeps what it had."""

    type: ClassVar[str] = "learn:refused"
    agent: str
    generation: int
    trained_on: int
    held_out: int
    loss_before: float
    loss_after: float
    """Mean negative log-likelihoods, in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeDead(Body):
    """An accepted outcome could not be used; `swarm receipt` says why."""

    type: ClassVar[str] = "outcome:dead"
    agent: str
    stream_id: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchComplete(Body):
    """A batch of training examples was taken; told by the process that trains."""

    type: ClassVar[str] = "batch:complete"
    agent: str
    batch: int
    """Which one, from 1 ..."""
    batches: int
    """... of so many; 0 if that is not known."""
    total: int
    success: int
    """Examples of the batch, and how many of them were accepted."""
    seconds: float
    quality: float | None = None
    """Mean quality of those that were accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeComplete(Body):
    """The bank was published."""

    type: ClassVar[str] = "merge:complete"
    version: str
    agents: int
    """Whose generations are new in it."""
    stored: int
    changed: int
    removed: int
    expired: int
    """Patterns that are new, that changed, that went, and those among the latter whose evidence was too old."""
    untold: int = 0
    """Events of this merge that were beyond the bound, or could not be read from an agent's log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCreated(Body):
    """An agent was registered that was not known, or not any more."""

    type: ClassVar[str] = "agent:created"
    agent: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChanged(Body):
    """An agent got another role, configuration, template or policy."""

    type: ClassVar[str] = "agent:changed"
    agent: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentForgotten(Body):
    """All that an agent had was erased."""

    type: ClassVar[str] = "agent:forgotten"
    agent: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentQuarantined(Body):
    """What an agent learned counts no more: an operator said so, or its reports disagreed with what is known."""

    type: ClassVar[str] = "agent:quarantined"
    agent: str
    generation: int
    is_earned: bool
    by: str = ""
    """The operator, if it was one and that was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReleased(Body):
    """What an agent learned counts again for what its reports have earned."""

    type: ClassVar[str] = "agent:released"
    agent: str
    generation: int
    is_earned: bool
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRolledBack(Body):
    """An agent holds again what it held at `version`."""

    type: ClassVar[str] = "agent:rolled_back"
    agent: str
    generation: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRewound(Body):
    """Outcomes were taken back: an agent holds what it would hold without them."""

    type: ClassVar[str] = "agent:rewound"
    agent: str
    generation: int
    version: int
    """From which it was built anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRetrained(Body):
    """An agent's adapter was trained again, because it had learned from what others took back."""

    type: ClassVar[str] = "agent:retrained"
    agent: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStarted(Body):
    """A new agent began with the average of what others' adapters do."""

    type: ClassVar[str] = "agent:warm_started"
    agent: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentImported(Body):
    """An agent came in from a file, with what it had learned elsewhere."""

    type: ClassVar[str] = "agent:imported"
    agent: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTuned(Body):
    """Settings that a search had found were given to an agent."""

    type: ClassVar[str] = "agent:tuned"
    agent: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _TaskEnded(Body):
    task: str
    role: str
    agent: str
    """Whom the task named; empty for anybody of the role."""
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDone(_TaskEnded):
    """A task has a result."""

    type: ClassVar[str] = "task:done"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDead(_TaskEnded):
    """A task failed for good; `swarm task` says why."""

    type: ClassVar[str] = "task:dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(_TaskEnded):
    """A task was ended because nobody wants it any more."""

    type: ClassVar[str] = "task:cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost(Body):
    """A worker ended without a word: another process has its name now, or it has been silent for a minute."""

    type: ClassVar[str] = "worker:lost"
    worker: str
    role: str
    beat_s: float
    """When it was last heard of, seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(Body):
    """What came here is not stored any more: the stream was trimmed past this follower, or begun anew by a restore.

    It is in no stream: the follower says it, whatever types it follows.
    """

    type: ClassVar[str] = "stream:gap"
    missed: int | None
    """Events of all types; None if that cannot be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable(Body):
    """An event that this program cannot read: it is damaged, or of a newer program. The follower says it."""

    type: ClassVar[str] = "stream:unreadable"
    found: str
    why: str


EVENTS: Mapping[str, type[Body]] = MappingProxyType(
    {
        kind.type: kind
        for kind in (
            *(PatternStored, PatternForgotten, TrajectoryForgotten),
            *(LearnComplete, LearnRefused, OutcomeDead, BatchComplete, MergeComplete),
            *(AgentCreated, AgentChanged, AgentForgotten, AgentQuarantined, AgentReleased),
            *(AgentRolledBack, AgentRewound, AgentRetrained, AgentStarted, AgentImported, AgentTuned),
            *(TaskDone, TaskDead, TaskCancelled, WorkerLost),
        )
    }
)
"""What is told, by type."""
NOTICES: Mapping[str, type[Body]] = MappingProxyType({kind.type: kind for kind in (Gap, Unreadable)})
"""What a follower says by itself."""
