"""Patterns: clusters of past tasks with additive statistics.

A cluster says: for queries like these, this action was tried so often, by these agents, with this quality.
All its numbers are sums, so two clusters merge by adding, in any order; nothing is stored twice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from swarm.errors import BoundsError, InputError
from swarm.sona.ranking import PRIOR_QUALITY, PRIOR_WEIGHT
from swarm.sona.vectors import Doubles, Vector, check_number, check_text

MAX_EXEMPLARS = 8
MAX_SUM = 1e15
MAX_TIME_S = 1e15
LIBRARY = "library"
"""Name, or beginning of the name before a dash, of agents whose outcomes are given as true."""
UNCONFIRMED = 2.0
"""A pattern that nobody has confirmed counts as so many outcomes at most, however often its agent repeats it."""
INSISTED = 20.0
"""A pattern that nobody has confirmed after so many outcomes of its agent is shown to that agent alone."""
OWN_ACTION = "~"
"""Prefix of the action of a cluster that names no result: the cluster itself is the action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one agent contributed: number of outcomes and the sum of their qualities."""

    n: float = 0.0
    sum_quality: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(n=self.n + other.n, sum_quality=self.sum_quality + other.sum_quality)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTally:
    """How one route (a model, a tool, a variant) did: sums of quality, latency in ms, and cost in USD."""

    n: float = 0.0
    sum_quality: float = 0.0
    sum_quality2: float = 0.0
    sum_latency_ms: float = 0.0
    sum_cost: float = 0.0

    def __add__(self, other: RouteTally) -> RouteTally:
        return RouteTally(
            n=self.n + other.n,
            sum_quality=self.sum_quality + other.sum_quality,
            sum_quality2=self.sum_quality2 + other.sum_quality2,
            sum_latency_ms=self.sum_latency_ms + other.sum_latency_ms,
            sum_cost=self.sum_cost + other.sum_cost,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One outcome that a cluster remembers: what was asked, who tried, how it went."""

    text: str
    quality: float
    agent: str
    trajectory_id: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Queries of one region for which one action was tried, either with success or without.

    `action` names what was tried; `positive` tells whether these outcomes are to be repeated or avoided;
    `response` is the text of the action. `sum_embedding` has shape (d,), float64, and is never adapted.
    """

    id: str
    action: str
    positive: bool
    response: str
    sum_embedding: Doubles
    n: float
    sum_quality: float
    sum_quality2: float
    agents: Mapping[str, Tally]
    routes: Mapping[str, RouteTally] = field(default_factory=dict)
    task_types: Mapping[str, float] = field(default_factory=dict)
    exemplars: tuple[Exemplar, ...] = ()
    first_s: float = 0.0
    last_s: float = 0.0
    label: str = ""
    confirmed: bool = True
    """Whether more stands behind it than the word of one agent that has not shown yet that it can be believed."""

    @property
    def centroid(self) -> Vector:
        """Direction of the mean embedding, of shape (d,), unit length."""
        length = math.sqrt(float(self.sum_embedding.dot(self.sum_embedding)))
        return np.asarray(self.sum_embedding / (length or 1.0), dtype=np.float32)

    @property
    def insisted(self) -> bool:
        """Whether one agent repeats, again and again, what nobody confirms."""
        return not self.confirmed and self.n > INSISTED

    @property
    def mean_quality(self) -> float:
        return self.sum_quality / self.n if self.n else 0.0

    @property
    def expected_quality(self) -> float:
        """Mean quality, shrunken towards the prior while there is little evidence."""
        return (self.sum_quality + PRIOR_WEIGHT * PRIOR_QUALITY) / (self.n + PRIOR_WEIGHT)

    @property
    def quality_error(self) -> float:
        """Standard error of `expected_quality`: of the posterior mean with the prior's variance added."""
        mean = self.expected_quality
        prior_square = PRIOR_WEIGHT * (PRIOR_QUALITY**2 + 0.25)
        variance = max(0.0, (self.sum_quality2 + prior_square) / (self.n + PRIOR_WEIGHT) - mean * mean)
        return math.sqrt(variance / (self.n + PRIOR_WEIGHT))

    @property
    def task_type(self) -> str:
        """The most frequent type of its tasks; the first by name among equals."""
        return max(sorted(self.task_types), key=lambda name: self.task_types[name], default="General")


