"""Hierarchy: a queen takes a task apart, workers do the parts, and the queen puts the results together.

When a member fails
* A worker: its part is given to the worker with the fewest parts, of those that have not tried it. The job fails when
  every worker has failed with a part.
* The queen: her process may die twice, each time another process plays her. If she is dead for good, the job has
  failed; run under the same id with `replay` it goes on where she died, and no part is done again.
* Whoever called `run`: run under the same id it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

from swarm.services.swarm import Swarm
from swarm.services.topologies.base import CHIEF_ATTEMPTS, Limits, Topology, only, parts_of, whoever_is_free
from swarm.services.topologies.job import Job
from swarm.services.topologies.members import Member
from swarm.services.topologies.report import JobReport
from swarm.services.topologies.steps import Step

MAX_PARTS = 1_000


class Hierarchy(Topology):
    """A queen and her workers. Handlers see in the payload

    * step "decompose", for the queen, with `workers` (how many there are): answers the parts, each a text or a map with
      `text` and `payload`;
    * step "part", for a worker, with `number`; `given` is the part's payload: answers its result;
    * step "gather", for the queen, with `results` in the order of the parts: answers the result of the job.
    """

    name: ClassVar[str] = "hierarchy"

    def __init__(
        self, swarm: Swarm, job: str, *, queen: Member, workers: Sequence[Member], **limits: Unpack[Limits]
    ) -> None:
        super().__init__(swarm, job, **limits)
        self._queen, self._workers = queen, tuple(workers)

    def run(self, text: str, given: Mapping[str, Any] | None = None, *, replay: bool = False) -> JobReport:
        """Do the task `text`.

        Raises
        ------
        JobFailedError
            If the queen is dead, all workers have failed with one part, or the time is over.
        """
        given = dict(given or {})
        job = self._begin([self._queen, *self._workers], {"text": text, "given": given}, replay)
        [plan] = job.run([self._for_queen(text, "decompose", given, workers=len(self._workers))])
        parts = parts_of(job, job.require(plan), f"queen {self._queen.agent}", MAX_PARTS)
        done = job.run([self._for_worker(job, number, *part) for number, part in enumerate(parts)])
        results = [job.require(part) for part in done]
        [whole] = job.run([self._for_queen(text, "gather", given, results=results)])
        return job.report(job.require(whole))

    def _for_queen(self, text: str, step: str, given: Mapping[str, Any], **more: Any) -> Step:
        return Step(
            name=step,
            text=text,
            payload={"step": step, "given": given, **more},
            choose=only(self._queen),
            attempts=CHIEF_ATTEMPTS,
        )

    def _for_worker(self, job: Job, number: int, text: str, given: Mapping[str, Any]) -> Step:
        return Step(
            name=f"part-{number}",
            text=text,
            payload={"step": "part", "number": number, "given": given},
            choose=whoever_is_free(job, self._workers),
        )
