"""What consolidation and merge do for the router: an agent's statistics grow, the swarm's are their sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarm.sona.routing.features import FeatureMap
from swarm.sona.routing.statistics import NOTHING, RouteStatistics, route_statistics, sum_statistics
from swarm.sona.trajectory import Trajectory
from swarm.store.agents import AgentState, AgentStore
from swarm.store.lease import Lease
from swarm.store.routes import RouteStore
from swarm.wire.route_records import PublishedRoutes, decode_statistics, encode_statistics

MAX_PUBLISHED = 48
"""Routes with statistics of the swarm, those with most outcomes: what fits into a record."""


def new_routes(stored: bytes | None, trajectories: Sequence[Trajectory], dim: int) -> dict[str, bytes]:
    """The record `routes` of an agent after further outcomes; empty if none of them names a route.

    Parameters
    ----------
    stored : the record of the generation before, None if there was none
    """
    added = route_statistics(trajectories, FeatureMap(dim))
    if not added.routes:
        return {}
    before = NOTHING if stored is None else decode_statistics(stored)
    return {"routes": encode_statistics((before + added).most_used())}


class RouteMerger:
    """Publishes the sum over the agents; keeps those of unchanged generations in memory."""

    def __init__(self, agents: AgentStore, routes: RouteStore) -> None:
        self._agents = agents
        self._routes = routes
        self._known: dict[str, tuple[int, RouteStatistics]] = {}

    def publish(self, lease: Lease, states: Mapping[str, AgentState]) -> None:
        """Replace the swarm's statistics by the sum over the agents as `states` has them.

        A function of the set of generations: each counts once, in whatever order, and done twice it is the same.

        Raises
        ------
        StaleWriterError
            If the lease was lost; nothing was written.
        """
        stale = [name for name, state in states.items() if self._known.get(name, (None,))[0] != state.generation]
        for name, stored in self._agents.routes_of(stale).items():
            statistics = NOTHING if stored is None else decode_statistics(stored)
            self._known[name] = (states[name].generation, statistics)
        parts = [self._known[name][1] for name in sorted(states)]
        published = PublishedRoutes(
            statistics=sum_statistics(parts).most_used(MAX_PUBLISHED),
            cursors={name: state.cursor for name, state in states.items()},
        )
        self._routes.publish(lease, published)
