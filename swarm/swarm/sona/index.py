"""Exact search over clusters: by similarity and evidence, or by the vote of clusters for actions.

One matrix product over all rows, float32; rows are written in place, removed by moving the last one into the
gap, so a replica that follows the bank's changes pays for what changed only.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swarm.errors import InputError, ShapeError
from swarm.sona.clusters import Cluster
from swarm.sona.ranking import evidence, vote
from swarm.sona.vectors import Doubles, Flags, Integers, Vector, check_number

_LEAST = 1e-9
"""Evidence whose logarithm stands for none at all: a cluster that decayed to nothing."""


class Hit(NamedTuple):
    """A cluster that was found: its cosine with the query, and its score. A tuple, because searches make many."""

    cluster: Cluster
    similarity: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionHit:
    """An action that was voted for, with the nearest cluster where it worked as its pattern.

    `score` is the vote S_a of `ranking.vote`; `share` its part of all positive votes, in [0, 1];
    `failures` the number of outcomes in the nearest clusters that speak against it.
    """

    action: str
    pattern: Cluster
    similarity: float
    score: float
    share: float
    failures: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """The clusters of successes, as the arrays that `ranking.outcome_gradient` wants."""

    centroids: Vector
    log_evidence: Vector
    actions: Integers
    codes: dict[str, int]


class PatternIndex:
    """Clusters by id, and the arrays to search them.

    Parameters
    ----------
    dim : d
    temperature : tau of the vote
    failure_weight : phi of the vote
    """

    def __init__(self, dim: int, temperature: float, failure_weight: float) -> None:
        self.dim = dim
        self.temperature = temperature
        self.failure_weight = failure_weight
        self._rows: dict[str, int] = {}
        self._clusters: list[Cluster] = []
        self._centroids = np.empty((64, dim), dtype=np.float32)
        self._codes: dict[str, int] = {}
        self._names: list[str] = []
        self._actions = np.empty(64, dtype=np.intp)
        self._positive = np.empty(64, dtype=np.bool_)
        self._signed = np.empty(64, dtype=np.float64)
        self._bonus = np.empty(64, dtype=np.float32)
        self._found: list[Cluster] | None = None
        self._found_centroids = self._centroids
        self._found_bonus = self._bonus

    def __len__(self) -> int:
        return len(self._clusters)

    def __contains__(self, cluster_id: object) -> bool:
        return cluster_id in self._rows

    def get(self, cluster_id: str) -> Cluster | None:
        row = self._rows.get(cluster_id)
        return None if row is None else self._clusters[row]

    def clusters(self) -> tuple[Cluster, ...]:
        return tuple(self._clusters)

    def put(self, cluster: Cluster) -> None:
        """Add a cluster, or replace the one with its id."""
        if cluster.sum_embedding.shape != (self.dim,):
            raise ShapeError(f"cluster {cluster.id} must have shape ({self.dim},), got {cluster.sum_embedding.shape}")
        row = self._rows.get(cluster.id)
        if row is None:
            row = len(self._clusters)
            self._rows[cluster.id] = row
            self._clusters.append(cluster)
            if row == len(self._centroids):
                self._grow()
        else:
            self._clusters[row] = cluster
        self._write(row, cluster)

    def remove(self, cluster_id: str) -> None:
        """Remove a cluster; nothing happens if it is not there."""
        row = self._rows.pop(cluster_id, None)
        if row is None:
            return
        last = self._clusters.pop()
        self._found = None
        if row < len(self._clusters):
            self._clusters[row] = last
            self._rows[last.id] = row
            self._write(row, last)

    def replace_all(self, clusters: Iterable[Cluster]) -> None:
        """Hold `clusters` and nothing else."""
        self._rows.clear()
        self._clusters.clear()
        self._codes.clear()
        self._names.clear()
        self._found = None
        for cluster in clusters:
            self.put(cluster)

    def search(self, y: Vector, k: int) -> list[Hit]:
        """The k clusters of successes with the best y . c + tau log w: similarity and evidence together.

        `y` of shape (d,), unit length, already checked; ties go to the row that was put first.
        """
        if self._found is None:
            self._prepare_search()
        found = self._found or []
        similarities = self._found_centroids.dot(y)
        scores = similarities + self._found_bonus
        order = _largest(scores, k)
        return [
            Hit(found[row], similarity, score)
            for row, similarity, score in zip(
                order.tolist(), similarities[order].tolist(), scores[order].tolist(), strict=True
            )
        ]

    def rank(
        self,
        y: Vector,
        k: int,
        *,
        agents: Collection[str] | None = None,
        min_quality: float = 0.0,
    ) -> list[ActionHit]:
        """The k actions with the highest vote, best first.

        Parameters
        ----------
        y : of shape (d,), unit length, already checked
        agents : count only the evidence of these agents; None counts everybody's
        min_quality : leave out patterns whose mean quality is below
        """
        n = len(self._clusters)
        check_number(min_quality, "min_quality", 0.0, 1.0)
        if not n:
            return []
        similarities = self._centroids[:n].dot(y)
        signed = self._signed[:n] if agents is None else self._signed_for(agents)
        if min_quality > 0.0:
            good = [not c.positive or c.mean_quality >= min_quality for c in self._clusters]
            signed = np.where(good, signed, 0.0)
        votes = vote(similarities, signed, self._actions[:n], len(self._names), self.temperature)
        usable = self._positive[:n] & (signed > 0.0)
        votes[np.bincount(self._actions[:n], weights=usable, minlength=len(votes)) == 0.0] = -math.inf
        return self._hits(similarities, usable, votes, k)

    def rank_batch(self, y: Vector, *, agents: Collection[str] | None = None) -> list[str]:
        """The best action for each row of `y` (b, d), as `rank` would find it; "" where there is none."""
        n = len(self._clusters)
        signed = self._signed[:n] if agents is None else self._signed_for(agents)
        rows = np.argsort(self._actions[:n], kind="stable")
        codes, starts = np.unique(self._actions[:n][rows], return_index=True)
        usable = np.bincount(self._actions[:n], weights=self._positive[:n] & (signed > 0.0), minlength=len(self._names))
        if not usable.any():
            return [""] * len(y)
        kernels = np.exp((y.dot(self._centroids[rows].T).astype(np.float64) - 1.0) / self.temperature) * signed[rows]
        votes = np.add.reduceat(kernels, starts, axis=1)
        votes[:, usable[codes] == 0.0] = -math.inf
        return [self._names[code] for code in codes[votes.argmax(axis=1)].tolist()]

    def nearest(self, y: Vector, k: int) -> list[Hit]:
        """The k clusters, of successes or failures, nearest to `y` (d,); the score is the similarity."""
        similarities = self._centroids[: len(self._clusters)].dot(y)
        rows = _largest(similarities, k)
        return [
            Hit(cluster=self._clusters[row], similarity=similarity, score=similarity)
            for row, similarity in zip(rows.tolist(), similarities[rows].tolist(), strict=True)
        ]

    def contest(self, y: Vector, action: str, k: int) -> Candidates | None:
        """The k clusters of successes nearest to `y` and all those of `action`; None if the action has none."""
        n = len(self._clusters)
        own = self._positive[:n] & (self._actions[:n] == self._codes.get(action, -1))
        if not own.any():
            return None
        similarities = np.where(self._positive[:n], self._centroids[:n].dot(y), -math.inf)
        own[_largest(similarities, k)] = True
        rows = np.flatnonzero(own & self._positive[:n])
        return Candidates(
            self._centroids[rows],
            np.log(np.maximum(self._signed[rows], _LEAST)).astype(np.float32),
            self._actions[rows],
            self._codes,
        )

    def candidates(self) -> Candidates:
        """The clusters of successes as arrays; copies, so that the index may change meanwhile."""
        rows = np.flatnonzero(self._positive[: len(self._clusters)])
        return Candidates(
            self._centroids[rows],
            np.log(np.maximum(self._signed[rows], _LEAST)).astype(np.float32),
            self._actions[rows],
            dict(self._codes),
        )

    def _hits(self, similarities: Vector, usable: Flags, votes: Doubles, k: int) -> list[ActionHit]:
        total = float(np.maximum(votes, 0.0).sum())
        hits = []
        actions = self._actions[: len(similarities)]
        for code in _largest(votes, k).tolist():
            if votes[code] == -math.inf:
                break
            own = actions == code
            best = int(np.where(own & usable, similarities, -math.inf).argmax())
            against = (
                own & ~self._positive[: len(similarities)] & (similarities >= similarities[best] - self.temperature)
            )
            hits.append(
                ActionHit(
                    action=self._names[code],
                    pattern=self._clusters[best],
                    similarity=float(similarities[best]),
                    score=float(votes[code]),
                    share=max(0.0, float(votes[code])) / total if total > 0.0 else 0.0,
                    failures=sum(self._clusters[row].n for row in np.flatnonzero(against)),
                )
            )
        return hits

    def _signed_for(self, agents: Collection[str]) -> Doubles:
        if isinstance(agents, str):
            raise InputError(f"agents must be a collection of names, got the text {agents!r:.40}")
        wanted = frozenset(agents)
        n = np.zeros(len(self._clusters))
        quality = np.zeros(len(self._clusters))
        for row, cluster in enumerate(self._clusters):
            for name in wanted & cluster.agents.keys():
                tally = cluster.agents[name]
                n[row] += tally.n
                quality[row] += tally.sum_quality
        positive = self._positive[: len(n)]
        return evidence(n, quality, positive) * np.where(positive, 1.0, -self.failure_weight)

    def _write(self, row: int, cluster: Cluster) -> None:
        code = self._code(cluster.action)
        weight = float(
            evidence(np.array([cluster.n]), np.array([cluster.sum_quality]), np.array([cluster.positive]))[0]
        )
        self._centroids[row] = cluster.centroid
        self._actions[row] = code
        self._positive[row] = cluster.positive
        self._signed[row] = weight if cluster.positive else -self.failure_weight * weight
        self._bonus[row] = self.temperature * math.log(max(weight, _LEAST))
        self._found = None

    def _code(self, action: str) -> int:
        code = self._codes.get(action)
        if code is None:
            if len(self._names) > 2 * len(self._clusters) + 64:
                # Names of actions whose clusters are gone would add up: number the living ones anew.
                self._names = sorted({cluster.action for cluster in self._clusters})
                self._codes = {name: position for position, name in enumerate(self._names)}
                for row, cluster in enumerate(self._clusters):
                    self._actions[row] = self._codes[cluster.action]
                return self._code(action)
            code = self._codes[action] = len(self._names)
            self._names.append(action)
        return code

    def _grow(self) -> None:
        size = 2 * len(self._centroids)
        self._centroids = np.resize(self._centroids, (size, self.dim))
        self._actions = np.resize(self._actions, size)
        self._positive = np.resize(self._positive, size)
        self._signed = np.resize(self._signed, size)
        self._bonus = np.resize(self._bonus, size)

    def _prepare_search(self) -> None:
        rows = np.flatnonzero(self._positive[: len(self._clusters)])
        self._found = [self._clusters[row] for row in rows]
        self._found_centroids = self._centroids[rows]
        self._found_bonus = self._bonus[rows]


def _largest(scores: Vector | Doubles, k: int) -> Integers:
    """Positions of the k largest scores, largest first; equal scores in the order of their positions."""
    if len(scores) <= max(256, 4 * k):
        return np.asarray((-scores).argsort(kind="stable")[:k], dtype=np.intp)
    # All that reach the k-th score, then in order: a partition alone would pick among equals as it likes.
    candidates = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    return np.asarray(candidates[(-scores[candidates]).argsort(kind="stable")[:k]], dtype=np.intp)
