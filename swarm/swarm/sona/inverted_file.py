"""Approximate search for the nearest of many vectors: an inverted file, in NumPy.

The vectors are put into lists by the nearest of some centres (spherical k-means on a sample); a query looks through the
lists of the nearest centres only (Jégou et al. 2011, "Product quantization for nearest neighbor search", section 4,
without the quantizer). Each vector is kept once, in float32. A list is a few stretches of one array, so looking through
it is a product without a copy. Vectors that go leave a hole, which the next vector of that list fills.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from swarm.sona.vectors import Integers, Vector, unit_rows

Slots: TypeAlias = npt.NDArray[np.int32]

PROBES = 16
"""A query looks through so many lists at least ..."""
_PART = 64
"""... and through one in so many."""
_TRAINED_ON = 40
"""Vectors of the sample for each list."""
_ITERATIONS = 8
_FIRST = 0.92
"""Part of what a list is expected to hold that its first stretch has room for ..."""
_NEXT = 16
"""... and a further one for one in so many of that: room that nothing needs is memory."""
_LEAST_STRETCH = 8
_CHUNK = 4096
_MOST_LISTS = 8192
_FEW = 4096
"""So few vectors are one list."""

_Stretch: TypeAlias = list[int]
_Array = TypeVar("_Array", bound=npt.NDArray[Any])


def lists_for(n: int) -> int:
    """How many lists `n` vectors make: 2 sqrt(n), so that centres and lists cost about the same."""
    return 1 if n <= _FEW else min(_MOST_LISTS, int(2.0 * math.sqrt(n)))


def sample_size(n: int) -> int:
    """How many vectors to train on where `n` are expected."""
    return min(n, _TRAINED_ON * lists_for(n))


def products(rows: Vector, x: Vector) -> Vector:
    """rows (n, d) times x (d,). NumPy's own loop: half the time that OpenBLAS takes for a product of this shape."""
    return np.asarray(np.einsum("nd,d->n", rows, x), dtype=np.float32)


def stretches_of(starts: Integers, lengths: Integers) -> Integers:
    """The numbers of several stretches, one behind the other.

    >>> stretches_of(np.array([3, 10]), np.array([2, 3])).tolist()
    [3, 4, 10, 11, 12]
    """
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) + np.repeat(starts - ends + lengths, lengths)


