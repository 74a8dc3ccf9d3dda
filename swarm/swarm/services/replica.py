"""A local copy of the bank that follows its change log: queries cost no round trip."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from swarm.services.memory import give_back_memory
from swarm.sona.adapter import Adapter
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.experts import Experts
from swarm.sona.index import ActionHit, Hit, PatternIndex
from swarm.sona.instant import outcome_step
from swarm.sona.inverted_file import sample_size
from swarm.sona.large_index import LargeIndex
from swarm.sona.lora import LoraPair
from swarm.sona.recall import LargeRecall, Recall
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import MAX_SQUARED_NORM, Vector
from swarm.store.bank import BankStore
from swarm.wire.compact import pack_cluster, unpack_cluster

LARGE = 50_000
"""Up to so many patterns search is exact; of more it looks at those around the query, see `sona.large_index`."""
_AT_ONCE = 100
"""Changes that are applied before queries of other threads get their turn."""
_PATIENCE_S = 0.5
"""How long a thread waits for another that follows the log, as long as for Redis itself; then it goes on with what
is there."""


class Replica:
    """The patterns of one swarm in this process; safe to use from several threads.

    `version` is the id of the last change applied, None before the first `refresh`.
    """

    def __init__(self, store: BankStore, config: SonaConfig, *, large: int = LARGE) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._following = threading.Lock()
        self._config = config
        self._large = large
        self._recall: tuple[str | None, Recall] | None = None
        self._large_recall: LargeRecall | None = None
        self._experts = Experts({})
        self._bases: dict[str, tuple[int, tuple[LoraPair, ...]]] = {}
        self._experts_version: str | None = None
        self.index: PatternIndex | LargeIndex = PatternIndex(config)
        self.version: str | None = None

    def refresh(self) -> bool:
        """Apply what changed since; True if anything did.

        While another thread loads a large bank anew, this one goes on with what is there.

        Raises
        ------
        StoreUnavailableError
            If Redis is away; the replica stays as it was and can still be searched.
        """
        # One at a time: what one thread read before a change must not be applied after what another read behind it.
        if not self._following.acquire(timeout=_PATIENCE_S):
            return False
        try:
            is_full, is_changed = self._follow()
        finally:
            self._following.release()
        return self._load() if is_full or (is_changed and self._is_outgrown()) else is_changed

    def _follow(self) -> tuple[bool, bool]:
        """Apply the change log: (whether everything is to be loaded anew instead, whether anything changed)."""
        # Sums of float32 hang on the order of the rows in their last digit; a large index is not exact to it anyway.
        in_order = isinstance(self.index, PatternIndex)
        changes = self._store.changes_after(self.version, in_order=in_order)
        if changes is None or changes.is_full:
            return changes is not None, False
        for start in range(0, max(len(changes.put), len(changes.removed)), _AT_ONCE):
            page = slice(start, start + _AT_ONCE)
            # Queries of other threads get their turn in between.
            with self._lock:
                for pattern_id in changes.removed[page]:
                    self.index.remove(pattern_id)
                self.index.put_all(changes.put[page])
        with self._lock:
            self.version = changes.version
        return False, True

    def _is_outgrown(self) -> bool:
        index = self.index
        return index.is_outgrown() if isinstance(index, LargeIndex) else len(index) > self._large

    def _load(self) -> bool:
        """Load everything anew; False if another thread does so already, and something is there meanwhile."""
        if not self._loading.acquire(blocking=self.version is None):
            return False
        try:
            count = self._store.count()
            if count > self._large:
                version, index = self._loaded(count)
                with self._lock:
                    self.index, self.version = index, version
                return True
            changes = self._store.changes_since(None)
            assert changes is not None
            with self._lock:
                if not isinstance(self.index, PatternIndex):
                    self.index = PatternIndex(self._config)
                self.index.replace_all(changes.put)
                self.version = changes.version
            return True
        finally:
            self._loading.release()

    def _loaded(self, count: int) -> tuple[str, LargeIndex]:
        """The whole bank, page by page, in an index for so many patterns, and a version that it holds at least."""
        version = self._store.version()
        sample = np.zeros((sample_size(count), self._config.dim), dtype=np.float32)
        filled = 0
        for page in self._store.pages():
            for pattern in page[: len(sample) - filled]:
                sample[filled] = pattern.centroid
                filled += 1
            if filled == len(sample):
                break
        sample = sample[:filled]
        index = LargeIndex(self._config, sample, count, pack_cluster, unpack_cluster)
        for page in self._store.pages():
            index.put_all(page)
        index.settle()
        give_back_memory()
        return version, index

    def refresh_experts(self) -> None:
        """Fetch the adapters that changed among those that bend everybody's queries, for `bend`.

        Raises
        ------
        StoreUnavailableError
            If Redis is away; nothing changed then.
        """
        version = self.version
        if version == self._experts_version:
            return
        wanted = self._store.experts()
        known = {name: base for name, base in self._bases.items() if wanted.get(name) == base[0]}
        fetched = self._store.bases(wanted.keys() - known.keys())
        usable = {name: (wanted[name], base) for name, base in fetched.items() if _is_usable(base, self.index.dim)}
        bases = known | usable
        experts = Experts({name: base for name, (_, base) in bases.items()})
        with self._lock:
            self._bases, self._experts, self._experts_version = bases, experts, version

    def bend(self, x: Vector, adapter: Adapter, agent: str) -> Vector:
        """The queries `x`, (d,) or (n, d), bent for `agent`, which has `adapter`, by all who know what they ask for."""
        with self._lock:
            return self._experts.apply(x, adapter, agent, self.index)

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
        """See `PatternIndex.rank`."""
        with self._lock:
            return self.index.rank(x, k, y=y, agents=agents, min_quality=min_quality, asker=asker, config=config)

    def recall(self, x: Vector, k: int) -> list[Hit]:
        """The k patterns whose tasks were most like `x` (d,) in what matters; see `sona.recall`."""
        with self._lock:
            if isinstance(self.index, LargeIndex):
                if self._large_recall is None or not self._large_recall.is_of(self.index):
                    self._large_recall = LargeRecall(self.index)
                return self._large_recall.search(x, k)
            if self._recall is None or self._recall[0] != self.version:
                # What one agent insists on is for that agent alone, as in `rank`, and must not bend the metric.
                heard = [cluster for cluster in self.index.clusters() if not cluster.insisted]
                self._recall = self.version, Recall(heard, self._config)
            return self._recall[1].search(x, k)

    def nearest(self, y: Vector, k: int) -> list[Hit]:
        """See `PatternIndex.nearest`."""
        with self._lock:
            return self.index.nearest(y, k)

    def learn(self, adapter: Adapter, ended: Trajectory, config: SonaConfig) -> bool:
        """One instant step of the `adapter` of the trajectory's agent against these patterns; see `outcome_step`."""
        x = ended.embedding
        with self._lock:
            delta = self._experts.delta(x, adapter, ended.agent, self.index)
            return outcome_step(adapter, self.index, x, ended.action, ended.quality, config, delta)

    def patterns(self) -> Iterator[Cluster]:
        """All patterns; of a large bank page by page from Redis, so that queries need not wait meanwhile."""
        with self._lock:
            index = self.index
            held = index.clusters() if isinstance(index, PatternIndex) else None
        return iter(held) if held is not None else self._stored()

    def _stored(self) -> Iterator[Cluster]:
        seen: set[str] = set()
        for page in self._store.pages():
            for pattern in page:
                if pattern.id not in seen:
                    seen.add(pattern.id)
                    yield pattern

    def action_of(self, pattern_id: str) -> tuple[str, str] | None:
        """(action, response) of a pattern that is here."""
        with self._lock:
            pattern = self.index.get(pattern_id)
        return None if pattern is None else (pattern.action, pattern.response)


def _is_usable(base: Sequence[LoraPair], dim: int) -> bool:
    """Whether a base tier can bend everybody's queries: of their dimension, and within the length of a vector.

    Weights that have diverged would make every query of every agent an error, not only those of their own.
    """
    if any(pair.up.shape[1] != dim for pair in base):
        return False
    lengths = [[float(np.linalg.norm(factor.astype(np.float64))) for factor in (pair.down, pair.up)] for pair in base]
    moved = sum(abs(pair.scale) * down * up for pair, (down, up) in zip(base, lengths, strict=True))
    return max(moved, *(down for down, _ in lengths)) ** 2 <= MAX_SQUARED_NORM
