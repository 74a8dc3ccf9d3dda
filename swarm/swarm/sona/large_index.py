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
from typing import NamedTuple

import numpy as np

from swarm.errors import InputError
from swarm.sona.action_table import ActionTable
from swarm.sona.clusters import Cluster, is_library
from swarm.sona.config import SonaConfig
from swarm.sona.index import ActionHit, Candidates, Found, Hit
from swarm.sona.inverted_file import Slots, products
from swarm.sona.large_view import FEW, View
from swarm.sona.ranking import evidence, expected_quality, guarded, kernel, prior
from swarm.sona.row_store import ROW, Pack, Rows, RowStore, Unpack
from swarm.sona.vectors import Doubles, Flags, Integers, Vector, check_number

_NEAR = 512
"""So many clusters count for one query, the nearest ones."""
_PROTOTYPES = 64
"""Actions that compete because their prototypes are near, though their clusters are not."""
_VIEWS = 8
_SHARES = 1_000
_LEAST = 1e-9


class _Near(NamedTuple):
    """What is near a query: clusters in order of their slots, what they weigh, and the codes of all actions there."""

    slots: Slots
    similarities: Vector
    rows: Rows
    weights: Doubles
    qualities: Doubles
    usable: Flags
    codes: Integers
    actions: Integers
    """For each cluster the position of its action in `codes`."""


