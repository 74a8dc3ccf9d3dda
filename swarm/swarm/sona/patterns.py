"""What an index of patterns can do: the exact one and the one for large banks are used alike."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from typing import Protocol

from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.index import ActionHit, Candidates, Found, Hit
from swarm.sona.vectors import Doubles, Vector


class Patterns(Protocol):
    """Clusters by id, searched; see `PatternIndex` for what each method answers."""

    @property
    def dim(self) -> int: ...

    @property
    def actions(self) -> Container[str]: ...

    def __len__(self) -> int: ...

    def __contains__(self, cluster_id: object) -> bool: ...

    def get(self, cluster_id: str) -> Cluster | None: ...

    def clusters(self) -> tuple[Cluster, ...]: ...

    def put_all(self, clusters: Iterable[Cluster]) -> None: ...

    def remove(self, cluster_id: str) -> None: ...

    def search(self, y: Vector, k: int) -> list[Hit]: ...

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
    ) -> list[ActionHit]: ...

    def rank_batch(
        self, x: Vector, *, y: Vector | None = None, agents: Collection[str] | None = None, asker: str = ""
    ) -> list[str]: ...

    def nearest(self, y: Vector, k: int) -> list[Hit]: ...

    def contest(self, y: Vector, action: str, k: int) -> tuple[Vector, int] | None: ...

    def expertise(self, x: Vector, agents: Sequence[str]) -> Doubles: ...

    def candidates(self) -> Candidates: ...

    def candidates_without(self, agent: str) -> Candidates: ...

    def found_by_others(self, agent: str, actions: Container[str]) -> Found: ...
