"""A job of several agents: its steps are tasks of the ledger, so that whoever is killed, the job goes on.

A step that is given to a member is a task with the idempotency key JOB:STEP:AGENT, and to whom it is given is written
down first. A coordinator that is killed and started again with the same job id finds what was decided and done, and
goes on there: no member does a step again that it has done. Two coordinators of one job do the same, together.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from swarm.errors import InputError, JobFailedError, QueueFullError, StoreUnavailableError
from swarm.services.swarm import Swarm
from swarm.services.topologies.members import Member, check_members, register_members
from swarm.services.topologies.report import JobReport, StepFailure, StepReport
from swarm.services.topologies.steps import OpenStep, Step
from swarm.sona.vectors import check_count, check_number
from swarm.store.jobs import JobStore
from swarm.wire.codec import encode
from swarm.wire.keys import check_name
from swarm.wire.task_records import MAX_ATTEMPTS, MAX_TIME_LIMIT, TaskState

_POLL_S = 0.01
_SLOWEST_POLL_S = 0.2
_SPEC, _DEADLINE, _DONE = ":spec", ":deadline", ":done"
"""What is decided beside the steps; no step has such a name."""


class Job:
    """One run of a job. `spec` is all that makes it this job and no other.

    Parameters
    ----------
    name : its id, 1-63 letters, digits, '_', '.' or '-'
    timeout : seconds from its first begin; what has not ended then is dead
    time_limit : seconds that one attempt at a step may take
    replay : give steps that failed with everybody to the last one again; the timeout then counts from now
    """

    def __init__(
        self,
        swarm: Swarm,
        name: str,
        topology: str,
        who: Sequence[Member],
        spec: Mapping[str, Any],
        *,
        timeout: float,
        time_limit: float,
        replay: bool,
    ) -> None:
        self.name, self.topology, self.members = check_name(name, "job"), topology, check_members(who)
        self._swarm, self._tasks = swarm, swarm.tasks
        self._time_limit = check_number(time_limit, "time_limit", 0.01, MAX_TIME_LIMIT)
        # What is known of its steps lives no longer.
        check_number(timeout, "timeout", 0.1, swarm.settings.receipt_ttl)
        self._store = JobStore(swarm.client, swarm.keys, ttl=swarm.settings.receipt_ttl)
        self._decided = self._store.decided(self.name)
        self.is_resumed = bool(self._decided)
        named = [(member.agent, member.role) for member in who]
        self._check_spec(encode("job", {"topology": topology, "members": named, **spec}))
        # One that came to its end has nothing to be given again, though some members failed on the way.
        self._replay = replay and _DONE not in self._decided
        self._deadline = self._decide_deadline(timeout)
        self._replayed: set[str] = set()
        self._open: dict[str, OpenStep] = {}
        self.steps: list[StepReport] = []
        self.handled: list[str] = []
        register_members(swarm, who)

    def decide(self, what: str, value: str) -> str:
        """Decide something about this job, unless it is decided; what holds."""
        if what not in self._decided:
            self._decided[what] = self._store.decide(self.name, what, value)
        return self._decided[what]

    def decided(self, what: str) -> str | None:
        """What was decided before, if anything."""
        return self._decided.get(what)

    def run(
        self, steps: Iterable[Step], enough: Callable[[Sequence[StepReport]], bool] = lambda ended: False
    ) -> list[StepReport]:
        """Do steps at the same time, until each is done or has failed with everybody, or those that ended are `enough`.

        Raises
        ------
        JobFailedError
            If the job's time is over.
        """
        names = [step.name for step in steps if self._open.setdefault(step.name, OpenStep(step))]
        ended: dict[str, StepReport] = {}
        pause = _POLL_S
        while len(ended) < len(names) and not enough(list(ended.values())):
            before = len(ended)
            try:
                self._poll([name for name in names if name not in ended], ended)
                self._check_time()
            except StoreUnavailableError:
                # Redis comes back; what was decided and done is there.
                if time.time() >= self._deadline:
                    raise
            pause = _POLL_S if len(ended) > before else min(1.5 * pause, _SLOWEST_POLL_S)
            if len(ended) < len(names):
                time.sleep(pause)
        for name in set(names) - ended.keys():
            self._give_up(self._open.pop(name))
        return [ended[name] for name in names if name in ended]

    def freest(self, among: Sequence[Member], tried: Collection[str]) -> Member | None:
        """The member with the fewest steps of this job under way, of those who have not tried."""
        busy = [one.member.agent for one in self._open.values() if one.member is not None]
        left = [member for member in among if member.agent not in tried]
        return min(left, key=lambda member: busy.count(member.agent), default=None)

    def report(self, result: Any) -> JobReport:
        """The job has come to its end with this result."""
        self.decide(_DONE, "yes")
        return self._report(result)

    def _report(self, result: Any) -> JobReport:
        return JobReport(
            job=self.name,
            topology=self.topology,
            result=result,
            steps=tuple(self.steps),
            handled=tuple(self.handled),
            is_resumed=self.is_resumed,
        )

    def failed(self, why: str) -> JobFailedError:
        """The job cannot go on; run again with `replay` it begins at the step that failed."""
        return JobFailedError(f"job {self.name} ({self.topology}): {why}", self._report(None))

    def require(self, report: StepReport) -> Any:
        """The result of a step without which the job cannot go on."""
        if not report.is_done:
            raise self.failed(f"{report.step}: {_last(report.failures)}")
        return report.result

    # One step

    def _poll(self, names: Sequence[str], ended: dict[str, StepReport]) -> None:
        """Move each of these steps on; those that have ended by this are added to `ended`."""
        for name in names:
            if (report := self._advance(self._open[name])) is not None:
                ended[name] = report
                self.steps.append(report)
                del self._open[name]

    def _advance(self, one: OpenStep) -> StepReport | None:
        """Follow a step as far as it has come; its report if it has ended."""
        # Any call to Redis here may fail, and is then made again: nothing is noted before it has succeeded.
        while True:
            if one.member is None and not self._choose(one):
                return self._exhausted(one)
            assert one.member is not None
            if not one.task and not self._submit(one, one.member):
                return None
            view = self._tasks.find(one.task)
            if not view.has_ended:
                return None
            agent, step, failures = one.member.agent, one.step.name, tuple(one.failures)
            if view.state is TaskState.SUCCEEDED and one.step.accept(view.result):
                return StepReport(step=step, agent=agent, task=one.task, result=view.result, failures=failures)
            why = "declined" if view.state is TaskState.SUCCEEDED else view.status.why
            one.failures.append(StepFailure(step=step, agent=agent, task=one.task, why=why))
            one.member, one.task = None, ""

    def _choose(self, one: OpenStep) -> bool:
        """Find out who has the step next; False if nobody is left."""
        what = f"{one.step.name}.{len(one.failures)}"
        agent = self.decided(what)
        if agent is None:
            member = one.step.choose(one.tried)
            if member is None:
                return False
            agent = self.decide(what, member.agent)
        one.member = self.members[agent]
        if one.failures:
            self._note(one, f"given to {agent}")
        return True

    def _exhausted(self, one: OpenStep) -> StepReport | None:
        """Nobody is left for the step: it has failed, or its last task is replayed."""
        if self._replay and one.failures and one.failures[-1].task not in self._replayed:
            last = one.failures[-1]
            view = self._tasks.find(last.task)
            if view.state is TaskState.DEAD:
                self._tasks.replay(last.task, view.status.replays)
                self._replayed.add(last.task)
                self._note(one, "given to it again")
                one.failures.pop()
                one.member, one.task = self.members[last.agent], last.task
                return None
        self._note(one, one.step.otherwise)
        return StepReport(step=one.step.name, failures=tuple(one.failures))

    def _note(self, one: OpenStep, what: str) -> None:
        last = one.failures[-1] if one.failures else None
        failed = f"{last.agent} failed ({last.why})" if last else "there is nobody"
        self.handled.append(f"{one.step.name}: {failed}, {what}")

    def _submit(self, one: OpenStep, member: Member) -> bool:
        """Give the step to the member; whether it had it already, and may have done it."""
        if time.monotonic() < one.not_before:
            return False
        step = one.step
        try:
            receipt = self._swarm.submit(
                step.text,
                role=member.role,
                agent=member.agent,
                payload={"job": self.name, "topology": self.topology, **step.payload},
                submitter=self.name,
                deadline=self._deadline,
                time_limit=self._time_limit,
                max_attempts=check_count(step.attempts, "attempts", 1, MAX_ATTEMPTS),
                backoff=0.1,
                idempotency_key=f"{self.name}:{step.name}:{member.agent}",
                report=step.report,
            )
        except QueueFullError as error:
            one.not_before = time.monotonic() + error.retry_after_s
            return False
        except InputError:
            self._check_time()  # a deadline that has just passed is no bad input
            raise
        one.task = receipt.id
        return not receipt.is_new

    def _give_up(self, one: OpenStep) -> None:
        if one.task:
            self._tasks.cancel(one.task, "enough was done without it")

    # The whole

    def _check_spec(self, spec: bytes) -> None:
        digest = hashlib.sha256(spec).hexdigest()
        if self.decide(_SPEC, digest) != digest:
            raise InputError(f"job {self.name!r} was begun with other members, task or settings: take another id")

    def _decide_deadline(self, timeout: float) -> float:
        deadline = f"{self._tasks.store.now_s() + timeout:.3f}"
        if self._replay and _DEADLINE in self._decided:
            self._store.change(self.name, _DEADLINE, deadline)
            self._decided[_DEADLINE] = deadline
        return float(self.decide(_DEADLINE, deadline))

    def _check_time(self) -> None:
        if self._open and self._tasks.store.now_s() >= self._deadline:
            raise self.failed(f"its time is over; under way: {', '.join(sorted(self._open))}")


def _last(failures: Sequence[StepFailure]) -> str:
    if not failures:
        return "nobody could be given it"
    return f"{len(failures)} failed, the last one {failures[-1].agent}: {failures[-1].why}"
