"""Many clusters, compactly: one row of numbers, one vector and one packed record each, by slot.

A `Cluster` object of 256 dimensions takes six kilobytes. Here its centroid is kept once, in float32; what search needs
is a row of a structured array; the rest is bytes that are unpacked when the cluster is in an answer. What comes back
is the cluster that was put in, but for its `sum_embedding`, which has the precision of float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from swarm.errors import ShapeError
from swarm.sona.clusters import UNCONFIRMED, Cluster, is_library
from swarm.sona.id_map import IdMap
from swarm.sona.inverted_file import InvertedFile, Slots
from swarm.sona.postings import Entries, Postings
from swarm.sona.ranking import EVIDENCE_EXPONENT
from swarm.sona.vectors import Doubles, Vector

Pack: TypeAlias = Callable[[Cluster], bytes]
"""All of a cluster but its `sum_embedding`."""
Unpack: TypeAlias = Callable[[bytes, Doubles], Cluster]
Rows: TypeAlias = npt.NDArray[np.void]
ROW = np.dtype(
    [
        ("action", np.int32),
        ("stamp", np.uint32),
        ("n", np.float32),
        ("weight", np.float32),
        ("quality", np.float32),
        ("length", np.float32),
        ("given", np.float32),
        ("successes", np.float32),
        ("positive", np.bool_),
        ("confirmed", np.bool_),
        ("insisted", np.bool_),
    ]
)
"""Structured: code of the action (-1: empty), stamp, outcomes, what they weigh, mean quality, |sum_embedding|, share
that was given by a library, successes in feedback, flags."""


class RowStore:
    """Clusters by slot, with those of an action and those of an agent.

    Parameters
    ----------
    sample : centroids to train the inverted file on; expected : so many clusters will come
    """

    def __init__(self, sample: Vector, expected: int, pack: Pack, unpack: Unpack) -> None:
        # A seed of its own: equal banks in equal order are searched alike.
        self.file = InvertedFile(sample, expected, np.random.default_rng(7))
        self.dim = sample.shape[1]
        self._pack, self._unpack = pack, unpack
        self.rows: Rows = _empty(len(self.file.vectors))
        self._records: list[bytes | None] = [None] * len(self.rows)
        self._ids = IdMap()
        self.names: list[str] = []
        """Actions by code."""
        self._codes = IdMap()
        self._agents: dict[str, int] = {}
        self._of_action, self._of_agent = Postings(), Postings()

    def __len__(self) -> int:
        return self.file.count

    def put(self, clusters: Iterable[Cluster]) -> tuple[Slots, Rows]:
        """Add clusters, or replace those with their ids: the slots of all, and the rows that went."""
        last = {cluster.id: cluster for cluster in clusters}
        put = list(last.values())
        for cluster in put:
            if cluster.sum_embedding.shape != (self.dim,):
                raise ShapeError(
                    f"cluster {cluster.id} must have shape ({self.dim},), got {cluster.sum_embedding.shape}"
                )
        gone = self._retire(last)
        if not put:
            return np.empty(0, dtype=np.int32), gone
        slots = self.file.add(np.array([cluster.centroid for cluster in put], dtype=np.float32))
        self._make_room()
        codes = [self._code(cluster.action) for cluster in put]
        stamps = (self.rows["stamp"][slots] + np.uint32(1)).tolist()
        rows = [(code, stamp, *_figures(cluster)) for code, stamp, cluster in zip(codes, stamps, put, strict=True)]
        self.rows[slots] = np.array(rows, dtype=ROW)
        for cluster, slot, code, stamp in zip(put, slots.tolist(), codes, stamps, strict=True):
            self._records[slot] = self._pack(cluster)
            self._ids.put(cluster.id, slot)
            self._of_action.add(code, slot, stamp, cluster.n, cluster.sum_quality)
            for name, tally in cluster.agents.items():
                agent = self._agents.setdefault(name, len(self._agents))
                self._of_agent.add(agent, slot, stamp, tally.n, tally.sum_quality)
        self.tidy()
        return slots, gone

    def remove(self, cluster_id: str) -> Rows:
        """Remove a cluster: its row, or none if it was not there."""
        return self._retire([cluster_id])

    def slot(self, cluster_id: str) -> int | None:
        return self._ids.get(cluster_id)

    def cluster(self, slot: int) -> Cluster:
        """The cluster in a slot that holds one."""
        record = self._records[slot]
        assert record is not None
        return self._unpack(record, self.file.vectors[slot].astype(np.float64) * float(self.rows["length"][slot]))

    def live(self) -> Slots:
        """All slots that hold a cluster."""
        return np.flatnonzero(self.rows["action"][: self.file.slots] >= 0).astype(np.int32)

    def action(self, name: str) -> int | None:
        """The code of an action."""
        return self._codes.get(name)

    def agent(self, name: str) -> int | None:
        """The code of an agent."""
        return self._agents.get(name)

    def of_actions(self, codes: Sequence[int]) -> tuple[Slots, npt.NDArray[np.intp]]:
        """The slots of some actions, and for each the position of its action among `codes`."""
        entries, owner = self._of_action.of(codes, self.rows["stamp"])
        return entries["slot"], owner

    def of_agents(self, names: Sequence[str]) -> tuple[Entries, npt.NDArray[np.intp]]:
        """What some agents contributed, and for each entry the position of its agent among `names`."""
        return self._of_agent.of([self._agents.get(name, -1) for name in names], self.rows["stamp"])

    def tidy(self, *, at_once: bool = False) -> None:
        """Sort what came since into the compact form when that is due."""
        for postings in (self._of_action, self._of_agent):
            if at_once or postings.is_full():
                postings.tidy(self.rows["stamp"])

    def _code(self, action: str) -> int:
        code = self._codes.get(action)
        if code is None:
            code = len(self.names)
            self.names.append(action)
            self._codes.put(action, code)
        return code

    def _retire(self, ids: Iterable[str]) -> Rows:
        """Take out the clusters of these ids that are there: their rows."""
        slots = [slot for name in ids if (slot := self._ids.pop(name)) is not None]
        gone: Rows = self.rows[slots]
        self.rows["action"][slots] = -1
        self.rows["stamp"][slots] += 1
        for slot in slots:
            self._records[slot] = None
            self.file.remove(slot)
        return gone

    def _make_room(self) -> None:
        room = len(self.file.vectors)
        if room > len(self.rows):
            longer = _empty(room)
            longer[: len(self.rows)] = self.rows
            self._records += [None] * (room - len(self.rows))
            self.rows = longer


def _empty(size: int) -> Rows:
    rows = np.zeros(size, dtype=ROW)
    rows["action"] = -1
    return rows


def _figures(cluster: Cluster) -> tuple[float | bool, ...]:
    """The fields of `ROW` from `n` on."""
    given = sum(tally.n for name, tally in cluster.agents.items() if is_library(name))
    learned = sum(tally.sum_quality for name, tally in cluster.agents.items() if not is_library(name))
    return (
        cluster.n,
        (cluster.n if cluster.confirmed else min(cluster.n, UNCONFIRMED)) ** EVIDENCE_EXPONENT,
        cluster.mean_quality,
        math.sqrt(float(cluster.sum_embedding.dot(cluster.sum_embedding))),
        given / cluster.n if cluster.n else 0.0,
        learned if cluster.positive and cluster.confirmed else 0.0,
        cluster.positive,
        cluster.confirmed,
        cluster.insisted,
    )
