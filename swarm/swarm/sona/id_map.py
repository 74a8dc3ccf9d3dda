"""Ids of many things to their slots, in 20 bytes each where a dict takes 170."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_RECENT = 8192
_HASH = np.dtype([("high", np.uint64), ("low", np.uint64)])
"""128 bits of a hash stand for an id: two ids with the same will not be met."""


class IdMap:
    """Slots by id: what came last in a dict, the rest sorted by hash."""

    def __init__(self) -> None:
        self._hashes: npt.NDArray[np.void] = np.empty(0, dtype=_HASH)
        self._slots = np.empty(0, dtype=np.int32)
        self._recent: dict[str, int] = {}

    def get(self, name: str) -> int | None:
        """The slot of an id that is there."""
        slot = self._recent.get(name)
        if slot is None and (row := self._row(name)) is not None:
            slot = int(self._slots[row])
        return slot

    def put(self, name: str, slot: int) -> None:
        """Remember where an id is that was not there."""
        self._recent[name] = slot
        if len(self._recent) > _RECENT + len(self._hashes) // 16:
            self._tidy()

    def pop(self, name: str) -> int | None:
        """Forget an id: its slot, if it was there."""
        slot = self._recent.pop(name, None)
        if slot is None and (row := self._row(name)) is not None:
            slot, self._slots[row] = int(self._slots[row]), -1
        return slot

    def _row(self, name: str) -> int | None:
        if not len(self._hashes):
            return None
        wanted = _hashes([name])[0]
        high = self._hashes["high"]
        row = int(np.searchsorted(high, wanted["high"]))
        while row < len(high) and high[row] == wanted["high"]:
            if self._hashes[row] == wanted and self._slots[row] >= 0:
                return row
            row += 1
        return None

    def _tidy(self) -> None:
        there = self._slots >= 0
        hashes = np.concatenate([self._hashes[there], _hashes(self._recent)])
        slots = np.fromiter(self._recent.values(), dtype=np.int32, count=len(self._recent))
        slots = np.concatenate([self._slots[there], slots])
        order = np.argsort(hashes["high"])
        self._hashes, self._slots = hashes[order], slots[order]
        self._recent.clear()


def _hashes(names: Iterable[str]) -> npt.NDArray[np.void]:
    digests = [hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest() for name in names]
    return np.frombuffer(b"".join(digests), dtype=_HASH)
