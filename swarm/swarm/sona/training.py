"""Training of the base tier on outcomes: minibatches, Adam, rehearsal and EWC.

Only the adapter moves; the clusters stand still in base space. The outcomes trained on must not be part of the
clusters yet: a query is nearest to itself, and would teach nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.index import Candidates
from swarm.sona.lora import LoraPair
from swarm.sona.ranking import action_probabilities, outcome_gradient, outcome_loss
from swarm.sona.vectors import Integers, Vector

_AT_ONCE = 128
"""Queries that are compared with all candidates at a time."""
_REHEARSED = 32
"""Prototypes of the bank that every batch is joined by, each a query for which its own action is right."""
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
MAX_CANDIDATES = 512

Moments = list[tuple[Vector, Vector]]
"""Adam's running mean of the gradient and of its square, for each parameter array in the order of `flatten`."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Queries (n, d) of unit length, the row of the prototype that each tried (n,), and qualities (n,)."""

    queries: Vector
    tried: Integers
    qualities: Vector

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def none(cls, dim: int) -> Outcomes:
        return cls(np.empty((0, dim), np.float32), np.empty(0, np.intp), np.empty(0, np.float32))

    def joined(self, other: Outcomes) -> Outcomes:
        return Outcomes(
            np.concatenate([self.queries, other.queries]),
            np.concatenate([self.tried, other.tried]),
            np.concatenate([self.qualities, other.qualities]),
        )

    def take(self, rows: Integers) -> Outcomes:
        return Outcomes(self.queries[rows], self.tried[rows], self.qualities[rows])


def adapted(pairs: Sequence[LoraPair], queries: Vector) -> tuple[Vector, Vector]:
    """y of unit length (n, d) and |z| (n,) for queries through the base pairs."""
    z = queries.copy()
    for pair in pairs:
        z += pair.delta(queries)
    lengths = np.maximum(np.sqrt(np.einsum("nd,nd->n", z, z)), np.float32(1e-12))
    return z / lengths[:, None], lengths


def mean_loss(pairs: Sequence[LoraPair], outcomes: Outcomes, candidates: Candidates, tau: float) -> float:
    """Mean negative log-likelihood of the outcomes, in nats."""
    if not len(outcomes):
        return 0.0
    y, _ = adapted(pairs, outcomes.queries)
    probability = action_probabilities(y, candidates.prototypes, tau)[np.arange(len(y)), outcomes.tried]
    return float(outcome_loss(probability, outcomes.qualities).mean())


def gradient_z(pairs: Sequence[LoraPair], outcomes: Outcomes, candidates: Candidates, tau: float) -> Vector:
    """dL/dz of each outcome, of shape (n, d)."""
    y, lengths = adapted(pairs, outcomes.queries)
    gradient, _ = outcome_gradient(y, lengths, outcomes.qualities, candidates.prototypes, outcomes.tried, tau)
    return gradient


def train(
    pairs: Sequence[LoraPair],
    outcomes: Outcomes,
    candidates: Candidates,
    ewc: EwcMemory,
    config: SonaConfig,
    rng: np.random.Generator,
    *,
    prototypes: int = _REHEARSED,
) -> list[LoraPair]:
    """New base pairs; those given stay as they are.

    Each minibatch of outcomes is joined by prototypes of the bank, each a query for which its own action succeeded.
    They keep the adapter from bending queries away from what others know. `prototypes` says how many, 0 is none.
    """
    trained = [pair.copy() for pair in pairs]
    moments = fresh_moments(trained)
    step = 0
    size = config.base_batch
    steps = config.base_epochs * math.ceil(len(outcomes) / size)
    for _ in range(config.base_epochs):
        order = rng.permutation(len(outcomes))
        for start in range(0, len(order), size):
            step += 1
            batch = outcomes.take(order[start : start + size])
            # The rate falls to nothing: where training ends must not depend on what the last batches happened to be.
            rate = config.base_lora_lr * (1.0 - (step - 1) / steps)
            train_batch(trained, moments, batch, candidates, ewc, config, rng, step, rate, prototypes)
    return trained


def train_batch(
    pairs: list[LoraPair],
    moments: Moments,
    batch: Outcomes,
    candidates: Candidates,
    ewc: EwcMemory,
    config: SonaConfig,
    rng: np.random.Generator,
    step: int,
    rate: float,
    prototypes: int,
) -> None:
    """Step number `step` (from 1) of the training of `pairs`, in place: Adam at `rate`, then the pull of EWC."""
    gradients = _batch_gradients(pairs, batch, candidates, config, rng, prototypes)
    parameters = flatten(pairs)
    rates = _adam(parameters, gradients, moments, step, rate)
    ewc.pull(parameters, ewc.strength(config.ewc_lambda), rates)


