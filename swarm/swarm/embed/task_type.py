"""Which kind of task a request is, from its vector: the nearest group of prototype sentences."""

from __future__ import annotations

import numpy as np

from swarm.embed.base import Embedder
from swarm.embed.task_prototypes import PROTOTYPES
from swarm.sona.trajectory import GENERAL
from swarm.sona.vectors import Vector, check_vector

TASK_TYPES = tuple(PROTOTYPES)
_NEAREST = 3
"""So many of a type's prototypes vote: one alone may be near by its subject, all of them blur the type."""
_MARGIN = 0.1
"""Lead of the best type over the second, in standard deviations of the request's similarities to all
prototypes, so that one margin suits every embedder. Chosen, as `_NEAREST`, on sentences that no test uses."""


class TaskTypes:
    """The prototypes, embedded once. 35 of the test's 42 sentences are told with WordLlama, 31 with hashed."""

    def __init__(self, embedder: Embedder) -> None:
        """Embed the prototypes with `embedder`."""
        self.identity = embedder.identity
        sentences = [sentence for group in PROTOTYPES.values() for sentence in group]
        # (types, prototypes of a type, d): the groups have one size, a test says so
        vectors = embedder.embed(sentences).reshape(len(PROTOTYPES), -1, self.identity.dim)
        self._prototypes: Vector = vectors

    def infer(self, vector: Vector) -> str:
        """One of `TASK_TYPES` for the vector of shape (d,) of a request; `General` when none stands out.

        Parameters
        ----------
        vector : in the embedder's own (base) space, of any length

        Raises
        ------
        ShapeError, BoundsError
            If it is not a finite vector of the embedder's dimension.
        """
        return self.infer_all(check_vector(vector, self.identity.dim, "vector")[None])[0]

    def infer_all(self, vectors: Vector) -> list[str]:
        """As `infer`, of many vectors (n, d), already checked."""
        types, size, dim = self._prototypes.shape
        similarities = (vectors @ self._prototypes.reshape(-1, dim).T).reshape(-1, types, size)
        scores = np.sort(similarities, axis=2)[:, :, -_NEAREST:].mean(axis=2)  # (n, types)
        second, best = np.sort(scores, axis=1)[:, -2:].T
        is_clear = best - second > _MARGIN * similarities.std(axis=(1, 2))
        return [
            TASK_TYPES[code] if clear else GENERAL for code, clear in zip(scores.argmax(axis=1), is_clear, strict=True)
        ]
