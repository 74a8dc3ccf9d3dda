"""Exact search over clusters: by similarity and evidence, or by what actions can be expected to achieve.

Rows are written in place, removed by moving the last one into the gap, so a replica that follows the bank's
changes pays for what changed only. The prototypes of actions whose clusters changed are renewed at the next use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swarm.errors import InputError, ShapeError, shown
from swarm.sona.clusters import UNCONFIRMED, Cluster, is_library
from swarm.sona.config import SonaConfig
from swarm.sona.prototypes import prototypes_of
from swarm.sona.ranking import (
    EVIDENCE_EXPONENT,
    backing,
    evidence,
    expected_quality,
    guarded,
    kernel,
    prior,
)
from swarm.sona.vectors import Doubles, Flags, Integers, Vector, check_number

_LEAST = 1e-9
"""Evidence whose logarithm stands for none at all: a cluster that decayed to nothing."""
_CHUNK = 64
_FILTERS = 32
"""So many sets of agents keep their evidence and prototypes ready between changes."""
_SHARES = 1_000
"""So many agents keep their shares of the actions ready between changes."""


class Hit(NamedTuple):
    """A cluster that was found: its cosine with the query, and its score. A tuple, because searches make many."""

    cluster: Cluster
    similarity: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionHit:
    """An action, with the nearest cluster where it worked as its pattern.

    `score` is what it was ranked by, the guarded P_a of `ranking`; `share` its part of the sum over all actions;
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
    """Actions that compete for a query: prototypes of shape (m, d), and the row of each action."""

    prototypes: Vector
    rows: dict[str, int]


class Found(NamedTuple):
    """What others found out: how many outcomes each pattern holds, and what the chosen ones (positions) are about."""

    weights: Doubles
    centroids: Callable[[Integers], Vector]
    actions: Callable[[Integers], list[str]]
    qualities: Callable[[Integers], Vector]


class _View(NamedTuple):
    """What the index makes of its clusters: for everybody, or for the evidence of some agents alone.

    Per cluster its weight, its mean quality and whether it is one of successes; per action its prototype, whether it
    has one, the prototype of what was given, and how far feedback backs it.
    """

    weights: Doubles
    qualities: Doubles
    usable: Flags
    prototypes: Vector
    known: Flags
    given: Vector
    backed: Doubles


