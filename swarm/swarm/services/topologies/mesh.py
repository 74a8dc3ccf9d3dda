"""Mesh: all answer the same task, and what they agree on is the answer.

The consensus is that of `Swarm.learn_from_swarm_execution`: votes weigh as their agents were right before, and every
agent that answered learns from it. The hooks around the tasks report nothing, because whether an answer was right is
known only when all are there.

When a member fails
* It has no vote. As soon as a quorum has answered, the others have `grace` seconds more; what comes later is not
  counted, and its task is cancelled. The job fails when so many have failed that no quorum can come about.
* Whoever called `run`: run under the same id it goes on where it was; once it is decided who votes, that holds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from swarm.errors import InputError
from swarm.services.answers import Same
from swarm.services.execution import ConsensusRule, ExecutionReport
from swarm.services.swarm import Swarm
from swarm.services.topologies.base import Limits, Topology, only
from swarm.services.topologies.job import Job
from swarm.services.topologies.members import Member
from swarm.services.topologies.report import JobReport, StepReport
from swarm.services.topologies.steps import Step
from swarm.services.verdict import AgentResult
from swarm.sona.vectors import check_count, check_number

_VOTERS = ":voters"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshReport(JobReport):
    """`result` is the answer, None without a consensus; `execution` says what each agent's answer was worth."""

    execution: ExecutionReport


class Mesh(Topology):
    """Equals that all answer. Handlers see step "answer" in the payload, and answer a text; "" is no vote.

    Parameters
    ----------
    quorum : so many must answer; by default more than half
    grace : seconds that the others have after that
    consensus, same, choices : as in `Swarm.learn_from_swarm_execution`
    """

    name: ClassVar[str] = "mesh"

    def __init__(
        self,
        swarm: Swarm,
        job: str,
        *,
        members: Sequence[Member],
        quorum: int | None = None,
        grace: float = 30.0,
        consensus: ConsensusRule = "weighted",
        same: Same = None,
        choices: int | None = None,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(swarm, job, **limits)
        self._members = tuple(members)
        wanted = len(members) // 2 + 1 if quorum is None else quorum
        self._quorum = check_count(wanted, "quorum", 1, max(1, len(members)))
        self._grace = check_number(grace, "grace", 0.0, 86_400.0)
        self._consensus, self._same, self._choices = consensus, same, choices

    def run(self, text: str, given: Mapping[str, Any] | None = None, *, replay: bool = False) -> MeshReport:
        """Let all answer the task `text`, and learn from what they agree on.

        Raises
        ------
        JobFailedError
            If no quorum comes about, or the time is over.
        """
        given = dict(given or {})
        job = self._begin(self._members, {"text": text, "given": given, "quorum": self._quorum}, replay)
        answers = self._answers(job, text, given)
        voters = job.decide(_VOTERS, ",".join(sorted(answers))).split(",")
        # Another coordinator of this job may have decided on others.
        missing = [agent for agent in voters if agent not in answers]
        answers |= self._answers(job, text, given) if missing else {}
        execution = self._swarm.learn_from_swarm_execution(
            text,
            {agent: _result(answers[agent]) for agent in voters},
            self._consensus,
            same=self._same,
            choices=self._choices,
            idempotency_key=f"job:{job.name}",
        )
        plain = job.report(execution.answer)
        return MeshReport(
            **{name: getattr(plain, name) for name in JobReport.__dataclass_fields__}, execution=execution
        )

    def _answers(self, job: Job, text: str, given: Mapping[str, Any]) -> dict[str, StepReport]:
        decided = job.decided(_VOTERS)
        asked = self._members if decided is None else [job.members[agent] for agent in decided.split(",")]
        until = 0.0

        def enough(ended: Sequence[StepReport]) -> bool:
            nonlocal until
            answered = sum(step.is_done for step in ended)
            if decided is not None or answered < self._quorum:
                # Without hope of a quorum nobody needs to go on.
                return decided is None and len(asked) - len(ended) + answered < self._quorum
            until = until or time.monotonic() + self._grace
            return time.monotonic() >= until

        done = [step for step in job.run([_step(member, text, given) for member in asked], enough) if step.is_done]
        if len(done) < (self._quorum if decided is None else len(asked)):
            raise job.failed(f"{len(done)} of {len(self._members)} have answered, the quorum is {self._quorum}")
        return {step.agent: step for step in done}


def _step(member: Member, text: str, given: Mapping[str, Any]) -> Step:
    return Step(
        name=f"answer-{member.agent}",
        text=text,
        payload={"step": "answer", "given": given},
        choose=only(member),
        report=False,
        otherwise="it has no vote",
    )


def _result(step: StepReport) -> AgentResult:
    if not isinstance(step.result, str):
        raise InputError(f"agent {step.agent} must answer a text, got {type(step.result).__name__}: task {step.task}")
    return AgentResult(output=step.result)
