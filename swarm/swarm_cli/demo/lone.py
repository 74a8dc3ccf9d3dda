"""The counterfactual: each agent alone, with its own engine and nobody's experience but its own.

It meets the same tasks in the same order with the same rules, but learns from its own outcomes only. It is the
numeric core by itself, without Redis and workers.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.sona import SonaConfig, SonaEngine, Trajectory, action_of
from swarm.sona.vectors import Vector
from swarm_cli.demo.request import Request


class LoneAgent:
    """An engine that starts from the seeds and consolidates every `batch` outcomes."""

    def __init__(
        self, name: str, config: SonaConfig, seeds: Sequence[Request], vectors: Sequence[Vector], batch: int
    ) -> None:
        self._name = name
        self._batch = batch
        self._engine = SonaEngine(config, agent=name)
        for number, (request, vector) in enumerate(zip(seeds, vectors, strict=True)):
            self._engine.submit_trajectory(
                Trajectory(
                    id=f"seed-{number}",
                    embedding=vector,
                    quality=1.0,
                    action=action_of(request.label),
                    response=request.label,
                    agent="library",
                )
            )
        self._engine.force_learn()
        self._count = 0

    def meet(self, query: Vector, label: str) -> None:
        """One task: try the best action, learn whether it was right."""
        hits = self._engine.rank_actions(query, 1)
        action = hits[0].action if hits else ""
        self._count += 1
        self._engine.submit_trajectory(
            Trajectory(
                id=f"{self._name}-{self._count}",
                embedding=query,
                quality=float(action == action_of(label)),
                action=action,
                agent=self._name,
            )
        )
        if len(self._engine.buffered()) >= self._batch:
            self._engine.force_learn()

    def answers(self, queries: Vector) -> list[str]:
        """The action it would try for each row of `queries` (n, d)."""
        return self._engine.bank.index.rank_batch(queries, y=self._engine.apply_lora(queries))
