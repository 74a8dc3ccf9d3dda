"""The demo: a swarm meets real requests through the real hooks, Redis and workers, and is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swarm.errors import SwarmError
from swarm.services.hits import pattern_hit
from swarm.services.replica import Replica
from swarm.services.status import SwarmStatus
from swarm.settings import Settings
from swarm.sona import SonaConfig
from swarm.sona.vectors import Flags, Vector
from swarm_agents import Agent
from swarm_cli.demo.corpus import Corpus, load_corpus
from swarm_cli.demo.lone import LoneAgent
from swarm_cli.demo.machinery import SWARM, Machinery
from swarm_cli.demo.measure import HeldOut, Score, cross_agent_share, measure
from swarm_cli.demo.progress import AgentRow, DemoProgress, Tally
from swarm_cli.demo.report import (
    CurvePoint,
    DemoResult,
    Extra,
    HeldOutSuccess,
    HookLatency,
    Latency,
    ShownPattern,
    TrajectoryCounts,
)
from swarm_cli.demo.split import Split, make_split
from swarm_cli.demo.view import DemoView

LIBRARY = "library"
_CURVE_POINTS = 8
_MAX_BEHIND = 75
"""Agents wait when on average so many outcomes each are not consolidated: a task takes its time in real life too."""
_DRAIN_TIMEOUT_S = 120.0
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says. `data` is a folder of labelled texts, None the standard library."""

    data: Path | None = None
    agents: int = 8
    seed: int = 0
    tasks: int | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """The result, and a few patterns to show."""

    result: DemoResult
    patterns: tuple[ShownPattern, ...]


def run_demo(options: DemoOptions, settings: Settings) -> DemoRun:
    """Bring up what is missing, run the swarm, measure it.

    Raises
    ------
    InputError
        If an option is out of bounds or the data cannot be read.
    SwarmError
        If the workers do not consolidate what was sent.
    """
    started = time.perf_counter()
    corpus = load_corpus(options.data)
    split = make_split(corpus, options.agents, options.seed, options.tasks)
    own = settings.model_copy(update={"name": SWARM, "consolidate_batch": 50, "consolidate_delay": 1.0})
    with DemoView(f"{corpus.name}: {options.agents} agents", quiet=options.quiet) as view:
        view.phase("starting Redis and workers")
        with Machinery(own) as machinery:
            stage = Stage(machinery, corpus, split, options, view)
            stage.store_seeds()
            stage.run_stream()
            return stage.finish(started)