class InvertedFile:
    """Unit vectors in slots: `add` answers where each is, and a slot stays until `remove`.

    Parameters
    ----------
    sample : vectors to train on, of shape (s, d), like those to come; `sample_size` says how many
    expected : so many vectors will come; more find room too, in lists that grow longer
    """

    def __init__(self, sample: Vector, expected: int, rng: np.random.Generator) -> None:
        self.expected = max(expected, len(sample), 1)
        self.centres = _trained(sample, lists_for(self.expected), rng)
        k = len(self.centres)
        shares = np.bincount(self._nearest(sample), minlength=k) / max(len(sample), 1)
        sizes = np.maximum(_LEAST_STRETCH, np.ceil(_FIRST * shares * self.expected)).astype(np.intp)
        # Of each list its stretches: first slot, slots that were ever used, slots.
        self._stretches: list[list[_Stretch]] = [[] for _ in range(k)]
        self._holes: list[list[int]] = [[] for _ in range(k)]
        self.slots = 0
        """One more than the largest slot there is."""
        room = int(1.2 * sizes.sum()) + 1024
        self.vectors = np.empty((room, sample.shape[1]), dtype=np.float32)
        self._lists = np.empty(room, dtype=np.int16)
        self._all = np.arange(room, dtype=np.int32)
        self.count = 0
        for list_id, size in enumerate(sizes.tolist()):
            self._stretch(list_id, size)

    def add(self, vectors: Vector) -> Slots:
        """The slots of `vectors` (b, d), unit rows, which are copied."""
        slots = np.array([self._free(list_id) for list_id in self._nearest(vectors).tolist()], dtype=np.int32)
        self.vectors[slots] = vectors
        self.count += len(vectors)
        return slots

    def remove(self, slot: int) -> None:
        """Leave a hole: a vector of zeros, near to nothing."""
        self._holes[self._lists[slot]].append(slot)
        self.vectors[slot] = 0.0
        self.count -= 1

    def near(self, x: Vector) -> tuple[Slots, Vector]:
        """Slots of what is in the lists nearest to `x` (d,), holes too, and the cosines with it."""
        stretches = self._probed(x, 1)
        found = [products(self.vectors[first : first + used], x) for first, used in stretches]
        parts = [self._all[first : first + used] for first, used in stretches]
        if not parts:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        return np.concatenate(parts), np.concatenate(found)

    def near_among(self, x: Vector, wanted: Slots, wider: int) -> tuple[Slots, Vector]:
        """As `near`, only of the slots in `wanted`, which are sorted, and in `wider` times as many lists."""
        stretches = np.array(self._probed(x, wider), dtype=np.int32).reshape(-1, 2)
        # A list is a few stretches of slots, so of the sorted slots it has a few stretches, too.
        starts = np.searchsorted(wanted, stretches[:, 0])
        ends = np.searchsorted(wanted, stretches.sum(axis=1))
        slots = wanted[stretches_of(starts, ends - starts)]
        return slots, products(self.vectors.take(slots, axis=0), x)

    def _probed(self, x: Vector, wider: int) -> list[tuple[int, int]]:
        """First slot and length of every stretch to look through."""
        k = len(self.centres)
        probes = wider * max(PROBES, k // _PART)
        chosen = range(k)
        if k > probes:
            scores = products(self.centres, x)
            chosen = np.argpartition(scores, k - probes)[k - probes :].tolist()
        return [(first, used) for list_id in chosen for first, used, _ in self._stretches[list_id] if used]

    def _nearest(self, vectors: Vector) -> Integers:
        """The list that each vector belongs to."""
        if len(self.centres) == 1 or not len(vectors):
            return np.zeros(len(vectors), dtype=np.intp)
        chunks = range(0, len(vectors), _CHUNK)
        return np.concatenate([vectors[i : i + _CHUNK].dot(self.centres.T).argmax(axis=1) for i in chunks])

    def _free(self, list_id: int) -> int:
        if self._holes[list_id]:
            return self._holes[list_id].pop()
        last = self._stretches[list_id][-1]
        if last[1] == last[2]:
            first = self._stretches[list_id][0]
            last = self._stretch(list_id, max(_LEAST_STRETCH, first[2] // _NEXT * len(self._stretches[list_id])))
        last[1] += 1
        return last[0] + last[1] - 1

    def _stretch(self, list_id: int, size: int) -> _Stretch:
        """A new stretch at the end of the array."""
        first, self.slots = self.slots, self.slots + size
        if self.slots > len(self._lists):
            room = int(1.25 * self.slots) + 1024
            self.vectors = longer(self.vectors, room)
            self._lists = longer(self._lists, room)
            self._all = np.arange(room, dtype=np.int32)
        self._lists[first : self.slots] = list_id
        # Never read before it is written: what is not used is not even in memory.
        made = [first, 0, size]
        self._stretches[list_id].append(made)
        return made


def _trained(sample: Vector, k: int, rng: np.random.Generator) -> Vector:
    """At most k centres, unit rows."""
    if k == 1 or len(sample) <= k:
        return np.zeros((1, sample.shape[1]), dtype=np.float32)
    # Rows at random: the better seeds of k-means++ take a pass over the sample for each.
    centres = sample[rng.choice(len(sample), k, replace=False)]
    for _ in range(_ITERATIONS):
        chunks = range(0, len(sample), _CHUNK)
        labels = np.concatenate([sample[i : i + _CHUNK].dot(centres.T).argmax(axis=1) for i in chunks])
        order = np.argsort(labels, kind="stable")
        filled, starts = np.unique(labels[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        # Opposite vectors may cancel out; such a list keeps its centre.
        good = np.einsum("kd,kd->k", sums, sums) > 0.0
        centres[filled[good]] = unit_rows(sums[good])
    # Lists that are empty stand where others do, and queries would look there instead.
    return np.asarray(centres[filled], dtype=np.float32)


def longer(array: _Array, size: int) -> _Array:
    """A copy with `size` rows, those that are new undefined."""
    made = np.empty((size, *array.shape[1:]), dtype=array.dtype)
    made[: len(array)] = array
    return made  # type: ignore[return-value]  # of the type that it was made like
