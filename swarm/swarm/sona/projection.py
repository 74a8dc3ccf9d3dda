"""Many dimensions in two: the plane in which vectors differ most, for a picture of them."""

from __future__ import annotations

import numpy as np

from swarm.sona.vectors import Vector

_ROUNDS = 30
_SPARE = 6
"""Further directions that are iterated along: the two wanted ones then settle in few rounds."""


class Plane:
    """A plane through the middle of many vectors. What is projected on it later does not move it.

    Attributes
    ----------
    middle : of shape (d,)
    axes : of shape (2, d), orthonormal, the direction of most variance first
    share : part of the variance that lies in the plane, in [0, 1]
    """

    __slots__ = ("axes", "middle", "share")

    def __init__(self, middle: Vector, axes: Vector, share: float) -> None:
        self.middle = middle
        self.axes = axes
        self.share = share

    @classmethod
    def of(cls, x: Vector, before: Plane | None = None) -> Plane:
        """The plane of most variance of `x` (n, d), n >= 1: the first two principal axes.

        By subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4), which needs no (d, d) matrix. An axis has
        two directions that say the same: the one nearer to that of the plane `before` is taken.

        >>> x = np.array([[3, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
        >>> np.abs(Plane.of(x).project(x)).round(3).tolist()
        [[3.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
        """
        middle = x.mean(axis=0)
        centred = x - middle
        n, d = centred.shape
        width = min(2 + _SPARE, n, d)
        # A seed of its own: equal vectors give equal pictures.
        basis = np.linalg.qr(np.random.default_rng(0).standard_normal((d, width)).astype(np.float32))[0]
        for _ in range(_ROUNDS):
            basis = np.linalg.qr(centred.T.dot(centred.dot(basis)))[0]
        # Within the subspace the axes are exact.
        _, strengths, turn = np.linalg.svd(centred.dot(basis), full_matrices=False)
        axes = np.zeros((2, d), dtype=np.float32)
        found = turn.dot(basis.T)[:2]
        axes[: len(found)] = found
        if before is not None and before.axes.shape == axes.shape:
            axes *= np.where(np.einsum("kd,kd->k", axes, before.axes) < 0.0, np.float32(-1.0), np.float32(1.0))[:, None]
        total = float(np.einsum("nd,nd->", centred, centred, dtype=np.float64))
        share = float((strengths[:2].astype(np.float64) ** 2).sum()) / total if total > 0.0 else 0.0
        return cls(middle=middle, axes=axes, share=min(1.0, share))

    def project(self, x: Vector) -> Vector:
        """Places in the plane, of shape (n, 2), of vectors `x` (n, d)."""
        return np.asarray((x - self.middle).dot(self.axes.T), dtype=np.float32)
