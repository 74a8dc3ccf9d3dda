"""Search over many clusters, approximate: the formulas of `ranking` over what is near, the rest left out.

It answers what `PatternIndex` answers, from a thousand clusters around the query instead of all. What is left out
weighs little, because the kernel falls by a factor of e for every 0.05 of cosine. Three things are approximate: which
clusters are near (an inverted file, `inverted_file`), the evidence of far ones (none), and the actions that compete
(those of the clusters that are near, and those whose prototypes are).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Container, Iterable, Sequence

import numpy as np

from swarm.errors import InputError
from swarm.sona.action_table import ActionTable
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.index import ActionHit, Candidates, Found, Hit
from swarm.sona.inverted_file import Slots, products
from swarm.sona.large_ranking import EVERYBODY, NEAR, Near, Question, around, best, nearest, scored
from swarm.sona.large_training import candidates, candidates_without, found_by_others, shares
from swarm.sona.large_view import FEW, View
from swarm.sona.ranking import evidence, prior
from swarm.sona.row_store import ROW, Pack, Rows, RowStore, Unpack
from swarm.sona.vectors import Doubles, Integers, Vector, check_number

_VIEWS = 8
"""So many sets of agents keep their part ready between changes."""
_SHARES = 1_000
_LEAST = 1e-9


class LargeIndex:
    """Clusters by id, and the arrays to search them. Of `config` it reads dim, temperature and failure_weight.

    Parameters
    ----------
    sample : centroids like those to come, of shape (s, d); `inverted_file.sample_size` says how many
    expected : so many clusters will come; it should be made anew when there are twice as many
    pack, unpack : a cluster without its sum as bytes, and back
    """

    def __init__(self, config: SonaConfig, sample: Vector, expected: int, pack: Pack, unpack: Unpack) -> None:
        self.dim = config.dim
        self.temperature = config.temperature
        self.failure_weight = config.failure_weight
        self._store = RowStore(sample, expected, pack, unpack)
        self._table = ActionTable(self._store)
        self._views: OrderedDict[frozenset[str], View] = OrderedDict()
        self._known_shares: dict[str, tuple[Integers, Doubles]] = {}

    def __len__(self) -> int:
        return len(self._store)

    def __contains__(self, cluster_id: object) -> bool:
        return isinstance(cluster_id, str) and self._store.slot(cluster_id) is not None

    def get(self, cluster_id: str) -> Cluster | None:
        slot = self._store.slot(cluster_id)
        return None if slot is None else self._store.cluster(slot)

    def clusters(self) -> tuple[Cluster, ...]:
        """All clusters, unpacked: kilobytes each."""
        return tuple(self._store.cluster(slot) for slot in self._store.live().tolist())

    def sample(self, count: int) -> list[Cluster]:
        """At most `count` clusters, evenly from everywhere."""
        slots = self._store.live()
        chosen = slots[:: max(1, -(-len(slots) // count))]
        return [self._store.cluster(slot) for slot in chosen.tolist()]

    def is_outgrown(self) -> bool:
        """Whether there are twice as many clusters as it was made for: searching costs more than it should."""
        return len(self) > 2 * self._store.file.expected

    def put_all(self, clusters: Iterable[Cluster]) -> None:
        """Add clusters, or replace those with their ids."""
        slots, gone = self._store.put(clusters)
        self._changed(gone, self._store.rows[slots])

    def remove(self, cluster_id: str) -> None:
        """Remove a cluster; nothing happens if it is not there."""
        self._changed(self._store.remove(cluster_id), np.empty(0, dtype=ROW))

    def settle(self) -> None:
        """Do what the first query after a load would else wait for."""
        self._store.tidy(at_once=True)
        self._table.renew()

    @property
    def actions(self) -> Container[str]:
        """The actions that some cluster is about, or was."""
        return _Names(self._store)

    def looked_at(self, x: Vector, agents: Collection[str] | None = None) -> tuple[Slots, Vector]:
        """Where the clusters are that a query `x` (d,) is compared with, and the cosines with them."""
        view = self._view(agents)
        return self._store.file.near(x) if view is None else view.near(x)

    def search(self, y: Vector, k: int) -> list[Hit]:
        """As `PatternIndex.search`."""
        slots, similarities = nearest(self._store, *self._store.file.near(y), max(NEAR, 4 * k))
        rows = self._store.rows[slots]
        positive = rows["positive"]
        slots, similarities, rows = slots[positive], similarities[positive], rows[positive]
        n = rows["n"].astype(np.float64)
        weights = np.maximum(evidence(n, n * rows["quality"], rows["positive"]), _LEAST)
        scores = similarities + self.temperature * np.log(weights)
        return self._found(slots, similarities, scores, k)

    def nearest(self, y: Vector, k: int) -> list[Hit]:
        """As `PatternIndex.nearest`."""
        slots, similarities = nearest(self._store, *self._store.file.near(y), k)
        return self._found(slots, similarities, similarities.astype(np.float64), k)

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
        """As `PatternIndex.rank`."""
        check_number(min_quality, "min_quality", 0.0, 1.0)
        if not len(self._store):
            return []
        question = Question(view=self._view(agents), min_quality=min_quality, asker=asker)
        # What is not bent, as by an agent that has learned nothing yet, is looked for once.
        bent = x if y is None or np.array_equal(x, y) else y
        near = around(self._store, self._table, x, bent, question)
        tau = self.temperature if config is None else config.temperature
        failure_weight = self.failure_weight if config is None else config.failure_weight
        scores = scored(x, bent, near, question.view or self._table, tau, failure_weight)
        return self._hits(near, scores, x, k, question)

    def rank_batch(
        self, x: Vector, *, y: Vector | None = None, agents: Collection[str] | None = None, asker: str = ""
    ) -> list[str]:
        """As `PatternIndex.rank_batch`."""
        best = []
        for row, bent in zip(x, x if y is None else y, strict=True):
            hits = self.rank(row, 1, y=bent, agents=agents, asker=asker)
            best.append(hits[0].action if hits else "")
        return best

    def contest(self, y: Vector, action: str, k: int) -> tuple[Vector, int] | None:
        """As `PatternIndex.contest`; of the other actions those that `rank` would look at."""
        code = self._store.action(action)
        if code is None:
            return None
        near = around(self._store, self._table, y, y, EVERYBODY)
        codes = np.concatenate([[code], near.codes[near.codes != code]])
        prototypes, known, _ = self._table.prototypes(codes)
        if not known[0]:
            return None
        order = np.argsort(-products(prototypes[1:], y), kind="stable")[: k - 1]
        return np.concatenate([prototypes[:1], prototypes[1:][order]]), 0

    def expertise(self, x: Vector, agents: Sequence[str]) -> Doubles:
        """As `PatternIndex.expertise`."""
        if x.ndim == 2:
            return np.array([self.expertise(row, agents) for row in x]).reshape(len(x), len(agents))
        known = np.zeros(len(agents))
        if not len(self._store):
            return known
        near = around(self._store, self._table, x, x, EVERYBODY)
        prototypes, is_known, _ = self._table.prototypes(near.codes)
        closeness = products(prototypes, x)
        closeness[~is_known] = -math.inf
        pi = prior(closeness, self.temperature)
        for position, name in enumerate(agents):
            codes, parts = self._shares(name)
            place = np.searchsorted(codes, near.codes)
            place[place == len(codes)] = 0
            mine = codes[place] == near.codes if len(codes) else np.zeros(len(near.codes), dtype=np.bool_)
            known[position] = pi[mine].dot(parts[place[mine]])
        return known

    def candidates(self) -> Candidates:
        """As `PatternIndex.candidates`: a copy of all prototypes."""
        return candidates(self._store, self._table)

    def candidates_without(self, agent: str) -> Candidates:
        """As `PatternIndex.candidates_without`."""
        return candidates_without(self._store, self._table, agent)

    def found_by_others(self, agent: str, actions: Container[str]) -> Found:
        """As `PatternIndex.found_by_others`."""
        return found_by_others(self._store, agent, actions)

    def _view(self, agents: Collection[str] | None) -> View | None:
        if agents is None:
            return None
        if isinstance(agents, str):
            raise InputError(f"agents must be a collection of names, got the text {agents!r:.40}")
        wanted = frozenset(agents)
        if wanted in self._views:
            self._views.move_to_end(wanted)
        else:
            self._views[wanted] = View(self._store, sorted(wanted))
            while len(self._views) > _VIEWS or sum(view.copied for view in self._views.values()) > 2 * FEW:
                self._views.popitem(last=False)
        return self._views[wanted]

    def _hits(self, near: Near, scores: Doubles, x: Vector, k: int, question: Question) -> list[ActionHit]:
        total = float(np.maximum(scores, 0.0).sum())
        hits: list[ActionHit] = []
        for action in np.argsort(-scores, kind="stable").tolist():
            if scores[action] == -math.inf or len(hits) == k:
                break
            found = best(self._store, near, action, x, question)
            if found is None:
                continue
            slot, similarity = found
            against = (
                (near.actions == action) & ~near.rows["positive"] & (near.similarities >= similarity - self.temperature)
            )
            hits.append(
                ActionHit(
                    action=self._store.names[near.codes[action]],
                    pattern=self._store.cluster(slot),
                    similarity=similarity,
                    score=float(scores[action]),
                    share=float(scores[action]) / total if total > 0.0 else 0.0,
                    failures=float(near.rows["n"][against].sum()),
                )
            )
        return hits

    def _found(self, slots: Slots, similarities: Vector, scores: Doubles, k: int) -> list[Hit]:
        order = np.argsort(-scores, kind="stable")[:k]
        return [
            Hit(self._store.cluster(int(slots[row])), float(similarities[row]), float(scores[row]))
            for row in order.tolist()
        ]

    def _shares(self, name: str) -> tuple[Integers, Doubles]:
        if name not in self._known_shares:
            if len(self._known_shares) > _SHARES:
                self._known_shares.clear()
            self._known_shares[name] = shares(self._store, self._table, name)
        return self._known_shares[name]

    def _changed(self, gone: Rows, put: Rows) -> None:
        self._table.follow(gone, put)
        if len(gone) or len(put):
            self._views.clear()
            self._known_shares.clear()


class _Names:
    """Names of actions, to be asked whether one is there."""

    def __init__(self, store: RowStore) -> None:
        self._store = store

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._store.action(name) is not None
