"""The ledger of tasks: who waits, who runs under which token, what came of it. The truth is here, not in a broker."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from swarm.errors import RecordError
from swarm.settings import Settings
from swarm.store.connection import Client, clock_s, redis_errors
from swarm.store.reply import to_bytes, to_hash, to_text
from swarm.store.task_scripts import (
    CANCEL,
    CLAIM,
    DISOWN,
    DROP,
    FAIL,
    HAND_BACK,
    RENEW,
    REPLAY,
    SUBMIT,
    SUCCEED,
    TEND,
)
from swarm.wire.keys import SwarmKeys, check_name
from swarm.wire.task_records import TaskRecord, TaskState, TaskStatus, decode_status, decode_task, role_of

_SWEEP = 200
"""So many tasks of each kind are tended in one sweep; the next one goes on."""


class Hold(StrEnum):
    """Whether a worker still has its task."""

    RUNNING = "running"
    CANCELLED = "cancelled"
    """It is to stop; what it comes to is not kept."""
    LOST = "lost"
    """Another has it, or will: the lease ran out, or the deadline passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """How a submission was answered: the task is there, or `bound` says which one refused it, until about when."""

    is_new: bool
    refused_by: str = ""
    """role, submitter or deadline."""
    number: float = 0.0
    """Seconds to wait, or by a deadline the time that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTask:
    """Everything that is known of a task; `result` as encoded."""

    id: str
    record: TaskRecord
    status: TaskStatus
    result: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCounts:
    """The tasks of one role by state. `submitted` is always the sum of the others, but `lost`, which must be 0."""

    role: str
    submitted: int = 0
    waiting: int = 0
    retrying: int = 0
    running: int = 0
    succeeded: int = 0
    dead: int = 0
    cancelled: int = 0
    dropped: int = 0
    """Dead ones that were dropped, or forgotten after the lifetime of a receipt."""
    oldest_waiting_s: float | None = None

    @property
    def lost(self) -> int:
        known = self.waiting + self.retrying + self.running + self.succeeded + self.dead + self.cancelled + self.dropped
        return self.submitted - known

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "lost": self.lost}


class TaskStore:
    """All tasks of one swarm. Each change is one script; repeated under its id or token it has no further effect."""

    def __init__(self, client: Client, keys: SwarmKeys, *, max_of_role: int, max_of_submitter: int, ttl: float) -> None:
        self._client = client
        self._keys = keys
        self._bounds = (max_of_role, max_of_submitter)
        self._ttl_ms = int(ttl * 1000)
        self._submit = client.register_script(SUBMIT)
        self._claim = client.register_script(CLAIM)
        self._renew = client.register_script(RENEW)
        self._succeed = client.register_script(SUCCEED)
        self._fail = client.register_script(FAIL)
        self._cancel = client.register_script(CANCEL)
        self._disown = client.register_script(DISOWN)
        self._tend = client.register_script(TEND)
        self._replay = client.register_script(REPLAY)
        self._drop = client.register_script(DROP)
        self._hand_back = client.register_script(HAND_BACK)

    @classmethod
    def of(cls, settings: Settings, client: Client) -> Self:
        """The ledger of a swarm, with the bounds of the settings."""
        return cls(
            client,
            SwarmKeys(settings.name),
            max_of_role=settings.max_waiting_tasks,
            max_of_submitter=settings.max_waiting_of_submitter,
            ttl=settings.receipt_ttl,
        )

    # Submitters

    def submit(self, task: str, record: TaskRecord, data: bytes) -> Submitted:
        """Take a task, once per id; `data` is the encoded record."""
        arguments = [
            data,
            record.submitter,
            9 - record.priority,
            record.max_attempts,
            repr(float(record.backoff)),
            repr(float(record.max_backoff)),
            repr(float(record.deadline)),
            *self._bounds,
            record.agent,
        ]
        answer, number = self._run(self._submit, f"submit a task for {record.role}", task, *arguments)
        return _submitted(answer, number)

    def find(self, task: str) -> StoredTask | None:
        """A task with all that is known of it; None if it was never submitted, or has ended long ago.

        Of a dead one whose record cannot be read only the role is known; its `why` says so.
        """
        keys = self._keys
        with redis_errors(f"look up task {task}"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hget(keys.live_tasks, task)
            pipeline.hget(keys.task_records, task)
            pipeline.hmget(keys.task(task), ["state", "record", "result"])
            live, record, (ended, ended_record, result) = pipeline.execute()
        state = to_bytes(live) or to_bytes(ended)
        if state is None:
            return None
        data = to_bytes(record) if live is not None else to_bytes(ended_record)
        status = decode_status(state)
        return StoredTask(id=task, record=_record(task, data or b"", status.state), status=status, result=result)

    def cancel(self, task: str, why: str) -> TaskState | None:
        """Cancel a task: its state by this, running while its worker has yet to stop; None if it is unknown."""
        return _state(self._run(self._cancel, f"cancel task {task}", task, why))

    # Workers

    def claim(self, role: str, token: str, worker: str, lease: float) -> StoredTask | None:
        """The task whose turn it is, for `lease` seconds; None if none waits.

        One whose record cannot be read is dead by this, because no attempt could ever do it.
        """
        while True:
            status, *found = self._run(
                self._claim, f"claim a task for {role}", "", token, worker, repr(lease), role=role
            )
            if status == 0:
                return None
            task = to_text(found[0])
            if status < 0:
                self.tend(task)
                continue
            try:
                return StoredTask(id=task, record=decode_task(found[1]), status=decode_status(found[2]))
            except RecordError as error:
                self.fail(task, token, f"{type(error).__name__}: {error}", again=False)

    def renew(self, task: str, token: str, lease: float, fraction: float | None = None, note: str = "") -> Hold:
        """Hold a task for another lease; with a fraction it also says how far it is."""
        done = "" if fraction is None else repr(float(fraction))
        return Hold(to_text(self._run(self._renew, f"renew task {task}", task, token, repr(lease), done, note)))

    def succeed(self, task: str, token: str, result: bytes) -> TaskState | None:
        """End a task with its result: succeeded; cancelled, which keeps no result; None if the token is stale."""
        return _kept(self._run(self._succeed, f"end task {task}", task, token, result))

    def fail(self, task: str, token: str, why: str, *, again: bool, delay: float | None = None) -> TaskState | None:
        """End an attempt: the state that the task is in by this; None if the token is stale."""
        pause = "" if delay is None else repr(float(delay))
        return _kept(self._run(self._fail, f"end an attempt of task {task}", task, token, why, int(again), pause))

    def hand_back(self, task: str, token: str, delay: float) -> None:
        """Give back a task that was claimed and not begun: it waits again in `delay` seconds, with all its attempts."""
        self._run(self._hand_back, f"hand task {task} back", task, token, repr(float(delay)))

    def sweep(self) -> dict[str, str]:
        """Do what is due: leases that ran out, attempts to be made again, deadlines, dead tasks of old.

        Answers each task that was changed with the state it is in by this, or "dropped".
        """
        keys = self._keys
        with redis_errors("look for tasks to be tended"):
            now_s = self.now_s()
            pipeline = self._client.pipeline(transaction=False)
            for key in (keys.running, keys.later, keys.deadlines):
                pipeline.zrangebyscore(key, "-inf", repr(now_s), start=0, num=_SWEEP)
            pipeline.zrangebyscore(keys.dead_tasks, "-inf", repr(now_s - self._ttl_ms / 1000.0), start=0, num=_SWEEP)
            found = pipeline.execute()
        due = dict.fromkeys(to_text(task) for tasks in found for task in tasks)
        return {task: state for task in due if (state := self.tend(task))}

    def tend(self, task: str) -> str:
        """Do what is due for one task; "" if nothing was."""
        return to_text(self._run(self._tend, f"tend task {task}", task))

    def running(self) -> dict[str, str]:
        """Tasks that run, with the worker that has each; of very many those whose leases end first."""
        keys = self._keys
        with redis_errors("look who has which task"):
            tasks = [to_text(task) for task in self._client.zrange(keys.running, 0, _SWEEP - 1)]
            states = [to_bytes(state) for state in self._client.hmget(keys.live_tasks, tasks)] if tasks else []
        return {
            task: decode_status(state).worker for task, state in zip(tasks, states, strict=True) if state is not None
        }

    def disown(self, task: str, worker: str) -> bool:
        """End the lease of a task if this worker, which is dead, has it; the next sweep does the rest."""
        return bool(self._run(self._disown, f"take task {task} from {worker}", task, worker))

    # Dead tasks

    def dead(self, count: int) -> list[str]:
        """Ids of at most `count` dead tasks, those that died last first."""
        with redis_errors("list the dead tasks"):
            return [to_text(task) for task in self._client.zrevrange(self._keys.dead_tasks, 0, count - 1)]

    def replay(self, task: str, replays: int) -> Submitted | None:
        """Let a dead task wait again, with new attempts and no deadline, if it was replayed so often before.

        None if there is no such dead task. Done twice it has one effect; the second time it is not new.
        """
        answer, number = self._run(self._replay, f"replay task {task}", task, *self._bounds, replays)
        return None if answer == 0 else _submitted(answer, number)

    def drop(self, task: str) -> bool:
        """Forget a dead task; False if it is not dead. One that is not there any more was dropped already."""
        return bool(self._run(self._drop, f"drop task {task}", task))

    def let_go(self, task: str, ttl: float) -> None:
        """Forget a task that has ended in `ttl` seconds, long before a receipt: whoever wanted its result has it."""
        with redis_errors(f"let go of task {task}"):
            self._client.pexpire(self._keys.task(task), int(ttl * 1000))

    # What the agents were not told

    def unreported(self, role: str, count: int) -> list[str]:
        """Report keys of at most `count` tasks of a role that ended in no worker's hands after one had begun them."""
        with redis_errors(f"look for tasks of {role} without a report"):
            keys = self._client.zrangebyscore(
                self._keys.unreported(role), "-inf", repr(self.now_s()), start=0, num=count
            )
        return [to_text(key) for key in keys]

    def reported(self, role: str, report_key: str) -> None:
        """The agent has been told."""
        with redis_errors(f"note a report of {report_key}"):
            self._client.zrem(self._keys.unreported(role), report_key)

    def report_later(self, role: str, report_key: str, delay: float) -> None:
        """The agent cannot be told now: `unreported` leaves it out for so many seconds."""
        with redis_errors(f"put off the report of {report_key}"):
            self._client.zadd(self._keys.unreported(role), {report_key: self.now_s() + delay}, xx=True)

    # State

    def now_s(self) -> float:
        """The time, by Redis's clock."""
        return clock_s(self._client)

    def waiting(self) -> dict[str, int]:
        """How many tasks wait, by role, one more where an end waits to be reported; roles without are left out."""
        counted = _counted(self._client, self._keys)
        with redis_errors("look for tasks without a report"):
            now_s = self.now_s()
            pipeline = self._client.pipeline(transaction=False)
            for role in counted:
                pipeline.zrangebyscore(self._keys.unreported(role), "-inf", repr(now_s), start=0, num=1)
            unreported = pipeline.execute()
        found = {
            role: counts.get("waiting", 0) + len(unheard)
            for (role, counts), unheard in zip(counted.items(), unreported, strict=True)
        }
        return {role: number for role, number in found.items() if number > 0}

    def waiting_of(self, role: str) -> int:
        """How many tasks wait for a role."""
        with redis_errors(f"count the tasks that wait for {role}"):
            return int(self._client.zcard(self._keys.queued(role)))

    def assigned(self, role: str) -> dict[str, int]:
        """How many tasks of a role that have not ended name an agent, by agent; agents without are left out."""
        with redis_errors(f"count the tasks assigned in {role}"):
            found = to_hash(self._client.hgetall(self._keys.assigned(role)))
        return {agent: int(number) for agent, number in found.items()}

    def counts(self) -> tuple[RoleCounts, ...]:
        """The tasks of every role that ever had one, by role."""
        return read_counts(self._client, self._keys)

    def _run(self, script: Any, action: str, task: str, *arguments: object, role: str | None = None) -> Any:
        keys, role = self._keys, check_name(role, "role") if role is not None else role_of(task)
        of_swarm = (
            *(keys.tasks, keys.live_tasks, keys.task_records, keys.running),
            *(keys.later, keys.deadlines, keys.claims, keys.dead_tasks),
        )
        of_role = (keys.turns(role), keys.waiting(role), keys.queued(role), keys.pace(role))
        extra = (keys.unreported(role), keys.assigned(role), keys.counters, keys.events, keys.wakeup(role))
        with redis_errors(action):
            return script(
                keys=[*of_swarm, *of_role, keys.task(task), *extra], args=[role, task, self._ttl_ms, *arguments]
            )


