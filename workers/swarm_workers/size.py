"""How large a pool may be."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.errors import BoundsError
from swarm.sona.vectors import check_number

MAX_CONCURRENCY = 256
DEFAULT_IDLE = 300.0
MIN_IDLE, MAX_IDLE = 1.0, 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """Bounds for the processes of a pool. Between them a supervisor chooses by what waits.

    With `min` 0 the pool is ended after `idle_s` seconds without work, and comes back when something waits for it.
    """

    min: int
    max: int
    idle_s: float = DEFAULT_IDLE

    def __post_init__(self) -> None:
        _check("max", self.max, 1, MAX_CONCURRENCY)
        _check("min", self.min, 0, self.max)
        check_number(self.idle_s, "idle", MIN_IDLE, MAX_IDLE)

    @classmethod
    def fixed(cls, concurrency: int) -> PoolSize:
        """Always so many.

        >>> PoolSize.fixed(2)
        PoolSize(min=2, max=2, idle_s=300.0)
        """
        _check("concurrency", concurrency, 1, MAX_CONCURRENCY)
        return cls(min=concurrency, max=concurrency)

    @property
    def is_fixed(self) -> bool:
        return self.min == self.max

    def clamp(self, wanted: int) -> int:
        """The nearest size within the bounds."""
        return max(self.min, min(self.max, wanted))


def as_size(size: int | PoolSize) -> PoolSize:
    """Bounds as they are, a number as both bounds."""
    return size if isinstance(size, PoolSize) else PoolSize.fixed(size)


def _check(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BoundsError(f"{name} must be an integer in {low}..{high}, got {value!r}")