class Stage:
    """One run: the agents of the swarm, their lone twins, and what was seen so far."""

    def __init__(
        self, machinery: Machinery, corpus: Corpus, split: Split, options: DemoOptions, view: DemoView
    ) -> None:
        self.machinery = machinery
        self.swarm = swarm = machinery.swarm
        self.corpus = corpus
        self.split = split
        self.options = options
        self.view = view
        self.names = [f"agent-{number}" for number in range(options.agents)]
        self.config = SonaConfig(dim=swarm.embedder.identity.dim, seed=options.seed)
        self.held_out = HeldOut(split.held_out, self._vectors([r.text for r in split.held_out]))
        self.before_s: list[float] = []
        self.after_s: list[float] = []
        self.tally = Tally()
        self.rows = [_Row() for _ in self.names]
        self.curve: list[CurvePoint] = []
        self.agents: list[Agent] = []
        self.lone: list[LoneAgent] = []
        self.frozen: Flags = np.zeros(0, dtype=np.bool_)

    def store_seeds(self) -> None:
        """What everybody knows at first: stored by the library agent, consolidated and merged by the workers."""
        self.view.phase("storing the first examples")
        for request in self.split.seeds:
            self.swarm.store_pattern(request.text, request.label, agent=LIBRARY)
        self._wait_until_merged()
        self.frozen_replica = Replica(self.swarm.bank, self.config)
        self.frozen_replica.refresh()
        self.frozen = self.held_out.right(self.frozen_replica.index.rank_batch(self.held_out.vectors))
        vectors = list(self._vectors([request.text for request in self.split.seeds]))
        batch = self.swarm.settings.consolidate_batch
        self.lone = [LoneAgent(name, self.config, self.split.seeds, vectors, batch) for name in self.names]
        self.agents = [Agent(name, role="worker", swarm=self.swarm, config=self.config) for name in self.names]
        self.curve.append(self._score().point(0))

    def run_stream(self) -> None:
        """Every task of the stream, through the hooks of the agent that it comes to."""
        self.view.phase("working")
        stream = self.split.stream
        every = max(1, len(stream) // _CURVE_POINTS)
        for number, task in enumerate(stream, start=1):
            self._work(task.agent_index, task.request.text, task.request.label)
            if number % 100 == 0:
                self._keep_pace(number)
            if self.view.due:
                self.view.update(self._progress(number, self._status()))
            if number % every == 0 and len(stream) - number >= every:
                self.curve.append(self._score().point(number))

    def finish(self, started: float) -> DemoRun:
        """Wait for the workers, then measure everything from stored state."""
        self.view.phase("waiting for the last consolidation")
        status = self._wait_until_merged()
        self.view.update(self._progress(len(self.split.stream), status))
        score = self._score()
        self.curve.append(score.point(len(self.split.stream)))
        stored = {agent.name: agent for agent in status.agents if agent.name in self.names}
        sent = len(self.split.stream)
        done = sum(agent.consolidated for agent in stored.values())
        result = DemoResult(
            data=self.corpus.name,
            embedder=str(self.swarm.embedder.identity),
            agents=len(self.names),
            seed=self.options.seed,
            success=score.success(),
            cross_agent_share=cross_agent_share(self.swarm, self.names),
            trajectories=TrajectoryCounts(
                sent=sent, consolidated=done, lost=sent - done - sum(a.dead + a.pending for a in stored.values())
            ),
            hook_ms=HookLatency(before=_latency(self.before_s), after=_latency(self.after_s)),
            seconds=time.perf_counter() - started,
            extra=Extra(
                requests=len(self.corpus.requests),
                labels=len(self.split.labels),
                held_out=len(self.split.held_out),
                own_share_tasks=self.split.own_share_tasks,
                unseen=self._unseen(score),
                curve=tuple(self.curve),
            ),
        )
        return DemoRun(result=result, patterns=tuple(self._shown(score)))

    def _work(self, number: int, text: str, label: str) -> None:
        agent, row = self.agents[number], self.rows[number]
        at = time.perf_counter()
        advice = agent.before_task(text, k=1)
        answered = time.perf_counter()
        best = advice.best
        is_right = best is not None and best.response == label
        reported = time.perf_counter()
        agent.after_task(advice.trajectory_id, success=is_right, used=best)
        self.after_s.append(time.perf_counter() - reported)
        self.before_s.append(answered - at)
        frozen = self.frozen_replica.index.rank(advice.query, 1)
        self.tally.add(frozen=bool(frozen) and frozen[0].pattern.response == label, learned=is_right)
        row.add(is_right, any(s.agent not in (agent.name, LIBRARY) for s in best.sources) if best else False)
        self.lone[number].meet(advice.query, label)

    def _keep_pace(self, sent: int) -> None:
        deadline = time.monotonic() + _DRAIN_TIMEOUT_S
        while sent - self.machinery.steadily(self._consolidated) > _MAX_BEHIND * len(self.names):
            if time.monotonic() > deadline:
                raise SwarmError(f"workers are {sent - self._consolidated()} outcomes behind: see swarm doctor")
            self.machinery.watch()
            time.sleep(0.02)

    def _consolidated(self) -> int:
        for agent in self.agents:
            if agent.health().spooled:
                agent.refresh()
        return sum(state.processed for state in self.swarm.agents.states(self.names).values())

    def _status(self) -> SwarmStatus:
        return self.machinery.steadily(self.swarm.status)

    def _wait_until_merged(self) -> SwarmStatus:
        deadline = time.monotonic() + _DRAIN_TIMEOUT_S
        while True:
            self.machinery.steadily(self._consolidated)
            status = self._status()
            if not status.pending and not status.unmerged_agents and not any(a.health().spooled for a in self.agents):
                return status
            self.machinery.watch()
            if time.monotonic() > deadline:
                raise SwarmError(
                    f"{status.pending} outcomes are not consolidated after {_DRAIN_TIMEOUT_S:g} s: see swarm doctor"
                )
            time.sleep(0.05)

    def _vectors(self, texts: Sequence[str]) -> Vector:
        return self.swarm.embedder.embed(texts)

    def _score(self) -> Score:
        return self.machinery.steadily(lambda: measure(self.swarm, self.names, self.lone, self.held_out, self.frozen))

    def _unseen(self, score: Score) -> HeldOutSuccess | None:
        unseen = [self.split.unseen_labels(number) for number in range(len(self.names))]
        return score.on([np.isin(self.held_out.labels, sorted(labels)) for labels in unseen])

    def _progress(self, done: int, status: SwarmStatus) -> DemoProgress:
        generations = {agent.name: agent.generation for agent in status.agents}
        tags: dict[str, int] = dict.fromkeys(self.names, 0)
        for cluster in self.swarm.replica.index.clusters():
            for name in cluster.agents:
                if name in tags:
                    tags[name] += 1
        return DemoProgress(
            tasks_done=done,
            tasks_total=len(self.split.stream),
            overall=self.tally.overall,
            recent=self.tally.recent,
            patterns=status.patterns,
            consolidations=sum(generations.values()),
            merges=status.merges,
            pending=status.pending,
            agents=tuple(
                row.shown(name, generations.get(name, 0), tags[name])
                for name, row in zip(self.names, self.rows, strict=True)
            ),
        )

    def _shown(self, score: Score) -> Iterator[ShownPattern]:
        """Held-out requests that the swarm gets right and the frozen ranking does not, with the pattern used."""
        for number in range(min(_SHOWN, len(self.names))):
            rows = np.flatnonzero(score.swarm[number] & ~score.frozen & ~score.isolated[number])
            if not len(rows):
                continue
            row = int(rows[number % len(rows)])
            request = self.split.held_out[row]
            agent = self.agents[number]
            agent.refresh()
            query = self.held_out.vectors[row]
            [hit] = self.swarm.replica.rank(query, 1, y=self.swarm.replica.bend(query, agent.adapter, agent.name))
            pattern = pattern_hit(hit, {})
            yield ShownPattern(
                asked_by=agent.name,
                request=request.text,
                answer=pattern.response,
                expected=request.label,
                learned_from=tuple((source.agent, int(source.outcomes)) for source in pattern.sources),
                quality=pattern.expected_quality,
                quality_error=pattern.quality_error,
                exemplar=pattern.examples[0].text if pattern.examples else "",
                updated_s=pattern.last_s,
            )


class _Row:
    """Counts of one agent."""

    def __init__(self) -> None:
        self._tasks = self._right = self._from_others = 0

    def add(self, is_right: bool, is_from_others: bool) -> None:
        self._tasks += 1
        self._right += is_right
        self._from_others += is_from_others

    def shown(self, name: str, generation: int, patterns: int) -> AgentRow:
        tasks = max(1, self._tasks)
        return AgentRow(
            name=name,
            tasks=self._tasks,
            success=self._right / tasks,
            generation=generation,
            patterns=patterns,
            from_others=self._from_others / tasks,
        )


def _latency(seconds: Sequence[float]) -> Latency:
    p50, p99 = np.percentile(np.array(seconds) * 1e3, [50, 99])
    return Latency(p50=float(p50), p99=float(p99))
