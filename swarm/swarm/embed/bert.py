"""The forward pass of a BERT sentence encoder (Devlin et al. 2018) in NumPy, one text at a time.

Beside torch it needs 7 s less to start and 1.6 GB less on disk, takes as long for a single text, and gives
the same bits for a text alone and in a batch, because nothing is padded.

Legend: t tokens, d width, h heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from swarm.sona.vectors import Vector

_SQRT_HALF = np.float32(np.sqrt(0.5))


class BertEncoder:
    """Weights under the names of the Hugging Face format, read and never written."""

    def __init__(self, weights: Mapping[str, Vector], layers: int, heads: int, epsilon: float = 1e-12) -> None:
        self._weights = weights
        self._layers = layers
        self._heads = heads
        self._epsilon = np.float32(epsilon)

    def encode(self, ids: Sequence[int]) -> Vector:
        """Mean of the last layer over the tokens `ids`, special ones included: shape (d,)."""
        tables = "embeddings.{}_embeddings.weight"
        x = self._weights[tables.format("word")][ids]  # (t, d)
        x = x + self._weights[tables.format("position")][: len(ids)] + self._weights[tables.format("token_type")][0]
        x = self._normalise(x, "embeddings.LayerNorm")
        for layer in range(self._layers):
            x = self._block(x, f"encoder.layer.{layer}.")
        return np.asarray(x.mean(axis=0), dtype=np.float32)

    def _block(self, x: Vector, name: str) -> Vector:
        attended = self._linear(self._attend(x, name + "attention.self."), name + "attention.output.dense")
        x = self._normalise(x + attended, name + "attention.output.LayerNorm")
        wide = gelu(self._linear(x, name + "intermediate.dense"))
        return self._normalise(x + self._linear(wide, name + "output.dense"), name + "output.LayerNorm")

    def _attend(self, x: Vector, name: str) -> Vector:
        t, d = x.shape
        width = d // self._heads
        query, key, value = (
            self._linear(x, name + part).reshape(t, self._heads, width).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )  # each (h, t, d / h)
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(width))  # (h, t, t)
        scores = np.exp(scores - scores.max(axis=2, keepdims=True))
        scores /= scores.sum(axis=2, keepdims=True)
        return np.asarray(scores @ value).transpose(1, 0, 2).reshape(t, d)

    def _linear(self, x: Vector, name: str) -> Vector:
        return np.asarray(x @ self._weights[name + ".weight"].T + self._weights[name + ".bias"])

    def _normalise(self, x: Vector, name: str) -> Vector:
        x = x - x.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.square(x).mean(axis=1, keepdims=True) + self._epsilon)
        return np.asarray(x / deviation * self._weights[name + ".weight"] + self._weights[name + ".bias"])


def gelu(x: Vector) -> Vector:
    """x Phi(x) with the distribution function Phi of the normal distribution.

    >>> gelu(np.array([-1.0, 0.0, 1.0], dtype=np.float32)).round(4).tolist()
    [-0.15870000422000885, 0.0, 0.8413000106811523]
    """
    return np.asarray(x * np.float32(0.5) * (np.float32(1.0) + _erf(x * _SQRT_HALF)), dtype=np.float32)


def _erf(x: Vector) -> Vector:
    """The error function, absolute error below 5e-7 (Abramowitz and Stegun, 7.1.26): NumPy has none."""
    size = np.abs(x)
    t = np.float32(1.0) / (np.float32(1.0) + np.float32(0.3275911) * size)
    polynomial = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = (polynomial + np.float32(coefficient)) * t
    return np.asarray(np.copysign(np.float32(1.0) - polynomial * np.exp(-size * size), x), dtype=np.float32)
