"""The actions of a large index: prototypes, how many patterns each has that can be shown, and how feedback backs it.

An action with a single cluster of successes has that cluster's centroid as its prototype, which is kept already. The
prototypes of the others are an inverted file of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from swarm.sona.inverted_file import InvertedFile, Slots, sample_size
from swarm.sona.prototypes import prototypes_of
from swarm.sona.ranking import backing
from swarm.sona.row_store import Rows, RowStore
from swarm.sona.vectors import Doubles, Flags, Integers, Vector, unit

_TABLE = np.dtype([("usable", np.int32), ("successes", np.float64), ("prototype", np.int32), ("single", np.int32)])
"""Structured: clusters of successes, successes in feedback, slot of the prototype or of the only cluster (-1: none)."""
_AT_ONCE = 256
"""Prototypes of so many actions are computed at a time: it bounds what is copied for that."""
_BY_THE_WAY = 4
_RETRAINED = 2
"""The file of prototypes is made anew when it holds so many times more than it was made for."""


class ActionTable:
    """What is known of each action in `store`; `follow` what changed there, and `renew` before it is used."""

    def __init__(self, store: RowStore) -> None:
        self._store = store
        self._table: npt.NDArray[np.void] = np.empty(0, dtype=_TABLE)
        self._file: InvertedFile | None = None
        self._code_at = np.empty(0, dtype=np.int32)
        self._stale: set[int] = set()
        self._mixed: dict[int, Vector] = {}
        """Prototypes of what was given, of actions for which something was learned too."""

    def follow(self, gone: Rows, put: Rows) -> None:
        """Take out the rows that went, and count those that were put."""
        m = len(self._store.names)
        if m > len(self._table):
            longer = np.zeros(m + m // 8, dtype=_TABLE)
            longer["prototype"] = longer["single"] = -1
            longer[: len(self._table)] = self._table
            self._table = longer
        for rows, sign in ((gone, -1), (put, 1)):
            usable = rows["positive"] & (rows["weight"] > 0.0)
            np.add.at(self._table["usable"], rows["action"][usable], sign)
            np.add.at(self._table["successes"], rows["action"], sign * rows["successes"].astype(np.float64))
            self._stale.update(rows["action"].tolist())

    def usable(self, codes: Integers) -> Flags:
        """Whether some cluster of successes can be shown for each action."""
        return np.asarray(self._table["usable"][codes] > 0)

    def backed(self, codes: Integers) -> Doubles:
        """e of each action; see `ranking`."""
        return backing(self.successes(codes))

    def successes(self, codes: Integers) -> Doubles:
        """Successes in feedback of each action."""
        # They are added up and taken away again, so what is nothing may be a little less.
        return np.asarray(np.maximum(self._table["successes"][codes], 0.0), dtype=np.float64)

    def known(self) -> Integers:
        """Codes of all actions that have a prototype."""
        m = len(self._store.names)
        found: Integers = np.flatnonzero((self._table["prototype"][:m] >= 0) | (self._table["single"][:m] >= 0))
        return found

    def near(self, x: Vector, k: int) -> Integers:
        """Codes of about the k actions, of those with several clusters, whose prototypes are nearest to `x` (d,)."""
        if self._file is None:
            return np.empty(0, dtype=np.intp)
        slots, cosines = self._file.near(x)
        if len(slots) > k:
            slots = slots[np.argpartition(cosines, len(slots) - k)[len(slots) - k :]]
        codes = self._code_at[slots]
        return codes[codes >= 0].astype(np.intp)

    def prototypes(self, codes: Integers) -> tuple[Vector, Flags, Vector]:
        """Of some actions the prototypes (k, d), whether they have one (k,), and those of what was given (k, d).

        Only theirs are brought up to date: a query pays for what it looks at.
        """
        if self._stale:
            self.renew(self._stale.intersection(codes.tolist()))
        found = np.zeros((len(codes), self._store.dim), dtype=np.float32)
        slots, singles = self._table["prototype"][codes], self._table["single"][codes]
        if self._file is not None:
            found[slots >= 0] = self._file.vectors.take(slots[slots >= 0], axis=0)
        found[singles >= 0] = self._store.file.vectors.take(singles[singles >= 0], axis=0)
        given = found
        if self._mixed:
            given = found.copy()
            asked = codes.tolist()
            for position in [position for position, code in enumerate(asked) if code in self._mixed]:
                given[position] = self._mixed[asked[position]]
        return found, (slots >= 0) | (singles >= 0), given

    def renew(self, codes: Iterable[int] | None = None) -> None:
        """Bring the prototypes of some actions up to date with the clusters, by default all."""
        stale = sorted(self._stale if codes is None else codes)
        if not stale:
            return
        self._stale.difference_update(stale)
        parts = [self._renewed(stale[start : start + _AT_ONCE]) for start in range(0, len(stale), _AT_ONCE)]
        self._keep(np.concatenate([codes for codes, _ in parts]), np.concatenate([vectors for _, vectors in parts]))

    def renew_some(self) -> None:
        """Bring a few prototypes up to date, or all if searching among the old ones would miss much.

        Called with every query: none waits for all that a large change has left to do.
        """
        if len(self._stale) > max(_AT_ONCE, len(self._store.names) // 2):
            self.renew()
        elif self._stale:
            self.renew(itertools.islice(self._stale, _BY_THE_WAY))

    def without(self, codes: Integers, slots: Slots) -> tuple[Vector, Flags]:
        """Prototypes of some actions (k, d) as they would be without the clusters in `slots`, and which there are."""
        found, owner = self._store.of_actions(codes.tolist())
        kept = self._store.rows["positive"][found] & ~np.isin(found, slots)
        return prototypes_of(self._sums(found[kept]), owner[kept], len(codes))

    def _sums(self, slots: Slots) -> Doubles:
        """The sums of the embeddings of clusters, (k, d)."""
        lengths = self._store.rows["length"][slots].astype(np.float64)
        return self._store.file.vectors.take(slots, axis=0) * lengths[:, None]

    def _renewed(self, codes: Sequence[int]) -> tuple[Integers, Vector]:
        """Drop what was known of these actions: those with several clusters of successes, and their prototypes."""
        store = self._store
        slots, owner = store.of_actions(codes)
        positive = np.flatnonzero(store.rows["positive"][slots])
        order = positive[np.argsort(owner[positive], kind="stable")]
        slots, owner = slots[order], owner[order]
        ends = np.searchsorted(owner, np.arange(len(codes) + 1))
        counts = np.diff(ends)
        self._forget(codes)
        for position in np.flatnonzero(counts == 1).tolist():
            self._table["single"][codes[position]] = slots[ends[position]]
        several = np.flatnonzero(counts > 1).tolist()
        prototypes = np.zeros((len(several), store.dim), dtype=np.float32)
        for row, position in enumerate(several):
            prototypes[row] = self._prototype(codes[position], slots[ends[position] : ends[position + 1]])
        known = prototypes.any(axis=1)
        return np.array([codes[position] for position in several], dtype=np.intp)[known], prototypes[known]

    def _prototype(self, code: int, slots: Slots) -> Vector:
        """The direction of the sum of some clusters; what was given is kept aside if it is a part of that."""
        # A sum as a product: for a few rows it is far quicker than NumPy's sums by groups.
        vectors, rows = self._store.file.vectors.take(slots, axis=0), self._store.rows[slots]
        lengths, given = rows["length"], rows["given"]
        if given.any() and not (given >= 1.0).all():
            self._mixed[code] = unit((lengths * given).dot(vectors))
        return unit(lengths.dot(vectors))

    def _forget(self, codes: Iterable[int]) -> None:
        for code in codes:
            self._mixed.pop(code, None)
            slot = int(self._table["prototype"][code])
            if slot >= 0 and self._file is not None:
                self._file.remove(slot)
                self._code_at[slot] = -1
            self._table["prototype"][code] = self._table["single"][code] = -1

    def _keep(self, codes: Integers, prototypes: Vector) -> None:
        if not len(codes):
            return
        if self._file is None or self._file.count + len(codes) > _RETRAINED * self._file.expected:
            held = np.flatnonzero(self._table["prototype"] >= 0)
            if self._file is not None:
                old = self._file.vectors.take(self._table["prototype"][held], axis=0)
                codes, prototypes = np.concatenate([held, codes]), np.concatenate([old, prototypes])
            rng = np.random.default_rng(11)
            chosen = rng.choice(len(prototypes), sample_size(len(prototypes)), replace=False)
            self._file = InvertedFile(prototypes[chosen], len(prototypes), rng)
            self._code_at = np.empty(0, dtype=np.int32)
        slots = self._file.add(prototypes)
        if len(self._file.vectors) > len(self._code_at):
            longer = np.full(len(self._file.vectors), -1, dtype=np.int32)
            longer[: len(self._code_at)] = self._code_at
            self._code_at = longer
        self._code_at[slots] = codes
        self._table["prototype"][codes] = slots
