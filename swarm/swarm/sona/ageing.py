"""How evidence ages: it halves with every half-life, is gone after its time to live, and stays where it is pinned.

Legend: w(t) = 2^(-t / h) with h the half-life in seconds; a cluster holds outcomes of the times t_i; T is a time.

    n(T) = sum_i w(T - t_i)            and likewise every other sum of a cluster
    n(T') = n(T) w(T' - T)

(forward decay, Cormode et al. 2009). A cluster is kept with its sums at T = `last_s`, the time of its newest outcome,
so nothing has to be stored beside it. At one common time sums add, in any order: `current` takes clusters there,
`kept` back. Means do not change with time, only how much they weigh beside others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from swarm.sona.clusters import Cluster, RouteTally, Tally, family_of
from swarm.sona.vectors import Vector, check_number

PIN_SIMILARITY = 0.8
"""A pin keeps the clusters of its family from this cosine on. Clusters become one pattern from a larger one on, so the
pin of a pattern covers the clusters around it that feed it."""
MAX_PERIOD_S = 100 * 365 * 86_400.0
MAX_HALF_LIVES = 60.0
"""What is older weighs as if it were so old, about 1e-18, so that no sum becomes zero."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pin:
    """A place in the bank that does not age: a family of patterns, and a direction of shape (d,) and unit length."""

    id: str
    family: tuple[str, bool]
    direction: Vector

    def similarity(self, cluster: Cluster) -> float:
        """Cosine of a cluster's centroid; -1 if it is of another dimension."""
        centroid = cluster.centroid
        return float(self.direction.dot(centroid)) if centroid.shape == self.direction.shape else -1.0


class Pins:
    """The pins of one swarm."""

    def __init__(self, pins: Iterable[Pin] = ()) -> None:
        self._by_family: dict[tuple[str, bool], list[Pin]] = {}
        for pin in sorted(pins, key=lambda pin: pin.id):
            self._by_family.setdefault(pin.family, []).append(pin)

    def __bool__(self) -> bool:
        return bool(self._by_family)

    def nearest(self, cluster: Cluster) -> Pin | None:
        """The pin that keeps a cluster, the nearest if several do; None if it is free."""
        pins = self._by_family.get(family_of(cluster), ()) if self._by_family else ()
        near = [(similarity, pin) for pin in pins if (similarity := pin.similarity(cluster)) >= PIN_SIMILARITY]
        return max(near, key=lambda found: (found[0], found[1].id))[1] if near else None

    @property
    def key(self) -> str:
        """A short text that differs when anything here does."""
        digest = hashlib.blake2b(digest_size=8)
        for family, pins in sorted(self._by_family.items()):
            for pin in pins:
                digest.update(repr((pin.id, family)).encode("utf-8", "surrogatepass"))
                digest.update(np.ascontiguousarray(pin.direction, dtype="<f4").tobytes())
        return digest.hexdigest()