def check_cluster(cluster: Cluster) -> Cluster:
    """The cluster, if the values of its fields are of their types and bounds: it came from a file or another host.

    Raises
    ------
    InputError
        If one is not.
    """
    for name in ("positive", "confirmed"):
        if not isinstance(getattr(cluster, name), bool):
            raise InputError(f"{name} must be True or False, got {getattr(cluster, name)!r:.40}")
    if not np.isfinite(cluster.sum_embedding).all():
        raise BoundsError("sum_embedding must be finite")
    for name in ("id", "action", "response", "label"):
        check_text(getattr(cluster, name), name)
    for name in ("n", "sum_quality", "sum_quality2"):
        check_number(getattr(cluster, name), name, 0.0, MAX_SUM)
    for name in ("first_s", "last_s"):
        check_number(getattr(cluster, name), name, 0.0, MAX_TIME_S)
    for name, count in cluster.task_types.items():
        check_number(count, f"task_types of {name!r:.60}", 0.0, MAX_SUM)
    tallies: list[tuple[str, Tally | RouteTally]] = [*cluster.agents.items(), *cluster.routes.items()]
    for name, tally in tallies:
        check_number(tally.n, f"n of {name!r:.60}", 0.0, MAX_SUM)
        check_number(tally.sum_quality, f"sum_quality of {name!r:.60}", 0.0, MAX_SUM)
    for exemplar in cluster.exemplars:
        check_number(exemplar.quality, "quality of exemplars", 0.0, 1.0)
        check_number(exemplar.at_s, "at_s of exemplars", 0.0, MAX_TIME_S)
        for text in (exemplar.text, exemplar.agent, exemplar.trajectory_id):
            check_text(text, "exemplars")
    return cluster


def is_library(agent: str) -> bool:
    """Whether an agent of that name gives what it knows, instead of finding it out: its outcomes are the seeds.

    >>> is_library("library"), is_library("library-of-plans"), is_library("librarian")
    (True, True, False)
    """
    return agent == LIBRARY or agent.startswith(f"{LIBRARY}-")


def family_of(cluster: Cluster) -> tuple[str, bool]:
    """Clusters of one family may merge: those about one action, or those of one sign that name no result.

    A failure of a pattern that names no result stays with that pattern: it speaks against it.
    """
    is_its_own = cluster.action == OWN_ACTION + cluster.id
    if is_its_own or (cluster.positive and cluster.action.startswith(OWN_ACTION)):
        return OWN_ACTION, cluster.positive
    return cluster.action, cluster.positive


def cluster_id(action: str, positive: bool, trajectory_id: str) -> str:
    """Stable id of the cluster that a trajectory founds."""
    text = f"{action}\x00{positive:d}\x00{trajectory_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def action_of(response: str) -> str:
    """Id of the action that a response text stands for: equal texts are one action.

    >>> action_of("use json") == action_of("  use json ")
    True
    """
    return hashlib.blake2b(" ".join(response.split()).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _exemplar_order(exemplar: Exemplar) -> tuple[float, str]:
    # By hash among equals: an even sample of the outcomes, the same whichever way clusters were merged.
    text = f"{exemplar.agent}\x00{exemplar.trajectory_id}".encode("utf-8", "surrogatepass")
    return -exemplar.quality, hashlib.blake2b(text, digest_size=8).hexdigest()


def best_exemplars(exemplars: Iterable[Exemplar]) -> tuple[Exemplar, ...]:
    """At most `MAX_EXEMPLARS`, best first, each agent's trajectory once; the same for any order of the input."""
    unique: dict[tuple[str, str], Exemplar] = {}
    for exemplar in sorted(exemplars, key=_exemplar_order):
        unique.setdefault((exemplar.agent, exemplar.trajectory_id), exemplar)
    return tuple(unique.values())[:MAX_EXEMPLARS]


_Tally = TypeVar("_Tally", Tally, RouteTally)


def _sum_by_key(parts: Iterable[Mapping[str, _Tally]]) -> dict[str, _Tally]:
    total: dict[str, _Tally] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total[key] + value if key in total else value
    return total


def merge_clusters(group: Sequence[Cluster]) -> Cluster:
    """One cluster with the sums of `group`; the same for any order of it, up to the rounding of float64 sums.

    Id and action are those of the oldest member, so that they stay when newer clusters join; response and label
    come from the member with most evidence.
    """
    if len(group) == 1:
        return group[0]
    members = sorted(group, key=lambda cluster: (cluster.first_s, cluster.id))
    spokesman = max(members, key=lambda cluster: (cluster.response != "", cluster.n, cluster.id))
    task_types: dict[str, float] = {}
    for member in members:
        for name, count in member.task_types.items():
            task_types[name] = task_types.get(name, 0.0) + count
    return replace(
        members[0],
        response=spokesman.response,
        label=spokesman.label,
        sum_embedding=np.sum([member.sum_embedding for member in members], axis=0),
        n=sum(member.n for member in members),
        sum_quality=sum(member.sum_quality for member in members),
        sum_quality2=sum(member.sum_quality2 for member in members),
        agents=_sum_by_key(member.agents for member in members),
        routes=_sum_by_key(member.routes for member in members),
        task_types=task_types,
        exemplars=best_exemplars(exemplar for member in members for exemplar in member.exemplars),
        first_s=min(member.first_s for member in members),
        last_s=max(member.last_s for member in members),
    )
