"""Where in a ranking the right label stands, and the memory of past successes that rankings are compared with."""

from __future__ import annotations

import numpy as np

from swarm.sona.vectors import Doubles, Integers, Vector

_CHUNK = 512


def ranks_of(scores: Doubles, columns: Integers, labels: Integers) -> Doubles:
    """Place of each row's label, from 1; inf where no column has it or its score is -inf.

    Among equal scores the earlier column stands first, as in a stable sort, so that a tie is no gift.

    Parameters
    ----------
    scores : of shape (b, m); columns : the label of each column, of shape (m,); labels : of shape (b,)

    >>> ranks_of(np.array([[0.5, 0.5, 0.9]]), np.array([7, 8, 9]), np.array([8])).tolist()
    [3.0]
    """
    ranks = np.full(len(scores), np.inf)
    column_of = {label: column for column, label in enumerate(columns.tolist())}
    place = np.array([column_of.get(label, -1) for label in labels.tolist()], dtype=np.intp)
    rows = np.flatnonzero(place >= 0)
    own = scores[rows, place[rows]][:, None]
    before = (scores[rows] == own) & (np.arange(len(columns)) < place[rows][:, None])
    found = 1.0 + (scores[rows] > own).sum(axis=1) + before.sum(axis=1)
    ranks[rows] = np.where(np.isfinite(own[:, 0]), found, np.inf)
    return ranks


def figures_of(name: str, ranks: Doubles) -> dict[str, float]:
    """NAME_recall1, NAME_recall5, and NAME_mrr10: the mean of 1 / place, 0 beyond the tenth."""
    return {
        f"{name}_recall1": float((ranks <= 1).mean()),
        f"{name}_recall5": float((ranks <= 5).mean()),
        f"{name}_mrr10": float(np.where(ranks <= 10, 1.0 / ranks, 0.0).mean()),
    }


class PastSuccesses:
    """Max-similarity memory: a tool is as good as the nearest request that it answered, or its own description.

    The columns of `scores` are the rows of the descriptions (m, d).
    """

    def __init__(self, descriptions: Vector) -> None:
        self.tools = len(descriptions)
        self._known: Vector = descriptions
        self._owners: Integers = np.arange(self.tools, dtype=np.intp)

    def add(self, queries: Vector, owners: Integers) -> None:
        """Remember that the tools `owners` (k,) answered the queries (k, d)."""
        joined = np.concatenate([self._owners, owners])
        # Sorted by tool, so that each one's maximum is that of one slice; every tool has its description at least.
        order = np.argsort(joined, kind="stable")
        self._owners, self._known = joined[order], np.concatenate([self._known, queries])[order]

    def scores(self, queries: Vector) -> Doubles:
        """Highest cosine with what is known of each tool, of shape (b, m)."""
        starts = np.searchsorted(self._owners, np.arange(self.tools))
        parts = [
            np.maximum.reduceat(queries[at : at + _CHUNK].dot(self._known.T), starts, axis=1)
            for at in range(0, len(queries), _CHUNK)
        ]
        return np.concatenate(parts).astype(np.float64) if parts else np.empty((0, self.tools))
