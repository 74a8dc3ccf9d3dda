"""What a large index makes of its clusters when the evidence of some agents alone counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from swarm.sona.clusters import UNCONFIRMED, is_library
from swarm.sona.inverted_file import Slots, longer, products, stretches_of
from swarm.sona.ranking import EVIDENCE_EXPONENT, backing
from swarm.sona.row_store import RowStore
from swarm.sona.vectors import Doubles, Flags, Integers, Vector, unit, unit_rows

FEW = 16_384
"""The vectors of so few clusters are copied side by side, and looked through without leaving one out."""
_KEPT = 4096
"""The prototypes of so many actions are kept for the next query."""
_LEAST = 1e-9
_WIDER = 4
"""Of a part of the clusters the nearest ones are in more of the lists."""


class View:
    """Some agents' part of `store`: slots, and for each what these agents contributed. Void when the store changes."""

    def __init__(self, store: RowStore, agents: Sequence[str]) -> None:
        self._store = store
        entries, owner = store.of_agents(agents)
        self.slots: Slots
        self.slots, place = np.unique(entries["slot"], return_inverse=True)
        n, quality = entries["n"].astype(np.float64), entries["quality"].astype(np.float64)
        given = np.array([is_library(name) for name in agents], dtype=np.bool_)[owner]
        self._n = np.bincount(place, weights=n, minlength=len(self.slots))
        sums = np.bincount(place, weights=quality, minlength=len(self.slots))
        self._given = np.bincount(place, weights=n * given, minlength=len(self.slots))
        self._quality = sums / np.maximum(self._n, _LEAST)
        rows = store.rows[self.slots]
        learned = np.bincount(place, weights=quality * ~given, minlength=len(self.slots))
        usable = rows["positive"] & (self._n > 0.0)
        m = len(store.names)
        actions = rows["action"]
        self._usable = np.bincount(actions[usable], minlength=m) > 0
        successes = np.where(usable & rows["confirmed"], learned, 0.0)
        self._successes = np.bincount(actions, weights=successes, minlength=m)
        # Successes by action: where each is among `slots`, and the code of its action, sorted by that.
        shown = np.flatnonzero(usable)
        self._order = shown[np.argsort(actions[shown], kind="stable")]
        self._sorted = actions[self._order]
        self._mask = np.zeros(len(store.rows), dtype=np.bool_)
        self._mask[self.slots] = True
        few = len(self.slots) <= FEW
        self._vectors = store.file.vectors.take(self.slots, axis=0) if few else None
        self._places: dict[int, int] = {}
        """Of the actions whose prototypes are here the rows of the arrays below."""
        self._prototypes = np.empty((0, store.dim), dtype=np.float32)
        self._is_known = np.empty(0, dtype=np.bool_)
        self._mixed: dict[int, Vector] = {}

    @property
    def copied(self) -> int:
        """So many vectors are copied here."""
        return 0 if self._vectors is None else len(self._vectors)

    def near(self, x: Vector) -> tuple[Slots, Vector]:
        """Slots of these agents' clusters near `x` (d,), and the cosines with it."""
        if self._vectors is not None:
            return self.slots, products(self._vectors, x)
        return self._store.file.near_among(x, self.slots, _WIDER)

    def among(self, slots: Slots) -> Slots:
        """Those of `slots` that these agents had a part in."""
        return slots[self._mask[slots]]

    def figures(self, slots: Slots) -> tuple[Doubles, Doubles]:
        """What the clusters in `slots`, of these agents, weigh, and their mean quality."""
        place = np.searchsorted(self.slots, slots)
        n = self._n[place]
        counted = np.where(self._store.rows["confirmed"][slots], n, np.minimum(n, UNCONFIRMED))
        return np.power(counted, EVIDENCE_EXPONENT), self._quality[place]

    def usable(self, codes: Integers) -> Flags:
        """Whether some cluster of successes can be shown for each action."""
        return np.asarray(self._usable[codes])

    def backed(self, codes: Integers) -> Doubles:
        """e of each action; see `ranking`."""
        return backing(np.asarray(self._successes[codes], dtype=np.float64))

    def prototypes(self, codes: Integers) -> tuple[Vector, Flags, Vector]:
        """Of some actions the prototypes (k, d), whether they have one (k,), and those of what was given (k, d)."""
        asked = codes.tolist()
        missing = [code for code in asked if code not in self._places]
        if missing:
            if len(self._places) + len(missing) > _KEPT:
                self._places.clear()
                self._mixed.clear()
                missing = asked
            self._compute(missing)
        rows = np.array([self._places[code] for code in asked], dtype=np.intp)
        found = self._prototypes.take(rows, axis=0)
        given = found
        if self._mixed:
            given = found.copy()
            for position in [position for position, code in enumerate(asked) if code in self._mixed]:
                given[position] = self._mixed[asked[position]]
        return found, self._is_known[rows], given

    def _compute(self, codes: Sequence[int]) -> None:
        store, k = self._store, len(codes)
        starts = np.searchsorted(self._sorted, codes)
        lengths = np.searchsorted(self._sorted, codes, side="right") - starts
        place = self._order[stretches_of(starts, lengths)]
        slots = self.slots[place]
        vectors = store.file.vectors.take(slots, axis=0)
        scale = store.rows["length"][slots] / np.maximum(store.rows["n"][slots], _LEAST)
        weights = (scale * self._n[place]).astype(np.float32)
        given = (scale * self._given[place]).astype(np.float32)
        ends = np.cumsum(lengths)
        prototypes = np.zeros((k, store.dim), dtype=np.float32)
        alone = lengths == 1
        prototypes[alone] = vectors[ends[alone] - 1]
        for position in np.flatnonzero(lengths > 1).tolist():
            part = slice(ends[position] - lengths[position], ends[position])
            prototypes[position] = weights[part].dot(vectors[part])
            if given[part].any() and (given[part] < weights[part]).any():
                self._mixed[codes[position]] = unit(given[part].dot(vectors[part]))
        first = len(self._places)
        self._places.update((code, first + position) for position, code in enumerate(codes))
        if first + k > len(self._is_known):
            self._prototypes = longer(self._prototypes, 2 * (first + k))
            self._is_known = longer(self._is_known, 2 * (first + k))
        self._prototypes[first : first + k] = unit_rows(prototypes)
        self._is_known[first : first + k] = lengths > 0
