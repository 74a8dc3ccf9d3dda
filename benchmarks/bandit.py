"""A stream of requests with bandit feedback over the real engine: what several benchmarks share.

The protocol. `SEEDS_PER_LABEL` training rows of each label are known at the start, as outcomes of the agent `LIBRARY`
with quality 1; the other training rows are the stream, in an order drawn by the seed. The agent tries the action that
it ranks first and learns whether that one was right, nothing else. When it was wrong the agent goes down the list that
it was given, `TRIES` tries at most; each try is one feedback event. Rankings are renewed after every `ASKED_AT_ONCE`
requests (loop A has learned from those before), the background cycle runs after every `CYCLE` requests. On the test
rows only the action ranked first counts.

The configuration is of the size of "research", with the largest bank and rehearsal that the bounds allow:
`SonaConfig(base_lora_rank=32, base_lora_layers=2, base_lora_lr=2e-3, pattern_clusters=1000,
trajectory_capacity=50_000, rehearsal_capacity=10_000)`.

Two rankings: `scores` is the whole engine's, novelty guard and memory included. `adapter_scores` is that of the adapter
alone, the adapted query beside the prototypes. Where the clusters stay at the seeds nothing backs any action, so the
guard lets no adapter through and `scores` would be the frozen ranking whatever the adapter has learned: who measures an
adapter over fixed seeds must take `adapter_scores`. Untrained, both rank alike.

The action of a label is its number in decimal. Rows out of scope are in neither the stream nor the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.labelled import LabelledTexts
from swarm.sona import SonaConfig, SonaEngine, Trajectory
from swarm.sona.background import CycleReport, Learned, run_cycle
from swarm.sona.clusters import LIBRARY
from swarm.sona.vectors import Doubles, Flags, Integers, Vector

SEEDS_PER_LABEL = 5
TRIES = 3
CYCLE = 250
ASKED_AT_ONCE = 50
_CHUNK = 512

Judge = Callable[[int, int], float]
"""(row of the request, label that was tried) -> the quality that the agent is told."""

Tamper = Callable[[Doubles], Doubles]
"""Qualities of the outcomes of one cycle, of shape (k,) -> those that the engine is told."""

Scorer = Callable[[SonaEngine, Vector], Doubles]
"""(engine, queries (b, d)) -> a score for each action, of shape (b, m); columns as in `labels_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Rows of labelled texts by their part in the protocol; arrays of row numbers."""

    embedding: Vector
    """Of shape (n, d), all rows of the data."""
    labels: Integers
    """Of shape (n,)."""
    seeds: Integers
    requests: Integers
    test: Integers
    seed: int

    def right_or_wrong(self, row: int, label: int) -> float:
        """The honest `Judge`."""
        return float(self.labels[row] == label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What happened while a stream was driven."""

    requests: int
    events: int
    right_at_first: int
    """Requests whose first try was told to be good (quality >= 0.5)."""


def draw_stream(data: LabelledTexts, seed: int, per_label: int = SEEDS_PER_LABEL) -> Stream:
    """Seeds of every label that has training rows (all of them, if fewer than `per_label`), and the shuffled rest."""
    rng = np.random.default_rng(seed)
    train = np.flatnonzero(data.train)
    known = []
    for label in np.unique(data.labels[train]):
        own = train[data.labels[train] == label]
        known.append(rng.choice(own, min(per_label, len(own)), replace=False))
    seeds = np.sort(np.concatenate(known)) if per_label else np.empty(0, dtype=np.intp)
    return Stream(
        embedding=data.embedding,
        labels=data.labels,
        seeds=seeds,
        requests=rng.permutation(np.setdiff1d(train, seeds)),
        test=np.flatnonzero(data.test),
        seed=seed,
    )


def bench_config(dim: int, seed: int, **changes: float) -> SonaConfig:
    """The configuration that the module's docstring states, for embeddings of `dim` numbers."""
    config = SonaConfig(
        dim=dim,
        seed=seed,
        base_lora_rank=32,
        base_lora_layers=2,
        base_lora_lr=2e-3,
        pattern_clusters=1000,
        trajectory_capacity=50_000,
        rehearsal_capacity=10_000,
    )
    return config.updated(**changes)


def seeded_engine(stream: Stream, config: SonaConfig, agent: str = "self") -> SonaEngine:
    """An engine that knows the seeds and nothing else: its ranking is the frozen one."""
    return engine_knowing(stream.embedding[stream.seeds], stream.labels[stream.seeds], config, agent)


def engine_knowing(embedding: Vector, labels: Integers, config: SonaConfig, agent: str = "self") -> SonaEngine:
    """An engine whose bank holds one success of `LIBRARY` for each row of `embedding` (k, d) with its label (k,)."""
    engine = SonaEngine(config, agent=agent)
    give(engine, embedding, labels)
    return engine


def give(engine: SonaEngine, embedding: Vector, labels: Integers, tag: str = "") -> None:
    """Add one success of `LIBRARY` for each row of `embedding` (k, d); another `tag` for each time in one engine."""
    for i, (x, label) in enumerate(zip(embedding, labels.tolist(), strict=True)):
        engine.submit_trajectory(
            Trajectory(id=f"{LIBRARY}{tag}-{i}", embedding=x, quality=1.0, action=str(label), agent=LIBRARY)
        )
    engine.force_learn()


def drive(
    engine: SonaEngine,
    stream: Stream,
    requests: Integers | None = None,
    *,
    tries: int = TRIES,
    judge: Judge | None = None,
    score: Scorer | None = None,
    cycle: Callable[[], object] | None = None,
    cycle_every: int = CYCLE,
    watch: Callable[[int], object] | None = None,
    tamper: Tamper | None = None,
    tag: str = "",
) -> Driven:
    """Let the engine's agent meet `requests` (rows of the stream; by default all of it), in that order.

    Parameters
    ----------
    tries : at most so many labels are tried for one request, best first, until one is told to be good
    judge : what the agent is told; by default whether it was right
    score : what the agent ranks by; by default the whole engine's `scores`
    cycle : loop B, after every `cycle_every` requests and at the end; by default the engine's own
    watch : called with the number of events so far after every `ASKED_AT_ONCE` requests, and after every cycle
    tamper : where given, the engine is told nothing at once: the outcomes of a cycle come right before the cycle, with
        the qualities that this makes of those of the judge; how far the agent goes down its list is not touched by it
    tag : makes trajectory ids differ when one engine is driven more than once over the same rows
    """
    rows = stream.requests if requests is None else requests
    judge = stream.right_or_wrong if judge is None else judge
    score = scores if score is None else score
    cycle = engine.force_learn if cycle is None else cycle
    events = right = 0
    untold: list[Trajectory] = []
    for start in range(0, len(rows), cycle_every):
        batch = rows[start : start + cycle_every]
        for at in range(0, len(batch), ASKED_AT_ONCE):
            asked = batch[at : at + ASKED_AT_ONCE]
            order = ranked(engine, stream.embedding[asked], tries, score)
            for row, labels in zip(asked.tolist(), order, strict=True):
                for attempt, label in enumerate(labels.tolist()):
                    quality = judge(row, label)
                    outcome = Trajectory(
                        id=f"{stream.seed}{tag}-{row}-{attempt}",
                        embedding=stream.embedding[row],
                        quality=quality,
                        action=str(label),
                        agent=engine.agent,
                    )
                    if tamper is None:
                        engine.submit_trajectory(outcome)
                    else:
                        untold.append(outcome)
                    events += 1
                    right += attempt == 0 and quality >= 0.5
                    if quality >= 0.5:
                        break
            if watch is not None:
                watch(events)
        if tamper is not None:
            qualities = tamper(np.array([outcome.quality for outcome in untold])).tolist()
            for outcome, quality in zip(untold, qualities, strict=True):
                engine.submit_trajectory(replace(outcome, quality=quality))
            untold.clear()
        cycle()
        if watch is not None:
            watch(events)
    return Driven(requests=len(rows), events=events, right_at_first=right)


def adapter_cycle(engine: SonaEngine) -> CycleReport:
    """Loop B for the adapter alone: the base tier is trained and gated, the clusters stay as they are."""
    own = [trajectory for trajectory in engine.buffered() if trajectory.agent == engine.agent]
    before = Learned(
        clusters=(),
        base=engine.adapter.base,
        ewc=engine.ewc,
        reservoir=engine.reservoir,
        task=engine.task,
        standing=engine.standing,
    )
    rng = np.random.default_rng((engine.config.seed, engine.background_cycles))
    after, report = run_cycle(before, own, engine.bank.index, engine.config, rng, engine.agent)
    engine.discard()
    engine.adapter.set_base(after.base)
    engine.ewc, engine.reservoir, engine.standing = after.ewc, after.reservoir, after.standing
    engine.task = after.task or engine.task
    engine.background_cycles += 1
    engine.promotions += report.promoted
    return report


def is_quarantined(engine: SonaEngine) -> bool:
    """Whether the engine does not believe its own agent now: what that one learned does not take part in rankings."""
    return engine.agent in engine.bank.silent


def scores(engine: SonaEngine, queries: Vector) -> Doubles:
    """What the whole engine ranks by, of shape (b, m), for queries (b, d); -inf for actions that never worked."""
    parts = [engine.bank.index.score_batch(x, y=engine.apply_lora(x)) for x in _chunks(queries)]
    return np.concatenate(parts) if parts else np.empty((0, len(labels_of(engine))))


def adapter_scores(engine: SonaEngine, queries: Vector) -> Doubles:
    """y . C of shape (b, m) for adapted queries y and the prototypes C: the adapter alone, without guard and memory."""
    index = engine.bank.index
    candidates = index.candidates()
    columns = np.array([candidates.rows.get(name, -1) for name in index.names], dtype=np.intp)
    similarities = engine.apply_lora(queries).dot(candidates.prototypes.T).astype(np.float64)
    return np.where(columns >= 0, similarities[:, columns], -np.inf)


def labels_of(engine: SonaEngine) -> Integers:
    """The label of each column of `scores`, of shape (m,)."""
    return np.array([int(name) for name in engine.bank.index.names], dtype=np.intp)


def ranked(engine: SonaEngine, queries: Vector, k: int, score: Scorer = scores) -> Integers:
    """The k labels that the engine ranks first for each query (b, d), best first; of shape (b, min(k, m))."""
    return labels_of(engine)[np.argsort(-score(engine, queries), axis=1, kind="stable")[:, :k]]


def right_at_1(engine: SonaEngine, queries: Vector, labels: Integers, score: Scorer = scores) -> Flags:
    """Whether the action ranked first for each query (b, d) is the one of its label (b,)."""
    return np.asarray(ranked(engine, queries, 1, score)[:, 0] == labels, dtype=np.bool_)


def success_at_1(engine: SonaEngine, stream: Stream, score: Scorer = scores) -> float:
    """Share of the test rows for which the action ranked first is the right one."""
    return float(right_at_1(engine, stream.embedding[stream.test], stream.labels[stream.test], score).mean())


def _chunks(queries: Vector) -> list[Vector]:
    return [queries[start : start + _CHUNK] for start in range(0, len(queries), _CHUNK)]
