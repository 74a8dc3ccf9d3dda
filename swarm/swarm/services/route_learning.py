"""What this process knows of routes: the published statistics, and what it reported itself since."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from swarm.sona.index import Hit
from swarm.sona.routing.features import FeatureMap
from swarm.sona.routing.model import RouteEstimate, RouteModel, RoutePrior
from swarm.sona.routing.near import combined, near_evidence
from swarm.sona.routing.request import MAX_ROUTES_ASKED
from swarm.sona.routing.statistics import NOTHING, offered_tools
from swarm.sona.routing.traits import task_traits
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Doubles, Vector, unit
from swarm.store.reply import stream_position
from swarm.wire.route_records import PublishedRoutes

MAX_OWN = 2_000
"""Outcomes of this process that no published statistics contain yet; beyond them the oldest wait for the merge."""


@dataclass(frozen=True, slots=True)
class _Own:
    trajectory: Trajectory
    stream_id: str
    phi: Doubles = field(repr=False)


class RouteKnowledge:
    """Predictions of this process; safe to use from several threads.

    Every outcome counts once: those of this process at once, until the published statistics contain them.
    """

    def __init__(self, dim: int) -> None:
        self._features = FeatureMap(dim)
        self._lock = threading.Lock()
        self._published = PublishedRoutes(statistics=NOTHING)
        self._priors: dict[str, RoutePrior] = {}
        self._own: deque[_Own] = deque(maxlen=MAX_OWN)
        self._model = RouteModel(NOTHING)

    def follow(self, published: PublishedRoutes | None, priors: Mapping[str, RoutePrior]) -> None:
        """Take in new statistics (None: they are as before) and declarations."""
        with self._lock:
            if published is None and priors == self._priors:
                return
            self._priors = dict(priors)
            if published is not None:
                self._published = published
                self._own = deque((one for one in self._own if not _is_in(one, published)), maxlen=MAX_OWN)
            self._model = RouteModel(self._published.statistics, self._priors)
            for one in self._own:
                self._learn(one)

    @property
    def is_empty(self) -> bool:
        """Whether no route was declared, and none was tried."""
        with self._lock:
            return not self._priors and not self._model.statistics.routes

    def learn(self, trajectory: Trajectory, stream_id: str) -> None:
        """Learn from an outcome that this process reported, if it names a route; `stream_id` "" if it is spooled."""
        if not trajectory.route:
            return
        phi = self.features(trajectory.embedding, trajectory.text, offered_tools(trajectory.context))
        with self._lock:
            self._own.append(_Own(trajectory, stream_id, phi))
            self._learn(self._own[-1])

    def features(self, query: Vector, text: str, tools: Sequence[str]) -> Doubles:
        """phi of a task."""
        return self._features.of(unit(query), task_traits(text, tools))

    def estimates(self, phi: Doubles, near: Sequence[Hit], routes: Sequence[str] | None) -> dict[str, RouteEstimate]:
        """What is expected of each of `routes`; None means those that are known, at most `MAX_ROUTES_ASKED`."""
        around = near_evidence(near)
        with self._lock:
            names = self._known(around) if routes is None else routes
            expected = {name: self._model.estimate(name, phi) for name in names}
        return combined(expected, around)

    def outcomes(self) -> dict[str, tuple[float, float, float, float]]:
        """(outcomes, mean quality, mean cost, mean latency in ms) of every route that was tried."""
        with self._lock:
            routes = self._model.statistics.routes
            return {
                name: (one.n, one.mean_quality, one.mean_cost, one.mean_latency_ms)
                for name, one in sorted(routes.items())
            }

    def _known(self, around: Mapping[str, object]) -> list[str]:
        tried = self._model.statistics.routes
        ordered = sorted(tried, key=lambda name: (-tried[name].n, name))
        return list(dict.fromkeys([*self._priors, *ordered, *sorted(around)]))[:MAX_ROUTES_ASKED]

    def _learn(self, one: _Own) -> None:
        trajectory = one.trajectory
        self._model.learn(trajectory.route, one.phi, trajectory.quality, trajectory.cost, trajectory.latency_ms)


def _is_in(one: _Own, published: PublishedRoutes) -> bool:
    """Whether the statistics contain an outcome; of one that was spooled nobody can tell, so it is left to them."""
    cursor = published.cursors.get(one.trajectory.agent)
    if not one.stream_id:
        return True
    return cursor is not None and stream_position(one.stream_id) <= stream_position(cursor)
