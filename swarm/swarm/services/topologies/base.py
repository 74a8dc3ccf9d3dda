"""What the topologies have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, TypedDict, Unpack

from swarm.errors import InputError
from swarm.services.swarm import Swarm
from swarm.services.topologies.job import Job
from swarm.services.topologies.members import Member
from swarm.services.topologies.steps import Choose

CHIEF_ATTEMPTS = 3
"""So many processes may die of a step that one member alone can do, the queen's or the hub's."""


class Limits(TypedDict, total=False):
    """How long a job may take."""

    timeout: float
    """Seconds for the whole, from its first begin, up to the lifetime of a receipt; 600 by default."""
    time_limit: float
    """Seconds for one attempt at a step; 600 by default."""


class Topology:
    """One job of several agents.

    Every task of it has a payload with `job`, `topology`, `step` (what is to be done) and `given` (what belongs to it),
    and what the step needs beside these.

    Parameters
    ----------
    job : its id; run again under the same id it goes on where it was
    limits : see `Limits`
    """

    name: ClassVar[str]

    def __init__(self, swarm: Swarm, job: str, **limits: Unpack[Limits]) -> None:
        if unknown := limits.keys() - Limits.__annotations__.keys():
            raise InputError(f"a topology has no setting {', '.join(sorted(unknown))}")
        self._swarm, self._job = swarm, job
        self._timeout, self._time_limit = limits.get("timeout", 600.0), limits.get("time_limit", 600.0)

    def _begin(self, who: Sequence[Member], spec: Mapping[str, Any], replay: bool) -> Job:
        return Job(
            self._swarm,
            self._job,
            self.name,
            who,
            spec,
            timeout=self._timeout,
            time_limit=self._time_limit,
            replay=replay,
        )


def only(member: Member) -> Choose:
    """Nobody else can do it."""
    return lambda tried: None if member.agent in tried else member


def in_order(who: Sequence[Member]) -> Choose:
    """One after the other."""

    def choose(tried: Collection[str]) -> Member | None:
        return next((member for member in who if member.agent not in tried), None)

    return choose


def whoever_is_free(job: Job, who: Sequence[Member]) -> Choose:
    """The one with the fewest steps under way."""
    return lambda tried: job.freest(who, tried)


def parts_of(job: Job, found: object, source: str, most: int) -> list[tuple[str, dict[str, Any]]]:
    """Texts and payloads of the parts that a member has made: each a text, or a map with `text` and `payload`."""
    if not isinstance(found, list) or not all(map(_is_part, found)) or not 1 <= len(found) <= most:
        raise job.failed(
            f"{source} must answer 1..{most} parts, each a text or a map with text and payload, got {found!r:.120}"
        )
    return [(part, {}) if isinstance(part, str) else (part["text"], part.get("payload", {})) for part in found]


def _is_part(part: object) -> bool:
    return isinstance(part, str) or (
        isinstance(part, dict) and isinstance(part.get("text"), str) and isinstance(part.get("payload", {}), dict)
    )
