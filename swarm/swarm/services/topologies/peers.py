"""Peer to peer: nobody leads. Each peer asks whoever is known to be good at what it wants to know.

Who that is comes from learned placement (`services.placement`) among the other peers: by their own outcomes with such
questions, their load, and now and then somebody new. A peer that cannot answer declines by answering None; it should
say `task.quality = 0.0` then, so that the swarm learns whom not to ask.

When a member fails
* A peer that was asked, or one that declines: the next best peer is asked, never the asker and nobody twice. A question
  that nobody could answer fails the job when all others are answered.
* A peer that asks: its questions are tasks of the ledger and go on without it; run under the same id the job gives it
  the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Unpack

from swarm.errors import InputError
from swarm.services.swarm import Swarm
from swarm.services.topologies.base import Limits, Topology
from swarm.services.topologies.job import Job
from swarm.services.topologies.members import Member
from swarm.services.topologies.report import JobReport
from swarm.services.topologies.steps import Choose, Step
from swarm.sona.vectors import check_count

MAX_QUESTIONS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one peer wants to know of the others. Without an asker any peer may answer."""

    text: str
    asker: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


class PeerToPeer(Topology):
    """Peers, all of one role. Handlers see step "ask" in the payload, with `asker` and `number`; `given` is that of the
    question. They answer it, or None to decline.

    A handler may itself ask the others this way; it then waits in a process of its pool, which must have more.
    """

    name: ClassVar[str] = "peer-to-peer"

    def __init__(self, swarm: Swarm, job: str, *, peers: Sequence[Member], **limits: Unpack[Limits]) -> None:
        super().__init__(swarm, job, **limits)
        self._peers = tuple(peers)
        if len({peer.role for peer in peers}) != 1:
            raise InputError(f"peers must be of one role, got {', '.join(sorted({peer.role for peer in peers}))}")

    def run(self, questions: Sequence[Question], *, replay: bool = False) -> JobReport:
        """Have all questions answered; the result is a list of answers, in their order.

        Raises
        ------
        JobFailedError
            If nobody could answer a question, or the time is over. Its report has the answers to the others.
        """
        check_count(len(questions), "number of questions", 1, MAX_QUESTIONS)
        asked = [{"text": one.text, "asker": one.asker, "given": dict(one.given)} for one in questions]
        job = self._begin(self._peers, {"questions": asked}, replay)
        done = job.run([self._step(job, number, one) for number, one in enumerate(questions)])
        if unanswered := [step.step for step in done if not step.is_done]:
            raise job.failed(f"nobody could answer {', '.join(unanswered)}")
        return job.report([step.result for step in done])

    def _step(self, job: Job, number: int, question: Question) -> Step:
        return Step(
            name=f"ask-{number}",
            text=question.text,
            payload={"step": "ask", "number": number, "asker": question.asker, "given": dict(question.given)},
            choose=self._best(job, number, question),
            accept=lambda result: result is not None,
        )

    def _best(self, job: Job, number: int, question: Question) -> Choose:
        def choose(tried: Collection[str]) -> Member | None:
            others = [one.agent for one in self._peers if one.agent != question.asker and one.agent not in tried]
            if not others:
                return None
            role, seed = self._peers[0].role, f"{job.name}:{number}:{len(tried)}"
            return job.members[self._swarm.place(question.text, role, agents=others, seed=seed).agent]

        return choose
