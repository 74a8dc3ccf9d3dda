"""Learned placement: which agent of a role a task is best given to, and why.

Each candidate has an expected quality, from its own outcomes with such tasks alone (`sona.skill`), and a load: the
tasks that name it and have not ended. The best score gets the task:

    score = expected quality - 0.02 x load

So an expert with .95 that has eleven tasks more before it yields to one with .75. One task in twenty, drawn by its id,
goes instead to the candidate of whom least is known for such tasks (then the least loaded): so nobody is starved who is
new, or was bad once. An agent whose feedback is not believed is chosen only where there is no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from swarm.sona.index import Hit
from swarm.sona.skill import Skill, expected_skills
from swarm.sona.standing import Verdict

NEAREST = 256
"""So many clusters near a task are looked at."""
LOAD_PRICE = 0.02
"""What one task that waits before it costs, in quality."""
EXPLORED = 20
"""One task in so many is given to whom least is known of."""
MAX_CANDIDATES = 64
"""Of more agents in a role those with most evidence are candidates, and some of the others ..."""
_DRAWN = 16
"""... so many, drawn by the task's id."""
MAX_EXPLAINED = 10
"""So many candidates are kept with the task, the best ones and the one that was chosen."""

Reason = Literal["best", "explored", "only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An agent that could have had the task. `evidence` is in outcomes at the nearest known task."""

    agent: str
    expected_quality: float
    evidence: float
    load: int
    score: float
    is_believed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Who was chosen among how many; `candidates` are the best ones, best first."""

    agent: str
    reason: Reason
    """best: of the best score; explored: least is known of it; only: there was no other."""
    considered: int
    candidates: tuple[Candidate, ...]

    @property
    def why(self) -> str:
        """In words."""
        chosen = next(one for one in self.candidates if one.agent == self.agent)
        if self.reason == "only":
            return f"{self.agent} is the only candidate"
        if self.reason == "explored":
            return f"{self.agent} is tried: least is known of it for such tasks (evidence {chosen.evidence:.2f})"
        return (
            f"{self.agent} has the best score of {self.considered}: expected quality {chosen.expected_quality:.2f} "
            f"(evidence {chosen.evidence:.2f}), {chosen.load} tasks before it"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they are kept with the task."""
        return {**asdict(self), "candidates": [asdict(one) for one in self.candidates], "why": self.why}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Placement:
        """The inverse of `as_dict`."""
        candidates = tuple(Candidate(**one) for one in values["candidates"])
        return cls(**{name: values[name] for name in ("agent", "reason", "considered")}, candidates=candidates)


def candidates_of(near: Sequence[Hit], agents: Collection[str], seed: str) -> list[str]:
    """At most `MAX_CANDIDATES` of `agents`: those with most outcomes in the clusters near the task, and some others."""
    if len(agents) <= MAX_CANDIDATES:
        return sorted(agents)
    known: dict[str, float] = {}
    for hit in near:
        for name, tally in hit.cluster.agents.items():
            known[name] = known.get(name, 0.0) + tally.n
    by_evidence = sorted(agents, key=lambda name: (-known.get(name, 0.0), _drawn(seed, name)))
    first, rest = by_evidence[: MAX_CANDIDATES - _DRAWN], by_evidence[MAX_CANDIDATES - _DRAWN :]
    return sorted(first + sorted(rest, key=lambda name: _drawn(seed, name))[:_DRAWN])


def choose(
    near: Sequence[Hit], loads: Mapping[str, int], verdicts: Mapping[str, Verdict], tau: float, seed: str
) -> Placement:
    """Who gets a task.

    Parameters
    ----------
    near : the clusters near it, of successes and of failures
    loads : how many tasks every agent that has some has before it
    verdicts : the candidates, and whether their feedback is believed
    tau : temperature of the kernel
    seed : the same one draws the same
    """
    skills = expected_skills(near, verdicts.keys(), tau)
    candidates = [_candidate(name, skills[name], loads.get(name, 0), verdict) for name, verdict in verdicts.items()]
    candidates.sort(key=lambda one: (-one.score, one.load, _drawn(seed, one.agent)))
    believed = [one for one in candidates if one.is_believed] or candidates
    chosen, reason = believed[0], "best" if len(believed) > 1 else "only"
    if len(believed) > 1 and _drawn(seed, "") % EXPLORED == 0:
        chosen, reason = min(believed, key=lambda one: (one.evidence, one.load)), "explored"
    shown = candidates[:MAX_EXPLAINED]
    if chosen not in shown:
        shown[-1] = chosen
    return Placement(agent=chosen.agent, reason=reason, considered=len(candidates), candidates=tuple(shown))  # type: ignore[arg-type]  # one of three words


def _candidate(agent: str, skill: Skill, load: int, verdict: Verdict) -> Candidate:
    return Candidate(
        agent=agent,
        expected_quality=skill.quality,
        evidence=skill.evidence,
        load=load,
        score=skill.quality - LOAD_PRICE * load,
        is_believed=verdict is not Verdict.QUARANTINED,
    )


def _drawn(seed: str, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "big")