def read_counts(client: Client, keys: SwarmKeys) -> tuple[RoleCounts, ...]:
    """The tasks of every role that ever had one, by role."""
    counted = _counted(client, keys)
    with redis_errors("look for the oldest waiting tasks"):
        now_s = clock_s(client)
        pipeline = client.pipeline(transaction=False)
        for role in counted:
            pipeline.zrange(keys.queued(role), 0, 0, withscores=True)
        oldest = pipeline.execute()
    return tuple(
        RoleCounts(role=role, **counts, oldest_waiting_s=max(0.0, now_s - float(first[0][1])) if first else None)
        for (role, counts), first in zip(counted.items(), oldest, strict=True)
    )


def _counted(client: Client, keys: SwarmKeys) -> dict[str, dict[str, int]]:
    with redis_errors("count the tasks"):
        found = to_hash(client.hgetall(keys.tasks))
    by_role: dict[str, dict[str, int]] = {}
    for name, number in found.items():
        role, _, state = name.partition("\0")
        by_role.setdefault(role, {})[state] = int(number)
    return dict(sorted(by_role.items()))


def _record(task: str, data: bytes, state: TaskState) -> TaskRecord:
    try:
        return decode_task(data)
    except RecordError:
        if state is not TaskState.DEAD:
            raise
        return TaskRecord(role=role_of(task))


def _submitted(answer: int, number: bytes) -> Submitted:
    if answer >= 0:
        return Submitted(is_new=answer == 1)
    refused_by = {-1: "role", -2: "submitter", -3: "deadline"}[answer]
    return Submitted(is_new=False, refused_by=refused_by, number=float(number))


def _state(answer: bytes) -> TaskState | None:
    return TaskState(answer.decode()) if answer else None


def _kept(answer: bytes) -> TaskState | None:
    return None if answer == b"lost" else _state(answer)
