"""Ids of many things to their slots, in 12 bytes each where a dict takes 170."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

_RECENT = 8192


class IdMap:
    """Slots by id. An id is looked up by 64 bits of its hash; `id_at` says which one really is in a slot."""

    def __init__(self, id_at: Callable[[int], str | None]) -> None:
        self._id_at = id_at
        self._hashes = np.empty(0, dtype=np.uint64)
        self._slots = np.empty(0, dtype=np.int32)
        self._recent: dict[str, int] = {}

    def get(self, name: str) -> int | None:
        """The slot of an id that is there."""
        slot = self._recent.get(name)
        if slot is not None:
            return slot
        wanted = np.uint64(_hash(name))
        row = int(np.searchsorted(self._hashes, wanted))
        while row < len(self._hashes) and self._hashes[row] == wanted:
            # What went, or moved, is found here too: its old slot holds nothing, or something else.
            slot = int(self._slots[row])
            if self._id_at(slot) == name:
                return slot
            row += 1
        return None

    def put(self, name: str, slot: int) -> None:
        """Remember where an id is."""
        self._recent[name] = slot
        if len(self._recent) > _RECENT + len(self._hashes) // 16:
            self._tidy()

    def remove(self, name: str) -> None:
        """Forget an id, whose slot is empty by now."""
        self._recent.pop(name, None)

    def _tidy(self) -> None:
        hashes = np.fromiter(map(_hash, self._recent), dtype=np.uint64, count=len(self._recent))
        slots = np.fromiter(self._recent.values(), dtype=np.int32, count=len(self._recent))
        # Of one slot the last id counts: each slot is here once, however often it changed hands.
        gone = np.isin(self._slots, slots, kind="table")
        hashes = np.concatenate([self._hashes[~gone], hashes])
        slots = np.concatenate([self._slots[~gone], slots])
        order = np.argsort(hashes)
        self._hashes, self._slots = hashes[order], slots[order]
        self._recent.clear()


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
