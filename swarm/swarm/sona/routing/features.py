"""The features of a task that routes are compared by: fixed functions, so that sums over them can be added up.

Legend: t traits of `task_traits`, d embedding dimension; T = len(TRAITS), m and s the sizes below.

    phi(x, t) = [ 1,  sqrt(2 / m) cos(W t / sqrt(T) + b),  P x ]       W, b, P drawn once from a seed

The cosines approximate a Gaussian kernel over traits (Rahimi and Recht 2007, algorithm 1), so a linear model over
them is a smooth function of the traits; P x keeps the inner products of embeddings up to noise (Johnson and
Lindenstrauss). Equal seeds give equal features in every process.
"""

from __future__ import annotations

import numpy as np

from swarm.sona.routing.traits import TRAITS
from swarm.sona.vectors import Doubles, Vector

TRAIT_FEATURES = 128
"""m: cosines of the traits."""
SUBJECT_FEATURES = 64
"""s: projections of the embedding."""
FEATURES = 1 + TRAIT_FEATURES + SUBJECT_FEATURES
_SEED = 20_070_101
"""Part of what a sum over features means: another seed would make stored sums unreadable."""


class FeatureMap:
    """phi for embeddings of dimension `dim`."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        rng = np.random.default_rng([_SEED, dim])
        self._waves: Doubles = rng.standard_normal((len(TRAITS), TRAIT_FEATURES)) / np.sqrt(len(TRAITS))
        self._phases: Doubles = rng.uniform(0.0, 2.0 * np.pi, TRAIT_FEATURES)
        self._projection: Doubles = rng.standard_normal((dim, SUBJECT_FEATURES)) / np.sqrt(SUBJECT_FEATURES)

    def of(self, embedding: Vector, traits: Doubles) -> Doubles:
        """phi of shape (FEATURES,), from an embedding (d,) of unit length and traits (T,)."""
        row: Doubles = self.of_rows(embedding[None, :], traits[None, :])[0]
        return row

    def of_rows(self, embeddings: Vector, traits: Doubles) -> Doubles:
        """phi of shape (n, FEATURES), from embeddings (n, d) and traits (n, T)."""
        waves = np.sqrt(2.0 / TRAIT_FEATURES) * np.cos(traits @ self._waves + self._phases)
        ones = np.ones((len(embeddings), 1))
        return np.hstack([ones, waves, embeddings.astype(np.float64) @ self._projection])
