"""Patterns, with who learned them and from which runs."""

from __future__ import annotations

from swarm.services.hits import Example, Source
from swarm.services.patterns import PatternDetail, PatternRoute
from swarm.sona.standing import Verdict
from swarm_gateway.schemas.base import View


class HitView(View):
    """A pattern that speaks for an action; see `PatternHit`."""

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
    confirmed: bool
    trajectory_ids: tuple[str, ...]


class SummaryView(View):
    """A pattern of the bank; see `PatternSummary`. `positive` is false for what failed and is to be avoided."""

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


class DetailView(SummaryView):
    """A pattern with its provenance; see `PatternDetail`. `verdicts`: how far each of its agents is believed."""

    examples: tuple[Example, ...]
    routes: tuple[PatternRoute, ...]
    verdicts: dict[str, Verdict]
    pinned_as: str

    @classmethod
    def of_detail(cls, detail: PatternDetail) -> DetailView:
        """Everything on one level."""
        return cls(
            **SummaryView.of(detail.summary).model_dump(),
            examples=detail.examples,
            routes=detail.routes,
            verdicts=dict(detail.verdicts),
            pinned_as=detail.pinned_as,
        )


class PageView(View):
    """Some of the patterns; `total` is how many there are, `next_offset` null at the end."""

    patterns: tuple[SummaryView, ...]
    total: int
    next_offset: int | None
