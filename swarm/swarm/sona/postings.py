"""Which slots belong to what, kept small: one sorted array, and what came since.

An entry is true while its slot has not been written since: each slot has a stamp that a write moves on, so nothing has
to be found and removed here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from swarm.sona.inverted_file import stretches_of
from swarm.sona.vectors import Integers

Stamps: TypeAlias = npt.NDArray[np.uint32]
_ENTRY = np.dtype([("slot", np.int32), ("stamp", np.uint32), ("n", np.float32), ("quality", np.float32)])
Entries: TypeAlias = npt.NDArray[np.void]
"""Structured: `slot`, the `stamp` at that time, and the outcomes `n` and `quality`, their sum, that it is about."""
_RECENT = 8192


class Postings:
    """Entries by code, a small number that stands for an action or an agent."""

    def __init__(self) -> None:
        self._entries: Entries = np.empty(0, dtype=_ENTRY)
        self._starts = np.zeros(1, dtype=np.intp)
        self._recent: dict[int, list[tuple[int, int, float, float]]] = defaultdict(list)
        self._recent_count = 0

    def add(self, code: int, slot: int, stamp: int, n: float, quality: float) -> None:
        self._recent[code].append((slot, stamp, n, quality))
        self._recent_count += 1

    def is_full(self) -> bool:
        """Whether `tidy` is due: what came since takes ten times the room."""
        return self._recent_count > _RECENT + len(self._entries) // 16

    def tidy(self, stamps: Stamps) -> None:
        """Sort in what came since, and drop what is not true any more."""
        kept, codes = self._entries, np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))
        new = [entry for entries in self._recent.values() for entry in entries]
        new_codes = np.repeat(
            np.array(list(self._recent), dtype=np.intp), [len(entries) for entries in self._recent.values()]
        )
        codes = np.concatenate([codes, new_codes])
        entries = np.concatenate([kept, np.array(new, dtype=_ENTRY)])
        true = stamps[entries["slot"]] == entries["stamp"]
        codes, entries = codes[true], entries[true]
        order = np.argsort(codes, kind="stable")
        self._entries = entries[order]
        self._starts = np.searchsorted(codes[order], np.arange(int(codes.max(initial=-1)) + 2))
        self._recent.clear()
        self._recent_count = 0

    def of(self, codes: Sequence[int], stamps: Stamps) -> tuple[Entries, Integers]:
        """The true entries of several codes, and for each the position of its code; of -1 there are none."""
        entries, owner = self._sorted_of(np.asarray(codes, dtype=np.intp))
        recent = [(position, code) for position, code in enumerate(codes) if code in self._recent]
        if recent:
            # One array for all: joining structured arrays takes its time for each.
            new = np.array([entry for _, code in recent for entry in self._recent[code]], dtype=_ENTRY)
            entries = np.concatenate([entries, new])
            counts = [len(self._recent[code]) for _, code in recent]
            owner = np.concatenate([owner, np.repeat([position for position, _ in recent], counts)])
        true = stamps[entries["slot"]] == entries["stamp"]
        return entries[true], owner[true]

    def _sorted_of(self, codes: Integers) -> tuple[Entries, Integers]:
        there = np.flatnonzero((codes >= 0) & (codes < len(self._starts) - 1))
        starts = self._starts[codes[there]]
        counts = self._starts[codes[there] + 1] - starts
        return self._entries[stretches_of(starts, counts)], np.repeat(there, counts)
