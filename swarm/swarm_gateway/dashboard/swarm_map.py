"""The map: every pattern of the bank as a point, kept up with the bank's change log by a thread of its own.

New patterns are placed on the atlas that is there, so that the picture does not jump; it is made anew, from the old
one, only while it has few landmarks and there are twice as many patterns as it was made for.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from swarm.errors import SwarmError
from swarm.sona.clusters import Cluster
from swarm.sona.projection import LANDMARKS, Atlas
from swarm.sona.vectors import Vector
from swarm.store.bank import BankStore
from swarm_gateway.dashboard.points import Points

logger = logging.getLogger(__name__)
MAX_POINTS = 200_000
"""So many patterns are drawn; of a larger bank those that were read first. The page says how many are not."""
_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPicture:
    """The map as bytes, for one version of the bank: see `SwarmMap.picture`."""

    version: str
    data: bytes


class SwarmMap:
    """The points of one swarm's patterns. Safe to use from several threads."""

    def __init__(self, bank: BankStore) -> None:
        self._bank = bank
        self._lock = threading.Lock()
        self._points = Points()
        self._atlas: Atlas | None = None
        self._version: str | None = None
        self._picture: MapPicture | None = None
        self._loaded = threading.Event()
        self._stop = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="swarm-gateway-map", daemon=True)

    def start(self) -> None:
        """Begin to follow the bank."""
        self._follower.start()

    def close(self) -> None:
        """Follow it no more."""
        self._stop.set()
        if self._follower.is_alive():
            self._follower.join()

    @property
    def version(self) -> str:
        """The version of the bank that is drawn; "" before it was read."""
        return self._version or ""

    def picture(self, wait_s: float = 0.0) -> MapPicture | None:
        """The map as bytes, or None while the bank is read for the first time, for which it waits so long.

        Little-endian: the length of a header (u32); the header, JSON filled up to a multiple of 4 bytes: version,
        count, kept (see `Atlas`), agents and types (names by code), columns ([name, offset
        behind the header, bytes]); then the columns of `points.POINT`, and `ids`, a list in JSON.
        """
        if not self._loaded.wait(wait_s):
            return None
        with self._lock:
            if self._picture is None:
                self._picture = self._packed()
            return self._picture

    def refresh(self) -> None:
        """Apply what changed in the bank.

        Raises
        ------
        StoreUnavailableError
            If Redis is away; the map stays as it was.
        """
        changes = self._bank.changes_after(self._version)
        if changes is None:
            self._loaded.set()
            return
        if changes.is_full:
            self._load(changes.version)
            return
        with self._lock:
            self._points.remove(changes.removed)
            self._add(self._points, changes.put)
            self._version, self._picture = changes.version, None
        if self._is_outgrown(len(self._points)):
            self._load(changes.version)

    def _load(self, version: str) -> None:
        """Read everything, and make the atlas anew if that is due."""
        pages = self._bank.pages()
        read: list[Cluster] = []
        for page in pages:
            read += page
            if len(read) >= LANDMARKS:
                break
        if self._is_outgrown(len(read)):
            # They are read in no order, so the first are landmarks from everywhere.
            self._atlas = Atlas.of(_centroids(read), self._atlas)
        points = Points()
        self._add(points, read)
        for page in pages:
            self._add(points, page)
        with self._lock:
            self._points, self._version, self._picture = points, version, None
        self._loaded.set()

    def _add(self, points: Points, patterns: Sequence[Cluster]) -> None:
        if self._atlas is None and patterns:
            self._atlas = Atlas.of(_centroids(patterns))
        room = MAX_POINTS - len(points)
        drawn = [pattern for pattern in patterns if pattern.id in points or (room := room - 1) >= 0]
        if drawn and self._atlas is not None:
            points.put(drawn, self._atlas.project(_centroids(drawn)))

    def _is_outgrown(self, count: int) -> bool:
        """Whether an atlas for so many patterns would be another one."""
        landmarks = 0 if self._atlas is None else len(self._atlas.landmarks)
        return count > 2 * landmarks and landmarks < LANDMARKS

    def _packed(self) -> MapPicture:
        ids, columns = self._points.packed()
        parts = [*columns.items(), ("ids", json.dumps(ids).encode())]
        offsets, offset = [], 0
        for name, data in parts:
            offsets.append([name, offset, len(data)])
            offset += _padded(len(data))
        header = json.dumps(
            {
                "version": self.version,
                "count": len(ids),
                "kept": 0.0 if self._atlas is None else round(self._atlas.kept, 3),
                "agents": self._points.agents,
                "types": self._points.types,
                "columns": offsets,
            }
        ).encode()
        filled = [_filled(data) for data in (header, *(data for _, data in parts))]
        return MapPicture(version=self.version, data=b"".join([len(filled[0]).to_bytes(4, "little"), *filled]))

    def _follow(self) -> None:
        while True:
            try:
                self.refresh()
            except SwarmError as error:
                logger.debug("map: %s", error)
            if self._stop.wait(_POLL_S):
                return


def _centroids(patterns: Iterable[Cluster]) -> Vector:
    return np.array([pattern.centroid for pattern in patterns], dtype=np.float32)


def _padded(size: int) -> int:
    return -(-size // 4) * 4


def _filled(data: bytes) -> bytes:
    return data.ljust(_padded(len(data)), b" ")
