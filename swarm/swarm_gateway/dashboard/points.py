"""The points of the map, in arrays: one for each pattern, by row; a row that was freed is taken by the next new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from swarm.sona.clusters import Cluster
from swarm.sona.vectors import Vector

POINT = np.dtype(
    [
        ("n", "<f4"),
        ("quality", "<f4"),
        ("x", "<f4"),
        ("y", "<f4"),
        ("agent", "<u2"),
        ("type", "u1"),
        ("flags", "u1"),
    ]
)
"""Outcomes, mean quality, place, code of the agent with most outcomes, code of the task type, flags."""
POSITIVE, CONFIRMED = 1, 2
"""The flags."""
_CODES = 2**16 - 1


class Points:
    """Places and figures of patterns by id; all that has a name is a code, and `agents` and `types` are the names."""

    def __init__(self) -> None:
        self._points: npt.NDArray[np.void] = np.zeros(1024, dtype=POINT)
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._agents: dict[str, int] = {}
        self._types: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, pattern_id: object) -> bool:
        return pattern_id in self._rows

    @property
    def agents(self) -> list[str]:
        """Names of agents by code."""
        return list(self._agents)

    @property
    def types(self) -> list[str]:
        """Names of task types by code."""
        return list(self._types)

    def put(self, patterns: Sequence[Cluster], places: Vector) -> None:
        """Add patterns, or replace those with their ids; `places` has shape (n, 2)."""
        for pattern, (x, y) in zip(patterns, places.tolist(), strict=True):
            owner = max(pattern.agents, key=lambda name: (pattern.agents[name].n, name), default="")
            # First the row: there may be no room for it yet.
            row = self._row(pattern.id)
            self._points[row] = (
                pattern.n,
                pattern.mean_quality,
                x,
                y,
                _code(self._agents, owner, _CODES),
                _code(self._types, pattern.task_type, 255),
                POSITIVE * pattern.positive + CONFIRMED * pattern.confirmed,
            )

    def remove(self, ids: Iterable[str]) -> None:
        """Take patterns out; nothing happens for one that is not there."""
        for pattern_id in ids:
            if (row := self._rows.pop(pattern_id, None)) is not None:
                self._free.append(row)

    def packed(self) -> tuple[list[str], Mapping[str, bytes]]:
        """The ids, and each column as little-endian bytes, in the same order; those with most evidence last.

        Drawn in this order, what is best known lies on top.
        """
        rows = np.fromiter(self._rows.values(), dtype=np.intp, count=len(self._rows))
        order = rows[np.argsort(self._points["n"][rows], kind="stable")]
        points = self._points[order]
        names = points.dtype.names or ()
        return [self._ids[row] for row in order.tolist()], {name: points[name].tobytes() for name in names}

    def _row(self, pattern_id: str) -> int:
        row = self._rows.get(pattern_id)
        if row is None:
            row = self._free.pop() if self._free else len(self._ids)
            if row == len(self._ids):
                self._ids.append(pattern_id)
                if row == len(self._points):
                    self._points = np.concatenate([self._points, np.zeros_like(self._points)])
            self._ids[row] = pattern_id
            self._rows[pattern_id] = row
        return row


def _code(codes: dict[str, int], name: str, most: int) -> int:
    """The code of a name; what comes after the last code shares it."""
    return codes.setdefault(name, min(len(codes), most))