def fresh_moments(pairs: Sequence[LoraPair]) -> Moments:
    """Adam's moments before the first step."""
    return [(np.zeros_like(p), np.zeros_like(p)) for p in flatten(pairs)]


def fisher(
    pairs: Sequence[LoraPair],
    outcomes: Outcomes,
    candidates: Candidates,
    config: SonaConfig,
    rng: np.random.Generator,
) -> list[Vector]:
    """Diagonal Fisher information of the outcomes' log-likelihood at `pairs`, arrays in the order of `flatten`.

    From at most `fisher_samples` outcomes, one squared gradient each. In the unit of similarity (the gradient
    times tau), so that one `ewc_lambda` serves every temperature.
    """
    rows = rng.permutation(len(outcomes))[: config.fisher_samples]
    sample = outcomes.take(rows)
    gradient = gradient_z(pairs, sample, candidates, config.temperature) * np.float32(config.temperature)
    return [array for pair in pairs for array in pair.squared_gradients(sample.queries, gradient)]


def flatten(pairs: Sequence[LoraPair]) -> list[Vector]:
    """The parameter arrays themselves: up and down of each pair in turn."""
    return [array for pair in pairs for array in (pair.up, pair.down)]


def nearest_candidates(candidates: Candidates, queries: Vector) -> Candidates:
    """At most `MAX_CANDIDATES` of the candidates: those that come nearest to any of the queries (n, d)."""
    m = len(candidates.rows)
    if m <= MAX_CANDIDATES or not len(queries):
        return candidates
    closeness = np.full(m, -np.inf, dtype=np.float32)
    for start in range(0, len(queries), _AT_ONCE):
        np.maximum(closeness, queries[start : start + _AT_ONCE].dot(candidates.prototypes.T).max(axis=0), out=closeness)
    rows = np.sort(np.argpartition(-closeness, MAX_CANDIDATES)[:MAX_CANDIDATES])
    names = list(candidates.rows)
    return Candidates(candidates.prototypes[rows], {names[row]: new for new, row in enumerate(rows.tolist())})


def _batch_gradients(
    pairs: list[LoraPair],
    batch: Outcomes,
    candidates: Candidates,
    config: SonaConfig,
    rng: np.random.Generator,
    prototypes: int = _REHEARSED,
) -> list[Vector]:
    # Nothing is drawn from `rng` for none.
    rehearsed = rng.integers(0, len(candidates.rows), min(prototypes, len(candidates.rows)))
    joint = Outcomes(
        np.concatenate([batch.queries, candidates.prototypes[rehearsed]]),
        np.concatenate([batch.tried, rehearsed]),
        np.concatenate([batch.qualities, np.ones(len(rehearsed), dtype=np.float32)]),
    )
    masks = [_mask(pair, config.lora_dropout, rng) for pair in pairs]
    masked = [LoraPair(pair.down * mask, pair.up, pair.scale) for pair, mask in zip(pairs, masks, strict=True)]
    gradient = gradient_z(masked, joint, candidates, config.temperature) / np.float32(len(batch))
    result = []
    for pair, mask in zip(masked, masks, strict=True):
        up, down = pair.gradients(joint.queries, gradient)
        result += [up, down * mask]
    return result


def _mask(pair: LoraPair, dropout: float, rng: np.random.Generator) -> Vector:
    """Inverted dropout over the rank, of shape (r, 1)."""
    rank = len(pair.down)
    if dropout == 0.0:
        return np.ones((rank, 1), dtype=np.float32)
    return (rng.random((rank, 1)) >= dropout).astype(np.float32) / np.float32(1.0 - dropout)


def _adam(
    parameters: list[Vector],
    gradients: list[Vector],
    moments: Moments,
    step: int,
    rate: float,
) -> list[Vector]:
    """Kingma & Ba 2015, algorithm 1, in place; the size of the step for each weight, h in theta <- theta - h m."""
    rates = []
    for p, g, (m, v) in zip(parameters, gradients, moments, strict=True):
        m += np.float32(1.0 - _BETA1) * (g - m)
        v += np.float32(1.0 - _BETA2) * (np.square(g) - v)
        corrected = m / np.float32(1.0 - _BETA1**step)
        h = np.float32(rate) / (np.sqrt(v / np.float32(1.0 - _BETA2**step)) + np.float32(_EPSILON))
        p -= h * corrected
        rates.append(h)
    return rates
