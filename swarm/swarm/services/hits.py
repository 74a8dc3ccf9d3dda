"""What a query answers: patterns with their provenance, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from swarm.sona.clusters import Cluster
from swarm.sona.index import ActionHit, Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One agent's part in a pattern."""

    agent: str
    role: str
    outcomes: float
    mean_quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One remembered outcome of a pattern. `at_s`: seconds since the epoch."""

    text: str
    quality: float
    agent: str
    trajectory_id: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternHit:
    """A pattern that speaks for an action, who learned it, from which runs, and how sure that is.

    `share` is its part in [0, 1] of all votes for this query; `failures` counts outcomes close by that speak
    against it; `quality_error` is the standard error of the (shrunken) mean quality.
    """

    pattern_id: str
    action: str
    response: str
    label: str
    task_type: str
    score: float
    share: float
    similarity: float
    outcomes: float
    failures: float
    mean_quality: float
    expected_quality: float
    quality_error: float
    sources: tuple[Source, ...]
    examples: tuple[Example, ...]
    first_s: float
    last_s: float
    confirmed: bool = True
    """False while it is the word of one agent that has not shown yet that it can be believed."""

    @property
    def trajectory_ids(self) -> tuple[str, ...]:
        """Ids of the remembered outcomes."""
        return tuple(example.trajectory_id for example in self.examples)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "trajectory_ids": list(self.trajectory_ids)}


def found_by_similarity(hit: Hit) -> ActionHit:
    """A pattern that a search for similar tasks found, as an action hit: it competed with no other action."""
    return ActionHit(
        action=hit.cluster.action,
        pattern=hit.cluster,
        similarity=hit.similarity,
        score=hit.score,
        share=0.0,
        failures=0.0,
    )


def pattern_hit(hit: ActionHit, roles: Mapping[str, str]) -> PatternHit:
    """What the index found, with each agent's role."""
    pattern = hit.pattern
    return PatternHit(
        pattern_id=pattern.id,
        action=hit.action,
        response=pattern.response,
        label=pattern.label,
        task_type=pattern.task_type,
        score=hit.score,
        share=hit.share,
        similarity=hit.similarity,
        outcomes=pattern.n,
        failures=hit.failures,
        mean_quality=pattern.mean_quality,
        expected_quality=pattern.expected_quality,
        quality_error=pattern.quality_error,
        sources=sources_of(pattern, roles),
        examples=examples_of(pattern),
        first_s=pattern.first_s,
        last_s=pattern.last_s,
        confirmed=pattern.confirmed,
    )


def sources_of(pattern: Cluster, roles: Mapping[str, str]) -> tuple[Source, ...]:
    """Who learned a pattern, the one with most evidence first."""
    sources = [
        Source(agent=name, role=roles.get(name, ""), outcomes=tally.n, mean_quality=tally.sum_quality / tally.n)
        for name, tally in pattern.agents.items()
        if tally.n > 0.0
    ]
    return tuple(sorted(sources, key=lambda source: (-source.outcomes, source.agent)))


def examples_of(pattern: Cluster) -> tuple[Example, ...]:
    """The outcomes that a pattern remembers, best first."""
    return tuple(
        Example(text=e.text, quality=e.quality, agent=e.agent, trajectory_id=e.trajectory_id, at_s=e.at_s)
        for e in pattern.exemplars
    )
