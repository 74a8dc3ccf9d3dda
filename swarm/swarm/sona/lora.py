"""Low-rank adaptation of a query: z = x + s B A x, with the gradient of both factors.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", equation 3, with W0 = I because what is
adapted is the query embedding itself. B starts at zero, so an untrained pair changes nothing; A starts random,
so the first gradient already reaches B.
"""

from __future__ import annotations

import math

import numpy as np

from swarm.errors import ShapeError
from swarm.sona.vectors import Vector


class LoraPair:
    """One pair of factors.

    Parameters
    ----------
    down : A of shape (r, d)
    up : B, stored transposed, of shape (r, d), so that both factors are read row by row
    scale : s, a factor without unit
    """

    __slots__ = ("down", "scale", "up")

    def __init__(self, down: Vector, up: Vector, scale: float) -> None:
        if down.ndim != 2 or down.shape != up.shape:
            raise ShapeError(f"both factors must have the same shape (r, d), got {down.shape} and {up.shape}")
        self.down = down
        self.up = up
        self.scale = scale

    @classmethod
    def initial(cls, rank: int, dim: int, scale: float, rng: np.random.Generator) -> LoraPair:
        """A ~ N(0, 1/d), B = 0."""
        down = rng.standard_normal((rank, dim), dtype=np.float32) / np.float32(math.sqrt(dim))
        return cls(down, np.zeros((rank, dim), dtype=np.float32), scale)

    @property
    def is_untrained(self) -> bool:
        """Whether the pair is the identity still."""
        return not self.up.any()

    def copy(self) -> LoraPair:
        return LoraPair(self.down.copy(), self.up.copy(), self.scale)

    def delta(self, x: Vector) -> Vector:
        """s B A x, for x of shape (d,) or (n, d)."""
        hidden = self.down.dot(x) if x.ndim == 1 else x.dot(self.down.T)
        if self.scale != 1.0:
            hidden *= self.scale
        result: Vector = hidden.dot(self.up)
        return result

    def gradients(self, x: Vector, gradient_z: Vector) -> tuple[Vector, Vector]:
        """Sum over the rows of dL/dB (transposed) and dL/dA.

        Parameters
        ----------
        x : of shape (n, d)
        gradient_z : dL/dz of shape (n, d)

        Returns
        -------
        (dL/dB^T, dL/dA), both of shape (r, d):
            dL/dB = s sum_i g_i (A x_i)^T and dL/dA = s sum_i (B^T g_i) x_i^T
        """
        hidden = x.dot(self.down.T)  # (n, r)
        pulled = gradient_z.dot(self.up.T)  # (n, r)
        return self.scale * hidden.T.dot(gradient_z), self.scale * pulled.T.dot(x)

    def squared_gradients(self, x: Vector, gradient_z: Vector) -> tuple[Vector, Vector]:
        """Mean over the rows of the SQUARED per-sample gradients: the diagonal Fisher information.

        Exact in one product per factor, because a per-sample gradient has rank one:
        F_B = s^2 (G o G)^T (X A^T o X A^T) / n and F_A = s^2 ((G B) o (G B))^T (X o X) / n.
        Shapes as in `gradients`.
        """
        n = max(1, len(x))
        hidden = np.square(x.dot(self.down.T))
        pulled = np.square(gradient_z.dot(self.up.T))
        factor = self.scale * self.scale / n
        return factor * hidden.T.dot(np.square(gradient_z)), factor * pulled.T.dot(np.square(x))
