"""Finetuning: an agent learns a named task from examples, at once, by the same cycle and gate as everything else.

The examples are outcomes of the agent, with keys from their content. Under the agent's lease they are consolidated in
this process: first those that found patterns, then the others, against these, with as many passes of the base tier as
`epochs` says. A name that the agent's task did not have so far ends that task for EWC, see `sona.boundary`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from swarm.errors import StoreUnavailableError, WaitTimeoutError
from swarm.services.agent_ageing import rules_under
from swarm.services.consolidate import MAX_OUTCOMES, consolidate_under
from swarm.services.history import Version
from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.services.turn import registered, turn_at
from swarm.sona.clusters import action_of
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import WORKED, Trajectory
from swarm.sona.vectors import Vector
from swarm.store.lease import Lease
from swarm.store.retention import RetentionStore
from swarm_agents.lessons import Lesson, Split, split, trajectory_id
from swarm_agents.measures import Measure, measured, reciprocal_rank

RANKED = 100
"""An answer that is not among so many is not found at all: its reciprocal rank is zero."""
_POLL_S = 0.05
_EMBEDDED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneReport:
    """What came of finetuning.

    Of `examples` different ones `recorded` were new and are learned, `known` were so before, and those of `before` and
    `after` (with a quality of 0.5 or more) were kept aside. `update` says what became of new weights: "promoted",
    "refused", or "" where none were tried, and `why` says more; losses are those of the gate, in nats, None where
    nothing was tried. `is_new_task`: another task of the agent ended with this.
    """

    agent: str
    task: str
    examples: int
    recorded: int
    known: int
    epochs: int
    generations: tuple[int, ...]
    update: str
    why: str
    judges: int
    loss_before: float | None
    loss_after: float | None
    is_new_task: bool
    before: Measure
    after: Measure

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class Finetuner:
    """Lets one agent learn lessons of one task.

    Parameters
    ----------
    rank : the actions that the agent would try for a query (d,), best first
    refresh : picks up what was committed; False if that cannot be done now
    """

    def __init__(
        self, swarm: Swarm, agent: str, rank: Callable[[Vector], Sequence[str]], refresh: Callable[[], bool]
    ) -> None:
        self._swarm = swarm
        self._agent = agent
        self._rank = rank
        self._refresh = refresh
        self._outcomes = swarm.outcomes(agent)
        self._retention = RetentionStore(swarm.client, swarm.keys)

    def learn(
        self, task: str, lessons: Sequence[Lesson], epochs: int, hold_out: float, timeout_s: float
    ) -> FinetuneReport:
        """Learn the lessons and wait until they are searchable; see `Agent.finetune`."""
        if not self._refresh():
            raise StoreUnavailableError(f"agent {self._agent}: Redis is away; nothing was learned")
        parts = split(lessons, hold_out, self._known_actions())
        queries = self._embedded(parts.aside)
        before = self._measure(parts.aside, queries)
        recorded, generations = self._consolidate(task, parts, epochs)
        if generations:
            self._publish(generations[-1], timeout_s)
        self._refresh()
        versions = [one for one in self._swarm.history(self._agent) if one.version in generations]
        tried = next((one for one in versions if one.update), versions[0] if versions else None)
        return FinetuneReport(
            agent=self._agent,
            task=task,
            examples=len(lessons),
            recorded=recorded,
            known=len(lessons) - len(parts.aside) - recorded,
            epochs=epochs,
            generations=generations,
            update=tried.update if tried else "",
            why=tried.why if tried else "nothing new: every example was recorded before",
            judges=_figure(tried, "held_out"),
            loss_before=tried.loss_before if tried else None,
            loss_after=tried.loss_after if tried else None,
            is_new_task=any(one.figures.get("new_task") for one in versions),
            before=before,
            after=self._measure(parts.aside, queries),
        )

    def _known_actions(self) -> frozenset[str]:
        return frozenset(one.action for one in self._swarm.replica.patterns() if one.positive)

    def _consolidate(self, task: str, parts: Split, epochs: int) -> tuple[int, tuple[int, ...]]:
        """Under the agent's lease, so that no worker learns a part of it otherwise: (recorded, generations)."""
        config = registered(self._agent, self._swarm.agents).config
        # What founds patterns bends nothing: they are not in the bank yet.
        founding = config.updated(base_lora_lr=0.0)
        generations: list[int] = []
        recorded = 0
        with turn_at(self._agent, self._swarm.agents, self._swarm.settings.lease_ttl) as lease:
            # What waits from before belongs to no finetuning.
            self._drain(lease, config, "")
            recorded += self._record(task, parts.founding, ())
            generations += self._drain(lease, founding, task)
            if generations:
                self._merge()
            recorded += self._record(task, (*parts.training, *parts.judges), parts.judges)
            generations += self._drain(lease, config.updated(base_epochs=epochs), task)
        return recorded, tuple(generations)

    def _drain(self, lease: Lease, config: SonaConfig, task: str) -> list[int]:
        """Consolidate what waits; the generations."""
        generations: list[int] = []
        replica = Replica(self._swarm.bank, config)
        policy = registered(self._agent, self._swarm.agents).policy
        rules = rules_under(policy, self._retention.rules())
        while True:
            done = consolidate_under(
                lease, self._agent, config, self._swarm.agents, self._outcomes, replica, rules, task
            )
            if not done.generation:
                return generations
            generations.append(done.generation)

    def _record(self, task: str, lessons: Sequence[Lesson], judges: Sequence[Lesson]) -> int:
        """Append the lessons to the agent's stream; how many were new."""
        judging = {lesson.key for lesson in judges}
        new = 0
        for start in range(0, len(lessons), MAX_OUTCOMES):
            page = lessons[start : start + MAX_OUTCOMES]
            made = [
                Trajectory(
                    id=trajectory_id(lesson.key, lesson.key in judging),
                    embedding=vector,
                    quality=lesson.quality,
                    action=action_of(lesson.output),
                    response=lesson.output,
                    text=lesson.text,
                    task_type=self._swarm.task_type(vector),
                    agent=self._agent,
                    at_s=time.time(),
                    context={"task": task},
                )
                for lesson, vector in zip(page, self._embedded(page), strict=True)
            ]
            receipts = self._swarm.record_many(made, [lesson.key for lesson in page])
            new += sum(receipt.is_new for receipt in receipts)
        return new

    def _embedded(self, lessons: Sequence[Lesson]) -> list[Vector]:
        vectors: list[Vector] = []
        for start in range(0, len(lessons), _EMBEDDED_AT_ONCE):
            vectors += list(
                self._swarm.embedder.embed([one.text for one in lessons[start : start + _EMBEDDED_AT_ONCE]])
            )
        return vectors

    def _merge(self) -> str:
        # What merges is loaded by who merges alone: a hook's process starts without it.
        from swarm.services.background import Background

        return str(Background(self._swarm.settings, self._swarm.client).merge("finetune", time.time())["status"])

    def _publish(self, generation: int, timeout_s: float) -> None:
        """Merge, or wait until a worker that merges already has done it."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._merge()
            merged = self._swarm.bank.merged([self._agent]).get(self._agent)
            if merged is not None and merged.generation >= generation:
                return
            if time.monotonic() >= deadline:
                raise WaitTimeoutError(
                    f"agent {self._agent}: generation {generation} is committed, but not merged after {timeout_s:g} s"
                )
            time.sleep(_POLL_S)

    def _measure(self, lessons: Sequence[Lesson], queries: Sequence[Vector]) -> Measure:
        asked = zip(lessons, queries, strict=True)
        return measured(
            [reciprocal_rank(self._rank(query), lesson.action) for lesson, query in asked if lesson.quality >= WORKED]
        )


def _figure(version: Version | None, name: str) -> int:
    return 0 if version is None else int(version.figures.get(name, 0))