NO_PINS = Pins()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ageing:
    """How old everything is at one time.

    Parameters
    ----------
    at_s : the time T, in seconds since the epoch
    half_life_s : None if evidence does not decay
    expired_s : what has seen its newest outcome at this time or before is gone; None if nothing expires
    pins : what does neither
    """

    at_s: float
    half_life_s: float | None = None
    expired_s: float | None = None
    pins: Pins = NO_PINS

    def is_pinned(self, cluster: Cluster) -> bool:
        """Whether a cluster neither decays, nor expires, nor is pruned."""
        return self.pins.nearest(cluster) is not None

    def is_expired(self, cluster: Cluster) -> bool:
        """Whether the newest evidence of a cluster is too old."""
        return self.expired_s is not None and cluster.last_s <= self.expired_s and not self.is_pinned(cluster)

    def aged(self, clusters: Iterable[Cluster]) -> list[Cluster]:
        """Those that have not expired, with their sums at the time T."""
        return [self.current(cluster) for cluster in self.alive(clusters)]

    def alive(self, clusters: Iterable[Cluster]) -> list[Cluster]:
        """Those that have not expired."""
        return [cluster for cluster in clusters if not self.is_expired(cluster)]

    def current(self, cluster: Cluster) -> Cluster:
        """A cluster with its sums at the time T; the same object if they are the same."""
        return self._moved(cluster, -1.0)

    def kept(self, cluster: Cluster) -> Cluster:
        """The inverse of `current`: a cluster as it is stored, with its sums at its own `last_s`."""
        return self._moved(cluster, 1.0)

    def dated(self, cluster: Cluster) -> Cluster:
        """A new outcome's cluster with a time that can be: an agent's clock may be ahead, or it gave no time."""
        if 0.0 < cluster.last_s <= self.at_s:
            return cluster
        first_s = cluster.first_s if 0.0 < cluster.first_s <= self.at_s else self.at_s
        return replace(cluster, first_s=first_s, last_s=self.at_s)

    def _moved(self, cluster: Cluster, direction: float) -> Cluster:
        if self.half_life_s is None or self.is_pinned(cluster):
            return cluster
        age = max(0.0, self.at_s - cluster.last_s) / self.half_life_s
        return cluster if age == 0.0 else scaled(cluster, math.exp2(direction * min(age, MAX_HALF_LIVES)))

    @property
    def key(self) -> str:
        """A short text that differs when anything here does."""
        decay = None if self.half_life_s is None else (self.half_life_s, self.at_s)
        return f"{decay} {self.expired_s} {self.pins.key}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AgeingRules:
    """What a swarm keeps, and for how long; without a half-life, a time to live and pins nothing ages."""

    half_life_s: float | None = None
    ttl_s: float | None = None
    pins: Pins = NO_PINS

    def within(self, half_life_s: float | None, ttl_s: float | None) -> AgeingRules:
        """These rules for somebody who has periods of their own: the shorter of each counts.

        >>> found = AgeingRules(half_life_s=10.0).within(20.0, 30.0)
        >>> found.half_life_s, found.ttl_s
        (10.0, 30.0)
        """
        return replace(self, half_life_s=_shorter(self.half_life_s, half_life_s), ttl_s=_shorter(self.ttl_s, ttl_s))

    def at(self, now_s: float) -> Ageing | None:
        """How old everything is at `now_s`; None if nothing ages."""
        return self._at(now_s, now_s)

    def on_grid(self, now_s: float) -> Ageing | None:
        """As `at`, at times between which the weights change by less than a hundredth.

        So the bank is published anew now and then, not at every merge. What expires is there for at most a hundredth of
        its time to live too long, and an hour at most.
        """
        decay_s, expiry_s = (self.half_life_s or 0.0) / 100.0, min((self.ttl_s or 0.0) / 100.0, 3600.0)
        return self._at(_floor(now_s, decay_s), _floor(now_s, expiry_s))

    def _at(self, decay_s: float, expiry_s: float) -> Ageing | None:
        if self.half_life_s is None and self.ttl_s is None and not self.pins:
            return None
        expired_s = None if self.ttl_s is None else expiry_s - self.ttl_s
        return Ageing(at_s=decay_s, half_life_s=self.half_life_s, expired_s=expired_s, pins=self.pins)


NO_AGEING = AgeingRules()


def check_period(period_s: float | None, parameter: str) -> float | None:
    """A half-life or a time to live, in seconds, if it is within its bounds; None is none."""
    return None if period_s is None else check_number(period_s, parameter, 1.0, MAX_PERIOD_S)


def _shorter(*periods_s: float | None) -> float | None:
    return min((period_s for period_s in periods_s if period_s is not None), default=None)


def _floor(now_s: float, step_s: float) -> float:
    return math.floor(now_s / step_s) * step_s if step_s else now_s


def scaled(cluster: Cluster, factor: float) -> Cluster:
    """A cluster with every sum multiplied by `factor`."""
    return replace(
        cluster,
        sum_embedding=cluster.sum_embedding * factor,
        n=cluster.n * factor,
        sum_quality=cluster.sum_quality * factor,
        sum_quality2=cluster.sum_quality2 * factor,
        agents={
            name: Tally(n=tally.n * factor, sum_quality=tally.sum_quality * factor)
            for name, tally in cluster.agents.items()
        },
        routes={
            name: RouteTally(
                n=route.n * factor,
                sum_quality=route.sum_quality * factor,
                sum_quality2=route.sum_quality2 * factor,
                sum_latency_ms=route.sum_latency_ms * factor,
                sum_cost=route.sum_cost * factor,
            )
            for name, route in cluster.routes.items()
        },
        task_types={name: count * factor for name, count in cluster.task_types.items()},
    )