class _Scores(NamedTuple):
    """For each of the actions near a query pi of the query as it is, P, and what they are ranked by."""

    pi: Doubles
    expected: Doubles
    scores: Doubles


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
        slots, similarities = self._nearest(*self._store.file.near(y), max(_NEAR, 4 * k))
        rows = self._store.rows[slots]
        positive = rows["positive"]
        slots, similarities, rows = slots[positive], similarities[positive], rows[positive]
        n = rows["n"].astype(np.float64)
        weights = np.maximum(evidence(n, n * rows["quality"], rows["positive"]), _LEAST)
        scores = similarities + self.temperature * np.log(weights)
        return self._found(slots, similarities, scores, k)

    def nearest(self, y: Vector, k: int) -> list[Hit]:
        """As `PatternIndex.nearest`."""
        slots, similarities = self._nearest(*self._store.file.near(y), k)
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
    ) -> list[ActionHit]:
        """As `PatternIndex.rank`."""
        check_number(min_quality, "min_quality", 0.0, 1.0)
        if not len(self._store):
            return []
        view = self._view(agents)
        bent = x if y is None else y
        near = self._around(x, bent, view, min_quality, asker)
        return self._hits(near, self._scored(x, bent, near, view).scores, x, k, view, min_quality, asker)

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
        near = self._around(y, y, None, 0.0, "")
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
        near = self._around(x, x, None, 0.0, "")
        prototypes, is_known, _ = self._table.prototypes(near.codes)
        closeness = products(prototypes, x)
        closeness[~is_known] = -math.inf
        pi = prior(closeness, self.temperature)
        for position, name in enumerate(agents):
            codes, shares = self._shares(name)
            place = np.searchsorted(codes, near.codes)
            place[place == len(codes)] = 0
            mine = codes[place] == near.codes if len(codes) else np.zeros(len(near.codes), dtype=np.bool_)
            known[position] = pi[mine].dot(shares[place[mine]])
        return known

    def candidates(self) -> Candidates:
        """As `PatternIndex.candidates`: a copy of all prototypes."""
        self._table.renew()
        codes = self._table.known()
        prototypes, _, _ = self._table.prototypes(codes)
        names = self._store.names
        return Candidates(prototypes, {names[code]: row for row, code in enumerate(codes.tolist())})

    def candidates_without(self, agent: str) -> Candidates:
        """As `PatternIndex.candidates_without`."""
        found = self.candidates()
        entries, _ = self._store.of_agents([agent])
        rows = self._store.rows[entries["slot"]]
        alone = rows["positive"] & (entries["n"] >= rows["n"])
        codes = np.unique(rows["action"][alone])
        if not len(codes):
            return found
        prototypes, known = self._table.without(codes, entries["slot"][alone])
        names = self._store.names
        lost = {names[code] for code in codes[~known].tolist()}
        for code, prototype in zip(codes[known].tolist(), prototypes[known], strict=True):
            found.prototypes[found.rows[names[code]]] = prototype
        kept = [(name, row) for name, row in found.rows.items() if name not in lost]
        return Candidates(found.prototypes[[row for _, row in kept]], {name: row for row, (name, _) in enumerate(kept)})

    def found_by_others(self, agent: str, actions: Container[str]) -> Found:
        """As `PatternIndex.found_by_others`."""
        store = self._store
        slots = store.live()
        rows = store.rows[slots]
        weights = rows["n"] * (1.0 - rows["given"])
        entries, _ = store.of_agents([agent] if not is_library(agent) else [])
        mine = np.zeros(len(store.rows), dtype=np.float32)
        mine[entries["slot"]] = entries["n"]
        weights = np.where(weights - mine[slots] > 1e-3, weights - mine[slots], 0.0)
        wanted = np.array([name in actions for name in store.names], dtype=np.bool_)
        kept = rows["confirmed"] & wanted[rows["action"]] & (weights > 0.0)
        chosen = slots[kept]
        return Found(
            weights[kept].astype(np.float64),
            lambda picked: store.file.vectors.take(chosen[picked], axis=0),
            lambda picked: [store.names[code] for code in store.rows["action"][chosen[picked]].tolist()],
            lambda picked: store.rows["quality"][chosen[picked]],
        )

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

    def _around(self, x: Vector, y: Vector, view: View | None, min_quality: float, asker: str) -> _Near:
        found = self._store.file.near(x) if view is None else view.near(x)
        slots, similarities = self._nearest(*found, _NEAR)
        rows = self._store.rows.take(slots)
        if view is None:
            weights, qualities = rows["weight"].astype(np.float64), rows["quality"].astype(np.float64)
        else:
            weights, qualities = view.figures(slots)
        usable = self._shown(slots, rows, min_quality, asker) & (weights > 0.0)
        if min_quality > 0.0:
            weights = np.where(rows["positive"] & (rows["quality"] < min_quality), 0.0, weights)
        self._table.renew_some()
        others = [self._table.near(query, _PROTOTYPES) for query in ([x] if y is x else [x, y])]
        codes = np.unique(np.concatenate([rows["action"], *others]))
        can_be_shown = self._table.usable(codes) if view is None else view.usable(codes)
        here = np.zeros(len(codes), dtype=np.bool_)
        actions = np.searchsorted(codes, rows["action"])
        here[actions] = True
        # What has failed only competes with nothing, but its evidence is evidence around the query.
        kept = can_be_shown | here
        place = np.cumsum(kept) - 1
        return _Near(slots, similarities, rows, weights, qualities, usable, codes[kept], place[actions])

    def _scored(self, x: Vector, y: Vector, near: _Near, view: View | None) -> _Scores:
        m, table = len(near.codes), self._table if view is None else view
        nearness = kernel(near.similarities, self.temperature)
        mass = near.weights * nearness
        good = mass * near.qualities
        worked, failed, here = (
            np.bincount(near.actions, weights=part, minlength=m).astype(np.float64)
            for part in (good, mass - good, (mass - good) * nearness)
        )
        prototypes, known, given = table.prototypes(near.codes)
        closeness = products(prototypes, y)
        frozen = closeness if y is x and given is prototypes else products(given, x)
        closeness, frozen = np.where(known, closeness, -math.inf), np.where(known, frozen, -math.inf)
        pi = prior(closeness, self.temperature)
        expected = expected_quality(pi, worked, worked + self.failure_weight * failed, mass.sum())
        scores = guarded(
            expected, prior(frozen, self.temperature), table.backed(near.codes), self.failure_weight * here
        )
        scores[~table.usable(near.codes)] = -math.inf
        return _Scores(pi, expected, scores)

    def _hits(
        self,
        near: _Near,
        scores: Doubles,
        x: Vector,
        k: int,
        view: View | None,
        min_quality: float,
        asker: str,
    ) -> list[ActionHit]:
        total = float(np.maximum(scores, 0.0).sum())
        hits: list[ActionHit] = []
        for position in np.argsort(-scores, kind="stable").tolist():
            if scores[position] == -math.inf or len(hits) == k:
                break
            own = near.actions == position
            best = self._best(near, own, int(near.codes[position]), x, view, min_quality, asker)
            if best is None:
                continue
            slot, similarity = best
            against = own & ~near.rows["positive"] & (near.similarities >= similarity - self.temperature)
            hits.append(
                ActionHit(
                    action=self._store.names[near.codes[position]],
                    pattern=self._store.cluster(slot),
                    similarity=similarity,
                    score=float(scores[position]),
                    share=float(scores[position]) / total if total > 0.0 else 0.0,
                    failures=float(near.rows["n"][against].sum()),
                )
            )
        return hits

    def _best(
        self, near: _Near, own: Flags, code: int, x: Vector, view: View | None, min_quality: float, asker: str
    ) -> tuple[int, float] | None:
        """The nearest cluster of an action that can be shown, and its cosine; None if there is none."""
        shown = np.flatnonzero(own & near.usable)
        if len(shown):
            row = shown[near.similarities[shown].argmax()]
            return int(near.slots[row]), float(near.similarities[row])
        slots, _ = self._store.of_actions([code])
        if view is not None:
            slots = view.among(slots)
        rows = self._store.rows[slots]
        slots = slots[self._shown(slots, rows, min_quality, asker) & (rows["weight"] > 0.0)]
        if not len(slots):
            return None
        similarities = products(self._store.file.vectors.take(slots, axis=0), x)
        row = similarities.argmax()
        return int(slots[row]), float(similarities[row])

    def _shown(self, slots: Slots, rows: Rows, min_quality: float, asker: str) -> Flags:
        """Which clusters can be shown: successes, good enough, and what one agent insists on to that agent alone."""
        shown = rows["positive"] & (rows["quality"] >= min_quality)
        if rows["insisted"].any():
            entries, _ = self._store.of_agents([asker])
            shown &= ~rows["insisted"] | np.isin(slots, entries["slot"])
        return np.asarray(shown)

    def _nearest(self, slots: Slots, similarities: Vector, k: int) -> tuple[Slots, Vector]:
        """The k nearest of what was found, without holes, in the order of their slots."""
        if len(slots) > k:
            chosen = np.argpartition(similarities, len(slots) - k)[len(slots) - k :]
            slots, similarities = slots[chosen], similarities[chosen]
        live = self._store.rows["action"][slots] >= 0
        return slots[live], similarities[live]

    def _found(self, slots: Slots, similarities: Vector, scores: Doubles, k: int) -> list[Hit]:
        order = np.argsort(-scores, kind="stable")[:k]
        return [
            Hit(self._store.cluster(int(slots[row])), float(similarities[row]), float(scores[row]))
            for row in order.tolist()
        ]

    def _shares(self, name: str) -> tuple[Integers, Doubles]:
        """Codes, sorted, of the actions that an agent had success with, and its share in each; a library has none."""
        if name not in self._known_shares:
            if len(self._known_shares) > _SHARES:
                self._known_shares.clear()
            entries, _ = self._store.of_agents([] if is_library(name) else [name])
            rows = self._store.rows[entries["slot"]]
            counted = rows["successes"] > 0.0
            codes, place = np.unique(rows["action"][counted], return_inverse=True)
            sums = np.bincount(place, weights=entries["quality"][counted].astype(np.float64), minlength=len(codes))
            self._known_shares[name] = codes, sums / np.maximum(self._table.successes(codes), _LEAST)
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
