"""Which outcomes a pattern of the bank comes from, as far as the streams still hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarm.errors import RecordError
from swarm.services.agent_ageing import Ages
from swarm.services.merge import MERGE_SIMILARITY
from swarm.services.region import Region
from swarm.sona.bank import near_groups
from swarm.sona.clusters import OWN_ACTION, Cluster, family_of, merge_clusters
from swarm.sona.trajectory import Trajectory
from swarm.store.outcomes import OutcomeStore
from swarm.store.reply import stream_position
from swarm.wire.records import decode_trajectory


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Share:
    """One agent's part in a pattern: its region, and outcomes in it by stream id."""

    agent: str
    region: Region
    outcomes: Mapping[str, Trajectory]


def regions_of(pattern: Cluster, parts: Mapping[str, Sequence[Cluster]], ages: Ages) -> dict[str, Region]:
    """The region of every agent that has a part in a pattern.

    The clusters that the merge would put together are its parts; if the bank is behind what agents hold, so that none
    of its groups is this pattern, those near it are.
    """
    family = family_of(pattern)
    owned = [
        (name, cluster, cluster if (ageing := ages.of(name)) is None else ageing.current(cluster))
        for name, clusters in sorted(parts.items())
        for cluster in clusters
        if family_of(cluster) == family
    ]
    owner = {id(current): (name, cluster) for name, cluster, current in owned}
    groups = near_groups([current for _, _, current in owned], MERGE_SIMILARITY)
    near = [current for _, _, current in owned if float(pattern.centroid.dot(current.centroid)) >= MERGE_SIMILARITY]
    meant = next((group for group in groups if group and merge_clusters(group).id == pattern.id), near)
    inside: dict[str, list[Cluster]] = {}
    for current in meant:
        name, cluster = owner[id(current)]
        inside.setdefault(name, []).append(cluster)
    action = "" if pattern.action.startswith(OWN_ACTION) else pattern.action
    return {
        name: Region.of([c for c in parts[name] if family_of(c) == family], members, action, MERGE_SIMILARITY)
        for name, members in inside.items()
    }


def share_of(agent: str, region: Region, threshold: float, cursor: str, outcomes: OutcomeStore) -> Share:
    """The outcomes in a stream that lie in a region; those that cannot be read are in none."""
    position, found = stream_position(cursor), {}
    for stream_id, record in outcomes.pages("0-0", "+"):
        try:
            outcome = decode_trajectory(record)
        except RecordError:
            continue
        is_waiting = stream_position(stream_id) > position
        if len(outcome.embedding) == region.centroids.shape[1] and region.covers_outcome(
            outcome, threshold, is_waiting=is_waiting
        ):
            found[stream_id] = outcome
    return Share(agent=agent, region=region, outcomes=found)
