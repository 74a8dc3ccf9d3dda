"""The features of a task that routes are compared by: fixed functions, so that sums over them can be added up.

Legend: t (T,) traits of `task_traits`, t' those of them in `STRUCTURE`, x (d,) the embedding.

    phi(x, t) = [ 1,  waves(t'),  waves(t),  P x / 2 ]          waves(t) = sqrt(2 / m) [cos, sin](W t / sqrt(T))

W and P are drawn once from a seed. The waves approximate a Gaussian kernel over traits (Rahimi and Recht 2007; in
pairs as Sutherland and Schneider 2015, rows of W orthogonal as Yu et al. 2016: both need fewer of them), so a linear
model over them is a smooth function of the traits. P x keeps the inner products of embeddings up to noise (Johnson
and Lindenstrauss). Equal seeds give equal features in every process.
"""

from __future__ import annotations

import numpy as np

from swarm.sona.routing.traits import STRUCTURE, TRAITS
from swarm.sona.vectors import Doubles, Vector

STRUCTURE_FEATURES = 96
TRAIT_FEATURES = 96
SUBJECT_FEATURES = 64
FEATURES = 1 + STRUCTURE_FEATURES + TRAIT_FEATURES + SUBJECT_FEATURES
"""p. Half a megabyte a route in memory, an eighth stored: as float32, without the mirrored half."""
_SUBJECT_SCALE = 0.5
_SEED = 20_070_101
"""Part of what a sum over features means: another seed would make stored sums unreadable."""
_STRUCTURE = np.array([TRAITS.index(name) for name in STRUCTURE])


class FeatureMap:
    """phi for embeddings of dimension `dim`."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        rng = np.random.default_rng(_SEED)
        self._structure = _Waves(rng, len(STRUCTURE), STRUCTURE_FEATURES)
        self._traits = _Waves(rng, len(TRAITS), TRAIT_FEATURES)
        projection = rng.standard_normal((dim, SUBJECT_FEATURES)) / np.sqrt(SUBJECT_FEATURES)
        self._projection: Doubles = _SUBJECT_SCALE * projection

    def of(self, embedding: Vector, traits: Doubles) -> Doubles:
        """phi of shape (FEATURES,), from an embedding (d,) of unit length and traits (T,)."""
        row: Doubles = self.of_rows(embedding[None, :], traits[None, :])[0]
        return row

    def of_rows(self, embeddings: Vector, traits: Doubles) -> Doubles:
        """phi of shape (n, FEATURES), from embeddings (n, d) and traits (n, T)."""
        return np.hstack(
            [
                np.ones((len(embeddings), 1)),
                self._structure.of(traits[:, _STRUCTURE]),
                self._traits.of(traits),
                embeddings.astype(np.float64) @ self._projection,
            ]
        )


class _Waves:
    """m waves of n numbers, half of them cosines and half sines."""

    def __init__(self, rng: np.random.Generator, n: int, m: int) -> None:
        blocks = []
        for _ in range(-(-(m // 2) // n)):
            directions, _ = np.linalg.qr(rng.standard_normal((n, n)))
            blocks.append(directions * np.sqrt(rng.chisquare(n, size=n)))
        self._waves: Doubles = np.hstack(blocks)[:, : m // 2] / np.sqrt(n)
        self._height = float(np.sqrt(2.0 / m))

    def of(self, values: Doubles) -> Doubles:
        angles = values @ self._waves
        return np.asarray(self._height * np.hstack([np.cos(angles), np.sin(angles)]))
