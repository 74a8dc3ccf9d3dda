"""Tasks for agents: submitted to a role's queue, done by whoever claims them, with one effect, whatever dies.

task = swarm.submit("rename a column of a CSV file", role="coder")
print(swarm.tasks.wait(task.id))
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypedDict, Unpack

from swarm.embed.redaction import Redaction
from swarm.embed.text import MAX_TEXT_BYTES
from swarm.errors import (
    DeadlineError,
    InputError,
    QueueFullError,
    TaskFailedError,
    UnknownIdError,
    WaitTimeoutError,
    shown,
)
from swarm.services.placement import Placement
from swarm.services.redacted import redaction_for
from swarm.settings import Settings
from swarm.sona.vectors import check_count, check_number
from swarm.store.agents import AgentStore
from swarm.store.connection import Client
from swarm.store.tasks import Hold, RoleCounts, StoredTask, Submitted, TaskStore
from swarm.telemetry.spans import traceparent
from swarm.wire.keys import check_name
from swarm.wire.task_records import (
    ENDS,
    MAX_LABEL,
    MAX_NOTE,
    TaskRecord,
    TaskState,
    TaskStatus,
    decode_result,
    encode_result,
    encode_task,
    reason,
    role_of,
    storable,
    task_id,
    text_of,
)

MAX_LEASE = 3_600.0
_POLL_S = 0.01
_SLOWEST_POLL_S = 0.5

Placer = Callable[[str, str, str], Placement]
"""Called with the text of a task, its role and its id."""


class TaskOptions(TypedDict, total=False):
    """What can be said of a task when it is submitted."""

    role: str
    """Whose queue it waits in; by default that of `agent`."""
    agent: str
    """Who is to do it; by default anybody of the role."""
    payload: Mapping[str, Any]
    """What belongs to the task beside its text: numbers, text, bytes, lists and maps with text keys."""
    submitter: str
    """Whose turn it takes: submitters with tasks waiting take turns."""
    priority: int
    """0..9, highest first, among the tasks of one submitter; 5 by default."""
    deadline: float
    """When it is worth nothing any more, seconds since the epoch."""
    time_limit: float
    """How many seconds one attempt may take; 600 by default."""
    max_attempts: int
    """How often it is begun at most; 3 by default."""
    backoff: float
    """Seconds to wait after the first failure, doubled after each other one; 1 by default."""
    max_backoff: float
    """No wait is longer; 300 s by default."""
    idempotency_key: str
    """Submissions to one role under the same key are one task, the first one."""
    report: bool
    """False: the hooks report no outcome to the agent, because whoever submitted it judges what it came to."""
    place: Literal["learned"]
    """Given to the agent of the role that does such tasks best, by what was learned; see `services.placement`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReceipt:
    """The answer to a submission: the task is durable. `is_new` is False if its idempotency key was seen before."""

    id: str
    is_new: bool = True
    placement: Placement | None = None
    """Who does it and why, if that was learned; of a task that was known already as it was placed first."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values; without a placement, if there was none."""
        placed = {} if self.placement is None else {"placement": self.placement.as_dict()}
        return {"id": self.id, "is_new": self.is_new, **placed}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """How a task stands now."""

    id: str
    record: TaskRecord
    status: TaskStatus
    result: Any = None
    """What it came to, once it has succeeded."""

    @property
    def state(self) -> TaskState:
        return self.status.state

    @property
    def has_ended(self) -> bool:
        return self.state in ENDS

    def as_dict(self) -> dict[str, Any]:
        """Everything on one level; the deadline is the one that holds now."""
        return {"id": self.id, **asdict(self.record), **asdict(self.status), "result": self.result}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTask:
    """A task that a worker has, under a token that no other attempt has."""

    id: str
    token: str
    record: TaskRecord
    attempts: int
    """This one included."""
    replays: int

    @property
    def report_key(self) -> str:
        """Under this idempotency key its outcome is reported: once, whichever attempt comes to an end."""
        return self.id if self.replays == 0 else f"{self.id}.{self.replays}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreportedTask:
    """A task that a worker had begun, and that ended when no worker had it."""

    report_key: str
    record: TaskRecord
    """What was submitted; only the role, if it was dropped meanwhile."""
    has_failed: bool
    """Whether its agent is to be told of a failure. If not, it was cancelled or dropped, or others judge it."""


