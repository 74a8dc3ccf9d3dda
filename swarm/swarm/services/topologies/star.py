"""Star: a hub in the middle asks the spokes in turns, until it has what it wants.

When a member fails
* A spoke: what it was asked is asked of the spoke with the fewest questions, of those that have not tried. If all have
  failed with it, the hub is told so in its next turn, and decides.
* The hub: its process may die twice in a turn, each time another process plays it. If it is dead for good, the job has
  failed; run under the same id with `replay` it goes on with that turn.
* Whoever called `run`: run under the same id it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

from swarm.services.swarm import Swarm
from swarm.services.topologies.base import CHIEF_ATTEMPTS, Limits, Topology, only, parts_of, whoever_is_free
from swarm.services.topologies.job import Job
from swarm.services.topologies.members import Member
from swarm.services.topologies.report import JobReport, StepReport
from swarm.services.topologies.steps import Step
from swarm.sona.vectors import check_count

MAX_TURNS = 1_000
MAX_ASKED = 1_000


class Star(Topology):
    """A hub and its spokes. Handlers see in the payload

    * step "turn", for the hub, with `turn` (0 first), `state` (what it answered as such last time, None first) and
      `answers` (in the order of what it asked: maps with `answer`, or with `failed`). It answers a map with `ask`, what
      to ask next (each a text, or a map with `text` and `payload`), and `state`; or one with `result`, which ends it.
    * step "ask", for a spoke, with `number`; `given` is the payload of what is asked: answers whatever the hub wants.
    """

    name: ClassVar[str] = "star"

    def __init__(
        self,
        swarm: Swarm,
        job: str,
        *,
        hub: Member,
        spokes: Sequence[Member],
        max_turns: int = 20,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(swarm, job, **limits)
        self._hub, self._spokes = hub, tuple(spokes)
        self._max_turns = check_count(max_turns, "max_turns", 1, MAX_TURNS)

    def run(self, text: str, given: Mapping[str, Any] | None = None, *, replay: bool = False) -> JobReport:
        """Do the task `text`.

        Raises
        ------
        JobFailedError
            If the hub is dead, asks for nothing that can be asked, goes on after `max_turns`, or the time is over.
        """
        given = dict(given or {})
        job = self._begin([self._hub, *self._spokes], {"text": text, "given": given}, replay)
        state, answers = None, list[dict[str, Any]]()
        for turn in range(self._max_turns):
            [said] = job.run([self._turn(turn, text, given, state, answers)])
            wish = job.require(said)
            if not isinstance(wish, dict) or not {"ask", "result"} & wish.keys():
                raise job.failed(f"hub {self._hub.agent} must answer a map with ask or result, got {wish!r:.120}")
            if "result" in wish:
                return job.report(wish["result"])
            asked = parts_of(job, wish["ask"], f"hub {self._hub.agent}", MAX_ASKED)
            done = job.run([self._ask(job, turn, number, *part) for number, part in enumerate(asked)])
            state, answers = wish.get("state"), [_answer(step) for step in done]
        raise job.failed(f"hub {self._hub.agent} has no result after {self._max_turns} turns (max_turns)")

    def _turn(self, turn: int, text: str, given: Mapping[str, Any], state: Any, answers: Sequence[Any]) -> Step:
        return Step(
            name=f"turn-{turn}",
            text=text,
            payload={"step": "turn", "turn": turn, "given": given, "state": state, "answers": list(answers)},
            choose=only(self._hub),
            attempts=CHIEF_ATTEMPTS,
        )

    def _ask(self, job: Job, turn: int, number: int, text: str, given: Mapping[str, Any]) -> Step:
        return Step(
            name=f"ask-{turn}-{number}",
            text=text,
            payload={"step": "ask", "number": number, "given": given},
            choose=whoever_is_free(job, self._spokes),
            otherwise="nobody is left, the hub is told",
        )


def _answer(step: StepReport) -> dict[str, Any]:
    if step.is_done:
        return {"answer": step.result}
    return {"failed": step.failures[-1].why if step.failures else "there is no spoke"}
