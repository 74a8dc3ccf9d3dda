"""Both tiers of an adapter as one dense matrix, for whoever can multiply but knows no factors.

M = I + sum s B A of shape (d, d), so that z = M x, and y = z |x| / |z| as in `adapter`. It costs d^2 numbers, which the
factors do not: an agent itself never forms it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from swarm.errors import ShapeError
from swarm.sona.adapter import bent
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Vector, check_queries


def merge_pairs(pairs: Sequence[LoraPair], dim: int) -> Vector:
    """I + sum s B A over the pairs, of shape (d, d); the identity without any.

    Raises
    ------
    ShapeError
        If a pair is of another dimension.
    """
    total = np.eye(dim, dtype=np.float64)
    for pair in pairs:
        if pair.down.shape[1] != dim:
            raise ShapeError(f"factors must have shape (r, {dim}), got {pair.down.shape}")
        total += pair.scale * pair.up.T.astype(np.float64).dot(pair.down.astype(np.float64))
    return total.astype(np.float32)


def apply_matrix(matrix: Vector, x: object) -> Vector:
    """What the adapter makes of `x` (d,) or (n, d), from its dense matrix: the direction of M x, the length of x.

    >>> x = np.ones(4, np.float32)
    >>> bool((apply_matrix(merge_pairs([], 4), x) == x).all())
    True
    """
    queries = check_queries(x, matrix.shape[1], "x")
    return bent(queries, queries.dot(matrix.T) - queries)


def joined_pair(pairs: Sequence[LoraPair], dim: int) -> LoraPair:
    """One pair that does what all of `pairs` do together: their factors stacked, their scales in B; its scale is 1.

    Its rank is the sum of theirs. Without pairs it has rank 1 and is zero, because most formats know no rank 0.
    """
    if not pairs:
        return LoraPair(np.zeros((1, dim), np.float32), np.zeros((1, dim), np.float32), 1.0)
    down = np.concatenate([pair.down for pair in pairs])
    up = np.concatenate([np.float32(pair.scale) * pair.up for pair in pairs])
    return LoraPair(np.ascontiguousarray(down), np.ascontiguousarray(up), 1.0)
