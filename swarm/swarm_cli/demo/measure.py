"""Held-out success, from what is stored: the bank as a fresh replica sees it, and the committed weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.sona import SonaConfig, action_of
from swarm.sona.adapter import Adapter
from swarm.sona.vectors import Flags, Vector
from swarm.wire.records import decode_trajectory
from swarm_cli.demo.lone import LoneAgent
from swarm_cli.demo.report import CurvePoint, HeldOutSuccess
from swarm_cli.demo.request import Request


class HeldOut:
    """Requests that no agent meets, with their vectors, of shape (n, d)."""

    def __init__(self, requests: Sequence[Request], vectors: Vector) -> None:
        self.requests = requests
        self.vectors = vectors
        self.labels = np.array([request.label for request in requests])
        self._actions = np.array([action_of(request.label) for request in requests])

    def right(self, answers: Sequence[str]) -> Flags:
        """Which of the answers are right, of shape (n,)."""
        return np.asarray(np.array(answers) == self._actions)


class Score:
    """Which held-out requests each kind of agent answers right."""

    def __init__(self, frozen: Flags, isolated: Sequence[Flags], swarm: Sequence[Flags]) -> None:
        self.frozen = frozen
        self.isolated = isolated
        self.swarm = swarm

    def success(self) -> HeldOutSuccess:
        """Shares over all held-out requests, means over the agents."""
        return HeldOutSuccess(
            frozen=float(self.frozen.mean()), isolated=float(np.mean(self.isolated)), swarm=float(np.mean(self.swarm))
        )

    def on(self, rows_by_agent: Sequence[Flags]) -> HeldOutSuccess | None:
        """The same over other rows for each agent; None if no agent has any."""
        used = [agent for agent, rows in enumerate(rows_by_agent) if rows.any()]
        if not used:
            return None

        def mean(right: Sequence[Flags]) -> float:
            return float(np.mean([right[agent][rows_by_agent[agent]].mean() for agent in used]))

        return HeldOutSuccess(
            frozen=mean([self.frozen] * len(rows_by_agent)), isolated=mean(self.isolated), swarm=mean(self.swarm)
        )

    def point(self, tasks: int) -> CurvePoint:
        """The score as a point of the curve."""
        alone = [float(right.mean()) for right in self.isolated]
        success = self.success()
        return CurvePoint(
            tasks=tasks,
            frozen=success.frozen,
            isolated=success.isolated,
            isolated_lowest=min(alone),
            isolated_highest=max(alone),
            swarm=success.swarm,
        )


def measure(swarm: Swarm, agents: Sequence[str], lone: Sequence[LoneAgent], held_out: HeldOut, frozen: Flags) -> Score:
    """Score every agent on the held-out requests."""
    config = SonaConfig(dim=held_out.vectors.shape[1])
    replica = Replica(swarm.bank, config)
    replica.refresh()
    replica.refresh_experts()
    return Score(
        frozen,
        [held_out.right(agent.answers(held_out.vectors)) for agent in lone],
        [
            held_out.right(
                replica.index.rank_batch(
                    held_out.vectors, y=replica.bend(held_out.vectors, _stored_adapter(swarm, name, config), name)
                )
            )
            for name in agents
        ],
    )


def _stored_adapter(swarm: Swarm, agent: str, config: SonaConfig) -> Adapter:
    adapter, weights = Adapter.initial(config, np.random.default_rng(config.seed)), swarm.agents.weights(agent)
    if weights is not None:
        adapter.set_base(weights.base)
    return adapter


def cross_agent_share(swarm: Swarm, agents: Sequence[str]) -> float:
    """Mean share of other agents' outcomes behind the patterns that answers used, from the stored streams."""
    shares = [
        float(context["from_others"])
        for name in agents
        for _, record in swarm.outcomes(name).read_after("0-0", 1_000_000)
        if "from_others" in (context := decode_trajectory(record).context)
    ]
    return float(np.mean(shares)) if shares else 0.0
