"""Tasks as a token may use them: an agent submits as itself, sees what concerns it, and does what is placed on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from swarm.services.gate import Gate
from swarm.services.swarm import Swarm
from swarm.services.tasks import ClaimedTask, TaskOptions, TaskReceipt, TaskView, check_claimed
from swarm.store.tasks import Hold, RoleCounts
from swarm.wire.keys import check_name
from swarm.wire.task_records import MAX_NOTE, TaskRecord, TaskState, storable

_HANDED_BACK = 16
"""So many tasks that are placed on others are passed over in one claim."""
_HAND_BACK_DELAY = 1.0


class GuardedTasks:
    """The operations of `Tasks` that a token allows; the others raise `ForbiddenError`."""

    def __init__(self, swarm: Swarm, gate: Gate) -> None:
        self._swarm = swarm
        self._tasks = swarm.tasks
        self._gate = gate

    # For those who want something done

    def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """See `Tasks.submit`. An agent is the submitter, and its idempotency keys are no other's."""
        self._gate.enter("tasks.submit", task, options)
        if self._gate.agent:
            if options.get("submitter") is None:
                options["submitter"] = self._gate.agent
            self._gate.own("tasks.submit", options["submitter"])
            if isinstance(key := options.get("idempotency_key"), str) and key:
                options["idempotency_key"] = f"{self._gate.agent}/{key}"
        return self._swarm.submit(task, **options)

    def find(self, task: str) -> TaskView:
        """See `Tasks.find`; an agent sees tasks that are from it, placed on it, or on its role."""
        self._gate.enter("tasks.find", task)
        return self._seen("tasks.find", task)

    def wait(self, task: str, timeout: float = 60.0) -> Any:
        """See `Tasks.wait`; an hour at most."""
        self._gate.enter("tasks.wait", task)
        self._seen("tasks.wait", task)
        return self._tasks.wait(task, self._gate.patience(timeout, "timeout"))

    def cancel(self, task: str, why: str = "cancelled") -> TaskState:
        """See `Tasks.cancel`; an agent cancels what it submitted."""
        self._gate.enter("tasks.cancel", task, why)
        if self._gate.agent:
            self._gate.own("tasks.cancel", self._seen("tasks.cancel", task).record.submitter)
        return self._tasks.cancel(task, why)

    # For those who do it

    def claim(self, role: str, worker: str, lease: float) -> ClaimedTask | None:
        """See `Tasks.claim`; an agent claims tasks of the role it is registered in, but those for another agent."""
        self._gate.enter("tasks.claim", role, worker)
        if not self._gate.agent:
            return self._tasks.claim(role, worker, lease)
        if check_name(role, "role") != self._own_role():
            raise self._gate.refusal("tasks.claim", f"tasks of role {role}")
        for _ in range(_HANDED_BACK):
            found = self._tasks.claim(role, f"{self._gate.agent}/{storable(worker, MAX_NOTE)}", lease)
            if found is None or found.record.agent in ("", self._gate.agent):
                return found
            self._tasks.store.hand_back(found.id, found.token, _HAND_BACK_DELAY)
        return None

    def renew(self, task: ClaimedTask, lease: float) -> Hold:
        """See `Tasks.renew`."""
        self._enter_claimed("tasks.renew", task)
        return self._tasks.renew(task, lease)

    def progress(self, task: ClaimedTask, lease: float, fraction: float, note: str = "") -> Hold:
        """See `Tasks.progress`."""
        self._enter_claimed("tasks.progress", task, note)
        return self._tasks.progress(task, lease, fraction, note)

    def succeed(self, task: ClaimedTask, result: object) -> TaskState | None:
        """See `Tasks.succeed`."""
        self._enter_claimed("tasks.succeed", task, result)
        return self._tasks.succeed(task, result)

    def fail(self, task: ClaimedTask, why: str, *, retry: bool, delay: float | None = None) -> TaskState | None:
        """See `Tasks.fail`."""
        self._enter_claimed("tasks.fail", task, why)
        return self._tasks.fail(task, why, retry=retry, delay=delay)

    # For those who look after it

    def counts(self) -> tuple[RoleCounts, ...]:
        """See `Tasks.counts`."""
        self._gate.enter("tasks.counts")
        return self._tasks.counts()

    def dead(self, limit: int = 100) -> list[TaskView]:
        """See `Tasks.dead`."""
        self._gate.enter("tasks.dead")
        return self._tasks.dead(limit)

    def replay(self, task: str, replays: int | None = None) -> TaskReceipt:
        """See `Tasks.replay`."""
        self._gate.enter("tasks.replay", task)
        return self._tasks.replay(task, replays)

    def drop(self, task: str) -> None:
        """See `Tasks.drop`."""
        self._gate.enter("tasks.drop", task)
        self._tasks.drop(task)

    def sweep(self) -> dict[str, str]:
        """See `Tasks.sweep`."""
        self._gate.enter("tasks.sweep")
        return self._tasks.sweep()

    def _own_role(self) -> str:
        known = self._swarm.agents.registration(self._gate.agent)
        return "" if known is None else known.role

    def _seen(self, operation: str, task: str) -> TaskView:
        view = self._tasks.find(task)
        if self._gate.agent and not self._concerns(view.record):
            raise self._gate.refusal(operation, f"task {task}")
        return view

    def _concerns(self, record: TaskRecord) -> bool:
        me = self._gate.agent
        if me in (record.submitter, record.agent):
            return True
        return record.agent == "" and record.role == self._own_role()

    def _enter_claimed(self, operation: str, task: ClaimedTask, *values: object) -> None:
        """Let pass who claimed the task; the ledger refuses a stale token, and here a token that another was given."""
        self._gate.enter(operation, task, *values)
        if self._gate.agent:
            # By what is stored, not by what is said: everything in `task` may be made up.
            worker = self._tasks.find(check_claimed(task).id).status.worker
            if worker.partition("/")[0] != self._gate.agent:
                raise self._gate.refusal(operation, f"task {task.id}, which another has")
