"""Prototypes: one direction per action, the sum of the embeddings of its successes."""

from __future__ import annotations

import numpy as np

from swarm.sona.vectors import Doubles, Flags, Integers, Vector


def prototypes_of(sums: Doubles, actions: Integers, m: int) -> tuple[Vector, Flags]:
    """Directions of shape (m, d) of the sums per action, and which actions have one, of shape (m,).

    Parameters
    ----------
    sums : of shape (k, d), summed embeddings of clusters of successes
    actions : of shape (k,), which action each is about, in 0..m-1
    """
    total = np.zeros((m, sums.shape[1] if sums.ndim == 2 else 0))
    if len(sums):
        order = np.argsort(actions, kind="stable")
        codes, starts = np.unique(actions[order], return_index=True)
        total[codes] = np.add.reduceat(sums[order], starts, axis=0)
    lengths = np.sqrt(np.einsum("md,md->m", total, total))
    known = lengths > 0.0
    total[known] /= lengths[known, None]
    return total.astype(np.float32), known
