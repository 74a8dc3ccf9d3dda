"""How many processes a pool should have, by what waits for it and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from swarm_workers.limits import Limits
from swarm_workers.size import PoolSize

BACKLOG = 4
"""With more than so many tasks waiting for each process a pool grows at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What waits for a pool."""

    waiting: int = 0
    oldest_s: float = 0.0
    """How long the oldest has waited."""

    def __str__(self) -> str:
        return f"{self.waiting:,} waiting, the oldest for {self.oldest_s:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the worker of a pool does; zeros when it has none."""

    wanted: int = 0
    concurrency: int = 0
    busy: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A number of processes, with the reason."""

    wanted: int
    why: str


class Scaler:
    """Decides for one pool. It doubles while something waits for too long, and shrinks to what was busy at most while
    nothing did. Times are monotonic seconds.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._quiet_at: float | None = None
        self._peak = 0
        self._idle_at: float | None = None
        self._done = 0
        self._why = "nothing waits"

    def decide(self, size: PoolSize, load: Load, demand: Demand, now: float) -> Decision:
        """How many processes it should have now."""
        if size.is_fixed:
            return Decision(wanted=size.max, why="as asked for")
        wanted = self._wanted(size, load, demand, now)
        if wanted == load.wanted and not size.min <= wanted <= size.max:
            self._why = f"between {size.min} and {size.max}"
        return Decision(wanted=size.clamp(wanted), why=self._why)

    def _wanted(self, size: PoolSize, load: Load, demand: Demand, now: float) -> int:
        if load.wanted == 0:
            return self._wake(size, demand)
        if self._is_pressed(load, demand):
            self._quiet_at = self._idle_at = None
            return self._grow(size, load, demand)
        return self._rest(size, load, demand, now)

    def _wake(self, size: PoolSize, demand: Demand) -> int:
        self._quiet_at = self._idle_at = None
        if demand.waiting == 0:
            return 0
        self._why = f"woken: {demand}"
        return min(size.max, -(-demand.waiting // BACKLOG))

    def _is_pressed(self, load: Load, demand: Demand) -> bool:
        return demand.waiting > 0 and (demand.oldest_s >= self._limits.grow_s or demand.waiting > BACKLOG * load.wanted)

    def _grow(self, size: PoolSize, load: Load, demand: Demand) -> int:
        if load.concurrency < load.wanted:
            return load.wanted  # the last step has not come about yet
        grown = min(2 * load.wanted, load.busy + demand.waiting, size.max)
        if grown <= load.wanted:
            return load.wanted
        self._why = str(demand)
        return grown

    def _rest(self, size: PoolSize, load: Load, demand: Demand, now: float) -> int:
        if load.busy or demand.waiting or load.done != self._done:
            self._idle_at = None
        self._done = load.done
        self._idle_at = now if self._idle_at is None else self._idle_at
        if size.min == 0 and now - self._idle_at >= size.idle_s:
            self._why = f"nothing to do for {size.idle_s:g} s"
            return 0
        return self._shrink(size, load, now)

    def _shrink(self, size: PoolSize, load: Load, now: float) -> int:
        if load.busy >= load.wanted:
            self._quiet_at = None
            return load.wanted
        if self._quiet_at is None:
            self._quiet_at, self._peak = now, 0
        self._peak = max(self._peak, load.busy)
        smallest = max(1, size.min, self._peak)
        if now - self._quiet_at < self._limits.quiet_s or smallest >= load.wanted:
            return load.wanted
        self._why = f"{self._peak} busy at most for {self._limits.quiet_s:g} s"
        self._quiet_at = None
        return smallest
