"""Learning again from the outcomes that the stream still holds, on top of an earlier version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from swarm.services.agent_ageing import AgentRules
from swarm.services.batch import Batch, read_batch
from swarm.services.consolidate import MAX_OUTCOMES, cycle_rng, figures_of, learned_from, new_values
from swarm.services.merge import bank_of
from swarm.services.route_update import new_routes
from swarm.sona.background import CycleReport, run_cycle
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.index import PatternIndex
from swarm.sona.standing import Verdict
from swarm.store.agents import VALUES
from swarm.store.forgotten import Forgotten
from swarm.store.outcomes import OutcomeStore
from swarm.store.versions import Content, Span
from swarm.wire.records import decode_cluster

EMPTY = Content(version=0, clusters={}, values=dict.fromkeys(VALUES), skipped=0)
"""What every agent holds before its first generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of it: clusters, and whole records by name (None for one that was never written).

    `replayed` counts the outcomes that were learned again, `passed` those that were taken back; `spans` are those
    with an outcome in them, and `age` that of the content.
    """

    clusters: Sequence[Cluster]
    values: Mapping[str, bytes | None]
    spans: tuple[Span, ...]
    replayed: int
    passed: int
    age: int
    figures: dict[str, int | float | bool | str]


def rebuild(
    agent: str,
    base: Content,
    spans: Sequence[Span],
    config: SonaConfig,
    outcomes: OutcomeStore,
    forgotten: Forgotten,
    others: Mapping[str, Sequence[Cluster]],
    verdicts: Mapping[str, Verdict],
    rules: AgentRules,
) -> Rebuilt:
    """The content of `base` after the outcomes of `spans`, without those that were taken back.

    Batches and draws are those of the generations that learned these outcomes first, so that the clusters are those
    of an agent that never saw what was taken back. Each batch is matched against the bank that `others` (the
    clusters of the other agents, as they are now) and the agent itself make at that moment.
    """
    clusters = [decode_cluster(record) for _, record in sorted(base.clusters.items())]
    learned = learned_from(clusters, base.values, config)
    values = dict(base.values)
    reports: list[CycleReport] = []
    used: list[Span] = []
    passed = 0
    for span in spans:
        for batch in _batches(span, outcomes, config.dim, forgotten):
            passed += len(batch.forgotten)
            if not batch.trajectories:
                continue
            standing = {**verdicts, agent: learned.standing.verdict}
            ages = rules.at(batch.at_s)
            bank = _index(bank_of(ages.parts({**others, agent: learned.clusters}), standing), config)
            before = learned
            learned, report = run_cycle(
                before,
                batch.trajectories,
                bank,
                config,
                cycle_rng(config, base.age + len(reports)),
                agent,
                ages.of(agent),
            )
            values |= new_values(before, learned, batch.trajectories)
            values |= new_routes(values["routes"], batch.trajectories, config.dim)
            # In the order in which a consolidation reads them: how clusters are grouped hangs on it.
            learned = replace(learned, clusters=tuple(sorted(learned.clusters, key=lambda cluster: cluster.id)))
            reports.append(report)
            if used[-1:] != [span]:
                used.append(span)
    return Rebuilt(
        clusters=learned.clusters,
        values=values,
        spans=tuple(used),
        replayed=sum(report.outcomes for report in reports),
        passed=passed,
        age=base.age + len(reports),
        figures=_figures(reports, len(learned.clusters)),
    )


def _batches(span: Span, outcomes: OutcomeStore, dim: int, forgotten: Forgotten) -> Iterator[Batch]:
    cursor, last = span
    while entries := outcomes.read_after(cursor, MAX_OUTCOMES, last):
        batch = read_batch(entries, dim, forgotten)
        cursor = batch.cursor
        yield batch


def _index(patterns: Sequence[Cluster], config: SonaConfig) -> PatternIndex:
    index = PatternIndex(config)
    index.replace_all(sorted(patterns, key=lambda pattern: pattern.id))
    return index


def _figures(reports: Sequence[CycleReport], clusters: int) -> dict[str, int | float | bool | str]:
    """The figures of the last batch, with the totals of all."""
    last = figures_of(reports[-1]) if reports else {}
    return {
        **last,
        "outcomes": sum(report.outcomes for report in reports),
        "trained_on": sum(report.trained_on for report in reports),
        "pruned": sum(report.pruned for report in reports),
        "expired": sum(report.expired for report in reports),
        "promoted": any(report.promoted for report in reports),
        "batches": len(reports),
        "clusters": clusters,
    }
