"""The base tiers of several agents over one query: each bends it as far as its agent knows what is asked for.

An adapter is trained on what its agent met, and bends the rest blindly. So where several agents share a bank, a query
is bent by a mixture of experts (Jacobs et al. 1991, "Adaptive mixtures of local experts", equation 1) whose gate is not
trained, but counted:

    z = x + sum_k g_k(x) sum_layers s B_k A_k x + s_m B_m A_m x,    y = z |x| / |z|
    g_k(x) = sum_a pi_a(x) share_ka,   made to sum to 1

with pi of the query itself as in `ranking`, share_ka the part of agent k in the confirmed successes of action a, and m
the asker's own micro tier. Alone, or where no expert knows any of the actions, the asker's own base tier counts whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from swarm.sona.adapter import Adapter, bent, delta_of
from swarm.sona.lora import LoraPair
from swarm.sona.patterns import Patterns
from swarm.sona.vectors import Doubles, Vector

_LEAST = 1e-6
"""Expertise that counts as none at all."""


class Experts:
    """Base tiers by agent, stacked, so that all of them cost two products. Untrained ones are left out.

    Parameters
    ----------
    bases : the pairs of each agent, of any rank, all of one dimension
    """

    def __init__(self, bases: Mapping[str, Sequence[LoraPair]]) -> None:
        trained = {name: [pair for pair in bases[name] if not pair.is_untrained] for name in sorted(bases)}
        self.names = tuple(name for name, pairs in trained.items() if pairs)
        pairs = [(owner, pair) for owner, name in enumerate(self.names) for pair in trained[name]]
        self._owner = np.array([owner for owner, pair in pairs for _ in pair.down], dtype=np.intp)
        if pairs:
            self._down: Vector = np.concatenate([pair.down for _, pair in pairs])
            self._up: Vector = np.concatenate([np.float32(pair.scale) * pair.up for _, pair in pairs])

    def apply(self, x: Vector, adapter: Adapter, agent: str, index: Patterns) -> Vector:
        """The queries `x`, of shape (d,) or (n, d), bent for `agent`, whose own tiers are those of `adapter`."""
        delta = self.delta(x, adapter, agent, index)
        if delta is None:
            return adapter.apply(x)
        micro = delta_of(adapter.trained_micro, x)
        return bent(x, delta if micro is None else delta + micro)

    def delta(self, x: Vector, adapter: Adapter, agent: str, index: Patterns) -> Vector | None:
        """What the base tiers add to the queries, of the shape of `x`; None if it is the own one's part alone."""
        if not set(self.names) - {agent}:
            return None
        gains = self._gains(x, agent, index)
        hidden = x.dot(self._down.T) * gains[..., self._owner].astype(np.float32)
        total: Vector = hidden.dot(self._up)
        own = delta_of(adapter.trained_base, x)
        return total if own is None else total + gains[..., -1:].astype(np.float32) * own

    def _gains(self, x: Vector, agent: str, index: Patterns) -> Doubles:
        """g of `names`, and last of the agent's own tier, of shape (k + 1,) or (n, k + 1); each row sums to 1."""
        known = index.expertise(x, (*self.names, agent))
        if agent in self.names:
            # What was published of the agent itself is older than what it has.
            known[..., self.names.index(agent)] = 0.0
        total = known.sum(axis=-1, keepdims=True)
        alone = np.zeros_like(known)
        alone[..., -1] = 1.0
        return np.where(total > _LEAST, known / np.maximum(total, _LEAST), alone)