class PatternIndex:
    """Clusters by id, and the arrays to search them. Of `config` it reads dim, temperature and failure_weight."""

    def __init__(self, config: SonaConfig) -> None:
        self.dim = config.dim
        self.temperature = config.temperature
        self.failure_weight = config.failure_weight
        self._rows: dict[str, int] = {}
        self._clusters: list[Cluster] = []
        self._centroids = np.empty((64, self.dim), dtype=np.float32)
        self._codes: dict[str, int] = {}
        self._names: list[str] = []
        self._actions = np.empty(64, dtype=np.intp)
        self._positive = np.empty(64, dtype=np.bool_)
        self._weights = np.empty(64, dtype=np.float64)
        self._qualities = np.empty(64, dtype=np.float64)
        self._bonus = np.empty(64, dtype=np.float32)
        self._given = np.empty(64, dtype=np.float64)
        self._insisted = np.zeros(64, dtype=np.bool_)
        self._successes = np.empty(64, dtype=np.float64)
        self._prototypes = np.zeros((64, self.dim), dtype=np.float32)
        self._given_prototypes = np.zeros((64, self.dim), dtype=np.float32)
        self._known = np.zeros(64, dtype=np.bool_)
        self._stale: set[int] = set()
        self._views: dict[frozenset[str], _View] = {}
        self._known_shares: dict[str, Doubles] = {}
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
            self._stale.add(int(self._actions[row]))
            self._clusters[row] = cluster
        self._write(row, cluster)

    def put_all(self, clusters: Iterable[Cluster]) -> None:
        """As `put`, of several."""
        for cluster in clusters:
            self.put(cluster)

    def remove(self, cluster_id: str) -> None:
        """Remove a cluster; nothing happens if it is not there."""
        row = self._rows.pop(cluster_id, None)
        if row is None:
            return
        last = self._clusters.pop()
        self._stale.add(int(self._actions[row]))
        self._found = None
        self._views.clear()
        self._known_shares.clear()
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
        self._known[:] = False
        self._stale.clear()
        self._views.clear()
        self._known_shares.clear()
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
        x: Vector,
        k: int,
        *,
        y: Vector | None = None,
        agents: Collection[str] | None = None,
        min_quality: float = 0.0,
        asker: str = "",
        config: SonaConfig | None = None,
    ) -> list[ActionHit]:
        """The k actions of which most can be expected, best first; see `ranking`.

        Parameters
        ----------
        x : the query, of shape (d,), unit length, already checked
        y : the adapted query, of shape (d,), unit length; None stands for x
        agents : count only the evidence of these agents; None counts everybody's
        min_quality : leave out patterns whose mean quality is below
        asker : the agent that asks; an unconfirmed pattern that its agent insists on is for that agent alone
        config : whose temperature and failure_weight count; None stands for those of the index
        """
        n, m = len(self._clusters), len(self._names)
        tau = self.temperature if config is None else config.temperature
        failure_weight = self.failure_weight if config is None else config.failure_weight
        check_number(min_quality, "min_quality", 0.0, 1.0)
        if not n:
            return []
        view = self._view(agents)
        usable = self._heard(view.usable, asker)
        weights = view.weights
        if min_quality > 0.0:
            poor = np.array([c.positive and c.mean_quality < min_quality for c in self._clusters], dtype=np.bool_)
            usable = usable & ~poor
            weights = np.where(poor, 0.0, weights)
        similarities = self._centroids[:n].dot(x)
        nearness = kernel(similarities, tau)
        mass = weights * nearness
        actions = self._actions[:n]
        worked: Doubles = np.bincount(actions, weights=mass * view.qualities, minlength=m).astype(np.float64)
        failed: Doubles = np.bincount(actions, weights=mass * (1.0 - view.qualities), minlength=m).astype(np.float64)
        here: Doubles = np.bincount(actions, weights=mass * nearness * (1.0 - view.qualities), minlength=m).astype(
            np.float64
        )
        closeness = view.prototypes.dot(x if y is None else y)
        closeness[~view.known] = -math.inf
        expected = expected_quality(prior(closeness, tau), worked, worked + failure_weight * failed, mass.sum())
        frozen = view.given.dot(x)
        frozen[~view.known] = -math.inf
        scores = guarded(expected, prior(frozen, tau), view.backed, failure_weight * here)
        scores[np.bincount(actions, weights=usable, minlength=m) == 0.0] = -math.inf
        return self._hits(similarities, usable, scores, k)

    def rank_batch(
        self, x: Vector, *, y: Vector | None = None, agents: Collection[str] | None = None, asker: str = ""
    ) -> list[str]:
        """The best action for each row of `x` (b, d), as `rank` would find it; "" where there is none."""
        codes = self.score_batch(x, y=y, agents=agents, asker=asker)
        if not codes.shape[1] or not np.isfinite(codes).any():
            return [""] * len(x)
        return [self._names[code] for code in codes.argmax(axis=1).tolist()]

    def score_batch(
        self, x: Vector, *, y: Vector | None = None, agents: Collection[str] | None = None, asker: str = ""
    ) -> Doubles:
        """What `rank` ranks by, of shape (b, m), for each row of `x` (b, d); -inf for actions that never worked.

        The columns are those of `names`.
        """
        n, m = len(self._clusters), len(self._names)
        view = self._view(agents)
        rows = np.argsort(self._actions[:n], kind="stable")
        codes, starts = np.unique(self._actions[:n][rows], return_index=True)
        worked = np.zeros((len(x), m))
        failed, here = np.zeros((len(x), m)), np.zeros((len(x), m))
        if n:
            nearness = kernel(x.dot(self._centroids[rows].T), self.temperature)
            mass = nearness * view.weights[rows]
            good = mass * view.qualities[rows]
            worked[:, codes] = np.add.reduceat(good, starts, axis=1)
            failed[:, codes] = np.add.reduceat(mass - good, starts, axis=1)
            here[:, codes] = np.add.reduceat((mass - good) * nearness, starts, axis=1)
        closeness = (x if y is None else y).dot(view.prototypes.T)
        closeness[:, ~view.known] = -math.inf
        around = (worked + failed).sum(axis=1, keepdims=True)
        expected = expected_quality(
            prior(closeness, self.temperature), worked, worked + self.failure_weight * failed, around
        )
        frozen = x.dot(view.given.T)
        frozen[:, ~view.known] = -math.inf
        scores = guarded(expected, prior(frozen, self.temperature), view.backed, self.failure_weight * here)
        usable = self._heard(view.usable, asker)
        scores[:, np.bincount(self._actions[:n], weights=usable, minlength=m) == 0.0] = -math.inf
        return scores

    def expected(self, x: Vector, y: Vector, actions: Sequence[str]) -> Doubles:
        """P of shape (b,) of one action for each row of `x` and of the adapted `y` (b, d); 0 where none is known."""
        candidates = self.candidates()
        pi = np.zeros(len(x))
        worked, happened = np.zeros(len(x)), np.zeros(len(x))
        if len(candidates.rows):
            for start in range(0, len(x), _CHUNK):
                rows = slice(start, start + _CHUNK)
                columns = np.array([candidates.rows.get(action, -1) for action in actions[rows]], dtype=np.intp)
                found = prior(y[rows].dot(candidates.prototypes.T), self.temperature)
                pi[rows] = np.where(columns >= 0, found[np.arange(len(columns)), columns], 0.0)
        n = len(self._clusters)
        mass = kernel(x.dot(self._centroids[:n].T), self.temperature) * self._weights[:n]
        for action in set(actions):
            own = np.flatnonzero(self._actions[:n] == self._codes.get(action, -1))
            asked = np.array([i for i, name in enumerate(actions) if name == action], dtype=np.intp)
            if len(own):
                here = mass[np.ix_(asked, own)]
                worked[asked] = here.dot(self._qualities[own])
                happened[asked] = worked[asked] + self.failure_weight * here.dot(1.0 - self._qualities[own])
        return expected_quality(pi, worked, happened, mass.sum(axis=1))

    @property
    def actions(self) -> Container[str]:
        """The actions that some cluster is about."""
        return self._codes.keys()

    @property
    def names(self) -> tuple[str, ...]:
        """Actions in the order of the columns of `score_batch`."""
        return tuple(self._names)

    def nearest(self, y: Vector, k: int) -> list[Hit]:
        """The k clusters, of successes or failures, nearest to `y` (d,); the score is the similarity."""
        similarities = self._centroids[: len(self._clusters)].dot(y)
        rows = _largest(similarities, k)
        return [
            Hit(cluster=self._clusters[row], similarity=similarity, score=similarity)
            for row, similarity in zip(rows.tolist(), similarities[rows].tolist(), strict=True)
        ]

    def contest(self, y: Vector, action: str, k: int) -> tuple[Vector, int] | None:
        """Prototypes of shape (m, d) that compete with that of `action`, and its row; None if it has none.

        Of more than `k` actions the nearest to `y` (d,), and the action itself.
        """
        self._renew()
        code = self._codes.get(action, -1)
        if code < 0 or not self._known[code]:
            return None
        m = len(self._names)
        if m <= k:
            # Rows without a prototype are zero and weigh next to nothing.
            return self._prototypes[:m], code
        similarities = self._prototypes[:m].dot(y)
        similarities[code] = math.inf
        rows = _largest(similarities, k)
        return self._prototypes[rows], 0

    def expertise(self, x: Vector, agents: Sequence[str]) -> Doubles:
        """How far each agent knows what the queries `x`, (d,) or (b, d), ask for: of shape (k,) or (b, k), in [0, 1].

        sum_a pi_a share_ka: the share of agent k in the confirmed successes of an action, over the actions that come
        into question by `ranking`'s pi of the query as it is.
        """
        view = self._view(None)
        closeness = x.dot(view.prototypes.T)
        closeness[..., ~view.known] = -math.inf
        known: Doubles = prior(closeness, self.temperature).dot(self._shares(agents))
        return known

    def _shares(self, agents: Sequence[str]) -> Doubles:
        """The share of each agent in the confirmed successes of each action, of shape (m, k); a library has none."""
        missing = [name for name in agents if name not in self._known_shares]
        if missing:
            n, m = len(self._clusters), len(self._names)
            sums = {name: np.zeros(m) for name in missing}
            learners = {name for name in missing if not is_library(name)}
            for row in np.flatnonzero(self._successes[:n] > 0.0).tolist():
                for name in learners & self._clusters[row].agents.keys():
                    sums[name][self._actions[row]] += self._clusters[row].agents[name].sum_quality
            total = np.bincount(self._actions[:n], weights=self._successes[:n], minlength=m)
            if len(self._known_shares) > _SHARES:
                self._known_shares = {name: self._known_shares[name] for name in agents if name not in sums}
            self._known_shares |= {name: found / np.maximum(total, _LEAST) for name, found in sums.items()}
        return np.array([self._known_shares[name] for name in agents]).T

    def candidates(self) -> Candidates:
        """The actions that worked somewhere; a copy, so that the index may change meanwhile."""
        self._renew()
        m = len(self._names)
        codes = np.flatnonzero(self._known[:m])
        return Candidates(self._prototypes[codes], {self._names[code]: row for row, code in enumerate(codes.tolist())})

    def candidates_without(self, agent: str) -> Candidates:
        """The actions that worked for somebody else than `agent`: what others know."""
        positive = self._positive
        rows = [
            row
            for row, cluster in enumerate(self._clusters)
            if positive[row] and any(name != agent and tally.n > 0.0 for name, tally in cluster.agents.items())
        ]
        prototypes, known = self._prototypes_of(rows, np.ones(len(rows)))
        codes = np.flatnonzero(known)
        return Candidates(prototypes[codes], {self._names[code]: row for row, code in enumerate(codes.tolist())})

    def found_by_others(self, agent: str, actions: Container[str]) -> Found:
        """Confirmed patterns about some of `actions` in which others than `agent` reported outcomes."""
        found = [
            (cluster, n)
            for cluster in self._clusters
            if cluster.confirmed and cluster.action in actions and (n := _learned_by_others(cluster, agent)) > 0.0
        ]
        return Found(
            np.array([n for _, n in found], dtype=np.float64),
            lambda chosen: np.array([found[row][0].centroid for row in chosen.tolist()], dtype=np.float32),
            lambda chosen: [found[row][0].action for row in chosen.tolist()],
            lambda chosen: np.array([found[row][0].mean_quality for row in chosen.tolist()], dtype=np.float32),
        )

    def _heard(self, usable: Flags, asker: str) -> Flags:
        """Those of the usable patterns that `asker` is shown: what one agent insists on is for that agent alone."""
        if not self._insisted[: len(usable)].any():
            return usable
        return usable & ~np.array([c.insisted and asker not in c.agents for c in self._clusters], dtype=np.bool_)

    def _hits(self, similarities: Vector, usable: Flags, scores: Doubles, k: int) -> list[ActionHit]:
        total = float(np.maximum(scores, 0.0).sum())
        hits = []
        actions = self._actions[: len(similarities)]
        for code in _largest(scores, k).tolist():
            if scores[code] == -math.inf:
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
                    score=float(scores[code]),
                    share=float(scores[code]) / total if total > 0.0 else 0.0,
                    failures=sum(self._clusters[row].n for row in np.flatnonzero(against)),
                )
            )
        return hits

    def _view(self, agents: Collection[str] | None) -> _View:
        n = len(self._clusters)
        if agents is None:
            self._renew()
            usable = self._positive[:n] & (self._weights[:n] > 0.0)
            m = len(self._names)
            return _View(
                self._weights[:n],
                self._qualities[:n],
                usable,
                self._prototypes[:m],
                self._known[:m],
                self._given_prototypes[:m],
                self._backed(self._successes[:n]),
            )
        if isinstance(agents, str):
            raise InputError(f"agents must be a collection of names, got the text {shown(agents, 40)}")
        wanted = frozenset(agents)
        if wanted not in self._views:
            if len(self._views) >= _FILTERS:
                self._views.clear()
            self._views[wanted] = self._filtered(wanted)
        return self._views[wanted]

    def _filtered(self, wanted: frozenset[str]) -> _View:
        k = len(self._clusters)
        n, quality, given, successes = np.zeros((4, k))
        sizes = np.array([cluster.n or 1.0 for cluster in self._clusters])
        confirmed = np.array([cluster.confirmed for cluster in self._clusters], dtype=np.bool_)
        for row, cluster in enumerate(self._clusters):
            for name in wanted & cluster.agents.keys():
                tally = cluster.agents[name]
                n[row] += tally.n
                quality[row] += tally.sum_quality
                if is_library(name):
                    given[row] += tally.n
                else:
                    successes[row] += tally.sum_quality
        usable = self._positive[:k] & (n > 0.0)
        rows = np.flatnonzero(usable).tolist()
        prototypes, known = self._prototypes_of(rows, n[rows] / sizes[rows])
        given_rows = np.flatnonzero(usable & (given > 0.0)).tolist()
        frozen = _or_else(self._prototypes_of(given_rows, given[given_rows] / sizes[given_rows]), prototypes)
        backed = self._backed(np.where(usable & confirmed, successes, 0.0))
        weights = np.power(np.where(confirmed, n, np.minimum(n, UNCONFIRMED)), EVIDENCE_EXPONENT)
        return _View(weights, quality / np.maximum(n, _LEAST), usable, prototypes, known, frozen, backed)

    def _backed(self, successes: Doubles) -> Doubles:
        """e of every action, from the successes in feedback of every cluster."""
        n = len(successes)
        return backing(np.bincount(self._actions[:n], weights=successes, minlength=len(self._names)).astype(np.float64))

    def _prototypes_of(self, rows: list[int], shares: Doubles) -> tuple[Vector, Flags]:
        # In the order of the ids, so that equal contents add up to equal bits, however they came here.
        order = sorted(range(len(rows)), key=lambda position: self._clusters[rows[position]].id)
        sums = [shares[position] * self._clusters[rows[position]].sum_embedding for position in order]
        actions = self._actions[np.array([rows[position] for position in order], dtype=np.intp)]
        return prototypes_of(np.array(sums).reshape(-1, self.dim), actions, len(self._names))

    def _renew(self) -> None:
        """Bring the prototypes up to date with the clusters."""
        if not self._stale:
            return
        n, m = len(self._clusters), len(self._names)
        while m > len(self._known):
            self._prototypes = np.concatenate([self._prototypes, np.zeros_like(self._prototypes)])
            self._given_prototypes = np.concatenate([self._given_prototypes, np.zeros_like(self._given_prototypes)])
            self._known = np.concatenate([self._known, np.zeros_like(self._known)])
        stale = np.zeros(m, dtype=np.bool_)
        stale[[code for code in self._stale if code < m]] = True
        rows = np.flatnonzero(stale[self._actions[:n]] & self._positive[:n]).tolist()
        prototypes, known = self._prototypes_of(rows, np.ones(len(rows)))
        self._prototypes[:m][stale], self._known[:m][stale] = prototypes[stale], known[stale]
        rows = [row for row in rows if self._given[row] > 0.0]
        given = _or_else(self._prototypes_of(rows, self._given[rows]), prototypes)
        self._given_prototypes[:m][stale] = given[stale]
        self._stale.clear()

    def _write(self, row: int, cluster: Cluster) -> None:
        code = self._code(cluster.action)
        weight = float(
            evidence(np.array([cluster.n]), np.array([cluster.sum_quality]), np.array([cluster.positive]))[0]
        )
        self._centroids[row] = cluster.centroid
        self._actions[row] = code
        self._positive[row] = cluster.positive
        self._weights[row] = (cluster.n if cluster.confirmed else min(cluster.n, UNCONFIRMED)) ** EVIDENCE_EXPONENT
        given = sum(tally.n for name, tally in cluster.agents.items() if is_library(name))
        self._given[row] = given / cluster.n if cluster.n else 0.0
        self._insisted[row] = cluster.insisted
        learned = sum(tally.sum_quality for name, tally in cluster.agents.items() if not is_library(name))
        self._successes[row] = learned if cluster.positive and cluster.confirmed else 0.0
        self._qualities[row] = cluster.mean_quality
        self._bonus[row] = self.temperature * math.log(max(weight, _LEAST))
        self._stale.add(code)
        self._views.clear()
        self._known_shares.clear()
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
                self._known[:] = False
                self._stale = set(range(len(self._names)))
                return self._code(action)
            code = self._codes[action] = len(self._names)
            self._names.append(action)
        return code

    def _grow(self) -> None:
        size = 2 * len(self._centroids)
        self._centroids = np.resize(self._centroids, (size, self.dim))
        self._actions = np.resize(self._actions, size)
        self._positive = np.resize(self._positive, size)
        self._weights = np.resize(self._weights, size)
        self._given = np.resize(self._given, size)
        self._insisted = np.resize(self._insisted, size)
        self._successes = np.resize(self._successes, size)
        self._qualities = np.resize(self._qualities, size)
        self._bonus = np.resize(self._bonus, size)

    def _prepare_search(self) -> None:
        rows = np.flatnonzero(self._positive[: len(self._clusters)])
        self._found = [self._clusters[row] for row in rows]
        self._found_centroids = self._centroids[rows]
        self._found_bonus = self._bonus[rows]


def _learned_by_others(cluster: Cluster, agent: str) -> float:
    """Outcomes in feedback of others than `agent`; what a library gives is none."""
    return sum(tally.n for name, tally in cluster.agents.items() if name != agent and not is_library(name))


def _or_else(found: tuple[Vector, Flags], otherwise: Vector) -> Vector:
    """The prototypes that were found, of shape (m, d), and the others' where there are none."""
    prototypes, known = found
    return np.where(known[:, None], prototypes, otherwise)


def _largest(scores: Vector | Doubles, k: int) -> Integers:
    """Positions of the k largest scores, largest first; equal scores in the order of their positions."""
    if len(scores) <= max(256, 4 * k):
        return np.asarray((-scores).argsort(kind="stable")[:k], dtype=np.intp)
    # All that reach the k-th score, then in order: a partition alone would pick among equals as it likes.
    candidates = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    return np.asarray(candidates[(-scores[candidates]).argsort(kind="stable")[:k]], dtype=np.intp)
