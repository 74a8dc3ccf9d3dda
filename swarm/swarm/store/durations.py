"""How long consolidations and merges took: histograms that the processes of all workers add to."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_hash
from swarm.wire.keys import SwarmKeys

STAGES = ("consolidation", "merge")
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets; what took longer than the last one is in none of them."""
_OVER, _SUM = "+Inf", "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Runs of one stage: so many took at most each of `BOUNDS_S`, then all; and seconds of all together."""

    cumulative: tuple[int, ...]
    sum_s: float

    @property
    def count(self) -> int:
        return self.cumulative[-1]


class DurationStore:
    """The durations of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys

    def add(self, stage: str, duration_s: float) -> None:
        """Count a run of one of `STAGES`."""
        place = bisect_left(BOUNDS_S, duration_s)
        with redis_errors(f"count a {stage}"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hincrby(self._keys.counters, _field(stage, place), 1)
            pipeline.hincrby(self._keys.counters, f"{stage}\0{_SUM}", round(duration_s * 1e6))
            pipeline.execute()

    def read(self) -> dict[str, Durations]:
        """Those of every stage."""
        with redis_errors("read how long consolidations took"):
            found = to_hash(self._client.hgetall(self._keys.counters))
        return {stage: _durations(stage, found) for stage in STAGES}


def _field(stage: str, place: int) -> str:
    return f"{stage}\0{BOUNDS_S[place] if place < len(BOUNDS_S) else _OVER}"


def _durations(stage: str, found: dict[str, bytes]) -> Durations:
    cumulative, total = [], 0
    for place in range(len(BOUNDS_S) + 1):
        total += int(found.get(_field(stage, place), 0))
        cumulative.append(total)
    return Durations(cumulative=tuple(cumulative), sum_s=int(found.get(f"{stage}\0{_SUM}", 0)) / 1e6)
