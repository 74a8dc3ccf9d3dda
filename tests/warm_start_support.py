"""What the tests of warm starts share: agents with trained weights."""

from __future__ import annotations

import numpy as np
from swarm_support import DIM, some_outcome

from swarm.services.swarm import Swarm
from swarm.services.turn import turn_at
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.lora import LoraPair
from swarm.store.agents import Generation
from swarm.wire.records import Weights, encode_weights


def train(swarm: Swarm, agent: str, outcomes: int, gain: float | None, *, role: str = "coder") -> Weights:
    """Commit weights of an agent as a consolidation would that promoted them."""
    rng = np.random.default_rng(list(agent.encode()))
    pair = LoraPair.initial(8, DIM, 1.0, rng)
    pair.up[:] = rng.standard_normal(pair.up.shape)
    weights = Weights(base=(pair,), ewc=EwcMemory.empty())
    swarm.register(agent, role, SonaConfig(dim=DIM))
    for number in range(outcomes):
        swarm.record(some_outcome(number, agent), f"{agent}-{number}")
    figures = {} if gain is None else {"promoted": True, "loss_before": 1.0, "loss_after": 1.0 - gain}
    with turn_at(agent, swarm.agents, 5.0) as lease:
        generation = Generation(
            cursor=swarm.outcomes(agent).read_after("0-0", 1000)[-1][0],
            processed=outcomes,
            removed=(),
            put=(),
            dead={},
            values={"weights": encode_weights(weights)},
            figures=figures,
            keep=1000,
        )
        swarm.agents.commit(agent, lease, 0, generation)
    return weights
