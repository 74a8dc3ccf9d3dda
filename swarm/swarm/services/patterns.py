"""The patterns of the bank as people look through them: page by page, and one with all that is known of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from swarm.errors import UnknownIdError, shown
from swarm.services.hits import Example, Source, examples_of, sources_of
from swarm.sona.ageing import Pins
from swarm.sona.clusters import Cluster, RouteTally
from swarm.sona.standing import Verdict
from swarm.sona.vectors import check_text
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore
from swarm.store.retention import RetentionStore

MAX_PAGE = 200
MAX_OFFSET = 10_000
"""Whoever wants more of a bank than this asks for parts of it, by agent or type."""


class PatternOrder(StrEnum):
    """What comes first: most evidence, the best expectation, the newest outcome, or the smallest id."""

    EVIDENCE = "evidence"
    QUALITY = "quality"
    NEWEST = "newest"
    ID = "id"


_KEYS: Mapping[PatternOrder, Callable[[Cluster], tuple[float, str]]] = {
    PatternOrder.EVIDENCE: lambda pattern: (-pattern.n, pattern.id),
    PatternOrder.QUALITY: lambda pattern: (-pattern.expected_quality, pattern.id),
    PatternOrder.NEWEST: lambda pattern: (-pattern.last_s, pattern.id),
    PatternOrder.ID: lambda pattern: (0.0, pattern.id),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternSummary:
    """A pattern without its examples.

    `positive` is False for what was tried and failed: to be avoided. `confirmed` is False while it is the word of one
    agent that has not shown yet that it can be believed, and `insisted` True if that agent repeats it all the same:
    then nobody else is shown it. Times are seconds since the epoch.
    """

    pattern_id: str
    action: str
    response: str
    label: str
    task_type: str
    positive: bool
    outcomes: float
    mean_quality: float
    expected_quality: float
    quality_error: float
    sources: tuple[Source, ...]
    first_s: float
    last_s: float
    confirmed: bool
    insisted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternRoute:
    """How one route did for a pattern; latency in ms, cost in USD."""

    route: str
    outcomes: float
    mean_quality: float
    mean_latency_ms: float
    mean_cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternDetail:
    """A pattern with its provenance: `examples` are the outcomes that it remembers, by whom and from which run.

    `verdicts` says how far each of its agents is believed; `pinned_as` is the id of the pin that keeps it, "" if none.
    """

    summary: PatternSummary
    examples: tuple[Example, ...]
    routes: tuple[PatternRoute, ...]
    verdicts: Mapping[str, Verdict]
    pinned_as: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternPage:
    """Some of the patterns that were asked for. `total` is how many there are; `next_offset` None at the end."""

    patterns: tuple[PatternSummary, ...]
    total: int
    next_offset: int | None


def list_patterns(
    patterns: Iterable[Cluster],
    roles: Mapping[str, str],
    *,
    agents: Sequence[str] | None,
    task_type: str | None,
    order: PatternOrder,
    offset: int,
    limit: int,
) -> PatternPage:
    """A page of those with evidence of one of `agents` (None: of anybody) and of that type (None: of any)."""
    names = None if agents is None else frozenset(agents)
    total = 0

    def wanted() -> Iterator[Cluster]:
        # One by one: of a large bank not all are held at once.
        nonlocal total
        for pattern in patterns:
            is_theirs = names is None or not names.isdisjoint(pattern.agents)
            if is_theirs and (task_type is None or pattern.task_type == task_type):
                total += 1
                yield pattern

    page = heapq.nsmallest(offset + limit, wanted(), key=_KEYS[order])[offset:]
    end = offset + len(page)
    return PatternPage(
        patterns=tuple(summary_of(pattern, roles) for pattern in page),
        total=total,
        next_offset=end if page and end < total else None,
    )


def read_pattern(
    pattern_id: str, bank: BankStore, agents: AgentStore, retention: RetentionStore, roles: Mapping[str, str]
) -> PatternDetail:
    """One pattern of the bank.

    Raises
    ------
    UnknownIdError
        If the bank has no such pattern.
    """
    pattern = bank.pattern(check_text(pattern_id, "pattern_id"))
    if pattern is None:
        raise UnknownIdError(f"pattern {shown(pattern_id)} is not in the bank: swarm query shows ids")
    states = agents.states(list(pattern.agents))
    pin = Pins(record.pin for record in retention.pins().values()).nearest(pattern)
    return PatternDetail(
        summary=summary_of(pattern, roles),
        examples=examples_of(pattern),
        routes=tuple(_route(name, tally) for name, tally in sorted(pattern.routes.items()) if tally.n > 0.0),
        verdicts={name: state.verdict for name, state in states.items()},
        pinned_as="" if pin is None else pin.id,
    )


def summary_of(pattern: Cluster, roles: Mapping[str, str]) -> PatternSummary:
    """A pattern of the bank, with each agent's role."""
    return PatternSummary(
        pattern_id=pattern.id,
        action=pattern.action,
        response=pattern.response,
        label=pattern.label,
        task_type=pattern.task_type,
        positive=pattern.positive,
        outcomes=pattern.n,
        mean_quality=pattern.mean_quality,
        expected_quality=pattern.expected_quality,
        quality_error=pattern.quality_error,
        sources=sources_of(pattern, roles),
        first_s=pattern.first_s,
        last_s=pattern.last_s,
        confirmed=pattern.confirmed,
        insisted=pattern.insisted,
    )


def _route(name: str, tally: RouteTally) -> PatternRoute:
    return PatternRoute(
        route=name,
        outcomes=tally.n,
        mean_quality=tally.sum_quality / tally.n,
        mean_latency_ms=tally.sum_latency_ms / tally.n,
        mean_cost=tally.sum_cost / tally.n,
    )