class Tasks:
    """The tasks of one swarm. `keep` is told of each task that was accepted: its id and its record."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        agents: AgentStore,
        keep: Callable[[str, bytes], object] = lambda task, record: None,
    ) -> None:
        self._agents = agents
        self._settings = settings
        self._keep = keep
        self.store = TaskStore.of(settings, client)

    @property
    def swarm(self) -> str:
        """The swarm's name."""
        return self._settings.name

    # For those who want something done

    def submit(
        self, task: str | Mapping[str, Any], *, placer: Placer | None = None, **options: Unpack[TaskOptions]
    ) -> TaskReceipt:
        """Put a task on a role's queue, once per idempotency key; durable when this returns.

        Parameters
        ----------
        task : its text, which agents learn by; or a payload, if there is none. What the redaction of its agent, or of
            an agent of its role, takes out never reaches the queue
        placer : places a task with `place="learned"`; `Swarm.submit` brings it along
        options : see `TaskOptions`

        Raises
        ------
        InputError
            If a value is out of its bounds, or (`DeadlineError`) the deadline has passed.
        UnknownIdError
            If only an agent is given, and it is not registered.
        QueueFullError
            If `max_waiting_tasks` wait for the role, or `max_waiting_of_submitter` of the submitter; nothing was taken.
        """
        record, is_placed = self._record(task, options)
        record = replace(record, traceparent=traceparent())
        # Checked by this, before anything is made of it.
        data = encode_task(record)
        redaction = redaction_for(self._agents.directory(), record.agent, record.role)
        if redaction:
            record = replace(
                record,
                text=redaction.text(record.text),
                payload=redaction.value(record.payload),
                redact=redaction.names,
            )
            data = encode_task(record)
        name, placement = task_id(record.role, record.idempotency_key), None
        if is_placed:
            if placer is None:
                raise InputError("place needs what was learned: submit by Swarm.submit")
            placement = placer(text_of(record), record.role, name)
            record = replace(record, agent=placement.agent, placement=placement.as_dict())
            data = encode_task(record)
        is_new = self._admitted(self.store.submit(name, record, data), record)
        self._keep(name, data)
        if is_placed and not is_new:
            first = self.find(name).record.placement
            placement = Placement.of(first) if first else None
        return TaskReceipt(id=name, is_new=is_new, placement=placement)

    def find(self, task: str) -> TaskView:
        """How a task stands.

        Raises
        ------
        UnknownIdError
            If it was never submitted, was dropped, or ended longer ago than a receipt lives.
        """
        role_of(task)
        found = self.store.find(task)
        if found is None:
            raise UnknownIdError(f"no task {shown(task, 120)}: never submitted, dropped, or ended long ago")
        return _view(found)

    def wait(self, task: str, timeout: float = 60.0) -> Any:
        """Wait for the result of a task.

        Raises
        ------
        TaskFailedError
            If it is dead or cancelled; the message says why.
        WaitTimeoutError
            If it has not ended within `timeout` seconds; it stays on its way. It is a `TimeoutError`, too.
        """
        deadline = time.monotonic() + check_number(timeout, "timeout", 0.0, 1e9)
        pause = _POLL_S
        while not (view := self.find(task)).has_ended:
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise WaitTimeoutError(
                    f"task {task} is {view.state.value} after {timeout:g} s: are workers of its role running? "
                    "(swarm tasks)"
                )
            time.sleep(min(pause, left))
            pause = min(2.0 * pause, _SLOWEST_POLL_S)
        if view.state is not TaskState.SUCCEEDED:
            raise TaskFailedError(f"task {task} is {view.state.value}: {view.status.why}")
        return view.result

    def cancel(self, task: str, why: str = "cancelled") -> TaskState:
        """Cancel a task: cancelled at once while it waits; running while its worker has yet to stop.

        One that has ended stays as it is, and this answers how.
        """
        role_of(task)
        state = self.store.cancel(task, reason(why))
        return self.find(task).state if state is None else state

    # For those who do it

    def claim(self, role: str, worker: str, lease: float) -> ClaimedTask | None:
        """Take the task whose turn it is, for `lease` seconds; None if none waits. Renew it before they are over."""
        check_name(role, "role")
        token = uuid.uuid4().hex
        found = self.store.claim(role, token, storable(worker, MAX_NOTE), _check_lease(lease))
        if found is None:
            return None
        status = found.status
        return ClaimedTask(
            id=found.id, token=token, record=found.record, attempts=status.attempts, replays=status.replays
        )

    def renew(self, task: ClaimedTask, lease: float) -> Hold:
        """Hold a task for another lease, unless it was cancelled or lost."""
        check_claimed(task)
        return self.store.renew(task.id, task.token, _check_lease(lease))

    def progress(self, task: ClaimedTask, lease: float, fraction: float, note: str = "") -> Hold:
        """Say how far a task is, in [0, 1]; it is held for another lease by this, too."""
        check_claimed(task)
        check_number(fraction, "fraction", 0.0, 1.0)
        if not isinstance(note, str):
            raise InputError(f"note must be text (str), got {type(note).__name__}")
        # Cut behind the redaction: half of an address is none, and would be kept.
        told = Redaction(task.record.redact).text(storable(note, MAX_TEXT_BYTES))
        return self.store.renew(task.id, task.token, _check_lease(lease), fraction, storable(told, MAX_NOTE))

    def succeed(self, task: ClaimedTask, result: object) -> TaskState | None:
        """End a task with its result: succeeded; cancelled, which keeps no result; None if it was lost."""
        check_claimed(task)
        data = encode_result(result)
        if task.record.redact:
            data = encode_result(Redaction(task.record.redact).value(result))
        return self.store.succeed(task.id, task.token, data)

    def fail(self, task: ClaimedTask, why: str, *, retry: bool, delay: float | None = None) -> TaskState | None:
        """End an attempt: the state of the task by this (retrying, waiting, dead, cancelled); None if it was lost.

        Parameters
        ----------
        retry : whether it is worth another attempt, if `max_attempts` allows one
        delay : seconds until then, instead of the back-off
        """
        check_claimed(task)
        if not isinstance(retry, bool):
            raise InputError(f"retry must be True or False, got {shown(retry, 40)}")
        if delay is not None:
            check_number(delay, "delay", 0.0, 86_400.0)
        told = Redaction(task.record.redact).text(storable(why, MAX_TEXT_BYTES))
        return self.store.fail(task.id, task.token, reason(told), again=retry, delay=delay)

    def sweep(self) -> dict[str, str]:
        """Do what is due, for all roles; see `TaskStore.sweep`. Workers call it; anybody may."""
        return self.store.sweep()

    # For those who tell the agents

    def unreported(self, role: str, limit: int = 20) -> list[UnreportedTask]:
        """Tasks that ended in no worker's hands after one had begun them: their agents have not been told."""
        found = []
        for key in self.store.unreported(role, limit):
            # A task id holds no dot behind its role; the number of replays follows one.
            _, _, number = key.rpartition(":")
            stored = self.store.find(key[: len(key) - len(number)] + number.partition(".")[0])
            record = TaskRecord(role=role) if stored is None else stored.record
            has_failed = stored is not None and stored.status.state is not TaskState.CANCELLED and record.report
            found.append(UnreportedTask(report_key=key, record=record, has_failed=has_failed))
        return found

    def reported(self, role: str, report_key: str) -> None:
        """The agent of an unreported task has been told."""
        self.store.reported(role, report_key)

    def report_later(self, role: str, report_key: str, delay: float) -> None:
        """The agent of an unreported task could not be told; try again in so many seconds."""
        self.store.report_later(role, report_key, delay)

    # For those who look after it

    def dead(self, limit: int = 100) -> list[TaskView]:
        """Dead tasks, those that died last first. They are kept as long as a receipt."""
        found = map(self.store.find, self.store.dead(check_count(limit, "limit", 1, 10_000)))
        return [_view(task) for task in found if task is not None and task.status.state is TaskState.DEAD]

    def replay(self, task: str, replays: int | None = None) -> TaskReceipt:
        """Let a dead task wait again, with all its attempts, and without its deadline.

        Parameters
        ----------
        replays : how often it had been replayed before (`status.replays`). Whoever got no answer and asks again with
            the same number replays it once; by default the number is looked up.

        Raises
        ------
        UnknownIdError
            If there is no such task, or it is not dead.
        QueueFullError
            If there is no room; it stays dead.
        """
        role = role_of(task)
        before = self._dead(task).status.replays if replays is None else check_count(replays, "replays", 0, 2**53)
        answer = self.store.replay(task, before)
        if answer is None:
            raise self._not_dead(task)
        self._admitted(answer, TaskRecord(role=role))
        return TaskReceipt(id=task, is_new=False)

    def drop(self, task: str) -> None:
        """Forget a dead task.

        Raises
        ------
        UnknownIdError
            If there is no such task, or it is not dead.
        """
        self._dead(task)
        # The client sends it once more if no answer comes: then it is not there any more, and that is well.
        if not self.store.drop(task):
            raise self._not_dead(task)

    def counts(self) -> tuple[RoleCounts, ...]:
        """Tasks by role and state, and the age of the oldest that waits."""
        return self.store.counts()

    def _record(self, task: object, options: TaskOptions) -> tuple[TaskRecord, bool]:
        """The task as it was submitted, and whether somebody is to be found for it."""
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if unknown := given.keys() - TaskOptions.__annotations__.keys():
            raise InputError(f"submit has no option {', '.join(sorted(unknown))}")
        if isinstance(task, Mapping):
            if "payload" in given:
                raise InputError("task must be text when a payload is given, got two payloads")
            given["payload"] = task
        else:
            given["text"] = task
        key = given.get("idempotency_key")
        if isinstance(key, str) and not key:
            raise InputError("idempotency_key must be at least 1 character, got ''")
        place = given.pop("place", None)
        if place not in (None, "learned"):
            raise InputError(f"place must be 'learned', got {place!r:.40}")
        if place is not None and "agent" in given:
            raise InputError(f"place must not be given with an agent, got agent {given['agent']!r:.80}")
        given["role"] = self._role(given.get("role"), given.get("agent"))
        return TaskRecord(**given), place is not None

    def _role(self, role: str | None, agent: str | None) -> str:
        if role is None and agent is None:
            raise InputError("role must be given, or an agent whose role is known")
        if role is not None:
            check_name(role, "role")
        if agent is None:
            return role or ""
        known = self._agents.registration(agent)
        if role is None and known is None:
            raise UnknownIdError(f"agent {shown(agent)} is not registered: give a role, too")
        if role is not None and known is not None and known.role != role:
            raise InputError(f"role must be {known.role!r}, the role of agent {agent}, got {shown(role)}")
        return (role or "") if known is None else known.role

    def _admitted(self, answer: Submitted, record: TaskRecord) -> bool:
        if not answer.refused_by:
            return answer.is_new
        if answer.refused_by == "deadline":
            raise DeadlineError(
                f"deadline must be later than {answer.number:.3f}, which is now, got {record.deadline:.3f}"
            )
        retry_s = answer.number
        if answer.refused_by == "role":
            what = f"{self._settings.max_waiting_tasks} tasks wait for role {record.role} (max_waiting_tasks)"
        else:
            what = (
                f"{self._settings.max_waiting_of_submitter} tasks of submitter {record.submitter!r} wait for role "
                f"{record.role} (max_waiting_of_submitter)"
            )
        raise QueueFullError(f"{what}; retry in {retry_s:.2f} s", retry_s)

    def _dead(self, task: str) -> TaskView:
        view = self.find(task)
        if view.state is not TaskState.DEAD:
            raise self._not_dead(task)
        return view

    def _not_dead(self, task: str) -> UnknownIdError:
        return UnknownIdError(f"task {task} is not dead: it is {self.find(task).state.value}")


def _view(found: StoredTask) -> TaskView:
    result = None if found.result is None else decode_result(found.result)
    return TaskView(id=found.id, record=found.record, status=found.status, result=result)


def check_claimed(task: ClaimedTask) -> ClaimedTask:
    """`task` if it is one that `claim` may have answered."""
    if not isinstance(task, ClaimedTask):
        raise InputError(f"task must be a ClaimedTask, as claim answers, got {type(task).__name__}")
    role_of(task.id)
    is_token = isinstance(task.token, str) and task.token.isascii() and 0 < len(task.token) <= MAX_LABEL
    if not is_token:
        raise InputError(f"token of the task must be 1-{MAX_LABEL} characters, as claim answers")
    return task


def _check_lease(lease: float) -> float:
    return check_number(lease, "lease", 0.001, MAX_LEASE)
