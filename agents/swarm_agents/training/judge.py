"""How an agent does on lines that it never learned from.

top1          share of held-out successes whose action is ranked first by the hooks' ranking
mrr           mean reciprocal rank of that action, 0 where it is not among the first ten
likelihood    exp(-mean negative log-likelihood) of all held-out outcomes whose action is known: the geometric mean of
              what the base tier gave to what happened
known         share of held-out outcomes whose action is known at all
judged, ranked, actions   held-out outcomes, successes among them, and the known actions that compete to be first

An agent answers from the bank, so the figures before its first line are those of what the swarm knows already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.services.turn import registered
from swarm.sona.adapter import Adapter
from swarm.sona.training import Outcomes, mean_loss
from swarm.sona.trajectory import WORKED, Trajectory
from swarm_agents.measures import measured, reciprocal_rank

_RANKED = 10


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges one agent by held-out outcomes."""

    swarm: Swarm
    agent: str
    held_out: Sequence[Trajectory]

    def figures(self) -> dict[str, float]:
        """The figures as the agent is now; {} without outcomes to judge by."""
        judges = [one for one in self.held_out if one.action]
        if not judges:
            return {}
        config = registered(self.agent, self.swarm.agents).config
        replica = Replica(self.swarm.bank, config)
        replica.refresh()
        replica.refresh_experts()
        adapter = Adapter.initial(config, np.random.default_rng(config.seed))
        if (weights := self.swarm.agents.weights(self.agent)) is not None:
            adapter.set_base(weights.base)
        ranks = measured([self._rank(one, replica, adapter) for one in judges if one.quality >= WORKED])
        candidates = replica.index.candidates()
        known = [one for one in judges if one.action in candidates.rows]
        figures = {
            "judged": float(len(judges)),
            "known": len(known) / len(judges),
            "actions": float(len(candidates.rows)),
        }
        if ranks.n:
            figures |= {"ranked": float(ranks.n)} | {"top1": ranks.top1, "mrr": ranks.mrr}
        if known:
            outcomes = Outcomes(
                np.array([one.embedding for one in known]),
                np.array([candidates.rows[one.action] for one in known], dtype=np.intp),
                np.array([one.quality for one in known], dtype=np.float32),
            )
            figures["likelihood"] = math.exp(-mean_loss(adapter.base, outcomes, candidates, config.temperature))
        return figures

    def _rank(self, one: Trajectory, replica: Replica, adapter: Adapter) -> float:
        """The reciprocal rank of the action that was right."""
        y = replica.bend(one.embedding, adapter, self.agent)
        hits = replica.rank(one.embedding, _RANKED, y=y, asker=self.agent)
        return reciprocal_rank([hit.action for hit in hits], one.action)
