"""Learning again from the outcomes that the stream still holds, on top of an earlier version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from swarm.services.batch import Batch, read_batch
from swarm.services.consolidate import MAX_OUTCOMES, cycle_rng, figures_of, learned_from, new_weights
from swarm.services.merge import merge_agents
from swarm.sona.background import CycleReport, run_cycle
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.index import PatternIndex
from swarm.store.forgotten import Forgotten
from swarm.store.outcomes import OutcomeStore
from swarm.store.versions import Content, Span
from swarm.wire.records import Weights, decode_cluster, decode_weights

EMPTY = Content(version=0, clusters={}, values={"weights": None}, skipped=0)
"""What every agent holds before its first generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of it. `weights` None means that those of the version it builds on still hold.

    `replayed` counts the outcomes that were learned again, `passed` those that were taken back; `spans` are those
    with an outcome in them, and `age` that of the content.
    """

    clusters: Sequence[Cluster]
    weights: Weights | None
    spans: tuple[Span, ...]
    replayed: int
    passed: int
    age: int
    figures: dict[str, int | float | bool]


def rebuild(
    base: Content,
    spans: Sequence[Span],
    config: SonaConfig,
    outcomes: OutcomeStore,
    forgotten: Forgotten,
    others: Sequence[Sequence[Cluster]],
) -> Rebuilt:
    """The content of `base` after the outcomes of `spans`, without those that were taken back.

    Batches and draws are those of the generations that learned these outcomes first, so that the clusters are those
    of an agent that never saw what was taken back. Each batch is matched against the bank that `others` (the
    clusters of the other agents, as they are now) and the agent itself make at that moment.
    """
    stored = base.values["weights"]
    clusters = [decode_cluster(record) for _, record in sorted(base.clusters.items())]
    learned = learned_from(clusters, None if stored is None else decode_weights(stored), config)
    weights: Weights | None = None
    reports: list[CycleReport] = []
    used: list[Span] = []
    passed = 0
    for span in spans:
        for batch in _batches(span, outcomes, config.dim, forgotten):
            passed += len(batch.forgotten)
            if not batch.trajectories:
                continue
            bank = _index([*others, learned.clusters], config)
            learned, report = run_cycle(
                learned, batch.trajectories, bank, config, cycle_rng(config, base.age + len(reports))
            )
            # In the order in which a consolidation reads them: how clusters are grouped hangs on it.
            learned = replace(learned, clusters=tuple(sorted(learned.clusters, key=lambda cluster: cluster.id)))
            weights = new_weights(learned, report) or weights
            reports.append(report)
            if used[-1:] != [span]:
                used.append(span)
    return Rebuilt(
        clusters=learned.clusters,
        weights=weights,
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


def _index(parts: Sequence[Sequence[Cluster]], config: SonaConfig) -> PatternIndex:
    index = PatternIndex(config.dim, config.temperature, config.failure_weight)
    index.replace_all(sorted(merge_agents(parts), key=lambda pattern: pattern.id))
    return index


def _figures(reports: Sequence[CycleReport], clusters: int) -> dict[str, int | float | bool]:
    """The figures of the last batch, with the totals of all."""
    last = figures_of(reports[-1]) if reports else {}
    return {
        **last,
        "outcomes": sum(report.outcomes for report in reports),
        "trained_on": sum(report.trained_on for report in reports),
        "pruned": sum(report.pruned for report in reports),
        "promoted": any(report.promoted for report in reports),
        "batches": len(reports),
        "clusters": clusters,
    }
