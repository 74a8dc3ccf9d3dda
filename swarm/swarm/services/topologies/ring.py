"""Ring: a token goes round; each station takes what it got, does its part, and hands the token on to the next.

When a member fails
* A station: it is skipped, and the ring is bridged: the next station gets the token as the dead one got it, and is told
  who was skipped. In later laps the dead station is passed over at once. The job fails when no station is left.
* Whoever called `run`: run under the same id it goes on with the token where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Unpack

from swarm.services.swarm import Swarm
from swarm.services.topologies.base import Limits, Topology, only
from swarm.services.topologies.job import Job
from swarm.services.topologies.members import Member
from swarm.services.topologies.report import JobReport, StepReport
from swarm.services.topologies.steps import Step
from swarm.sona.vectors import check_count

MAX_LAPS = 1_000


class Ring(Topology):
    """Stations in a ring. Handlers see step "hop" in the payload, with `token`, `lap` (0 first), `place` (the station's
    in the ring) and `skipped` (agents that should have had the token since the last one that did). They answer the
    token, as it goes on.

    Parameters
    ----------
    stations : in the order of the ring
    laps : how often the token goes round
    until : called with the token after each hop; when it is True the token has arrived
    """

    name: ClassVar[str] = "ring"

    def __init__(
        self,
        swarm: Swarm,
        job: str,
        *,
        stations: Sequence[Member],
        laps: int = 1,
        until: Callable[[Any], bool] = lambda token: False,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(swarm, job, **limits)
        self._stations, self._until = tuple(stations), until
        self._laps = check_count(laps, "laps", 1, MAX_LAPS)

    def run(self, text: str, token: Any, *, replay: bool = False) -> JobReport:
        """Send a token round; the result is what it has become.

        Raises
        ------
        JobFailedError
            If no station is left, or the time is over.
        """
        job = self._begin(self._stations, {"text": text, "token": token, "laps": self._laps}, replay)
        dead, skipped = set[str](), list[str]()
        for hop in range(self._laps * len(self._stations)):
            lap, place = divmod(hop, len(self._stations))
            station = self._stations[place]
            if station.agent in dead:
                skipped.append(station.agent)
                continue
            step = self._hop(job, station, text, token=token, lap=lap, place=place, skipped=skipped)
            if step.is_done:
                token, skipped = step.result, []
                if self._until(token):
                    break
                continue
            dead.add(station.agent)
            skipped.append(station.agent)
            if len(dead) == len(self._stations):
                raise job.failed("no station is left")
        return job.report(token)

    def _hop(self, job: Job, station: Member, text: str, **payload: Any) -> StepReport:
        step = Step(
            name=f"hop-{payload['lap']}-{payload['place']}",
            text=text,
            payload={"step": "hop", "given": {}, **payload},
            choose=only(station),
            otherwise="skipped, the token goes on to the next station",
        )
        [done] = job.run([step])
        return done
