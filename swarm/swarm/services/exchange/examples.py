"""Single outcomes of an agent, for training other models: those of its stream, and what clusters keep of older ones."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.errors import RecordError
from swarm.services.swarm import Swarm
from swarm.sona.clusters import Cluster
from swarm.sona.vectors import Vector, unit
from swarm.wire.agent_file import PortableAgent
from swarm.wire.records import decode_trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One outcome. `vector` (d,) is of unit length: the task's own, or the mean of its cluster's for an older one.

    `is_whole` where the outcome itself is stored still; else route, latency and cost are not known any more.
    """

    trajectory: str
    prompt: str
    response: str
    quality: float
    action: str
    task_type: str
    route: str
    latency_ms: float
    cost: float
    at_s: float
    vector: Vector
    is_whole: bool


def read_examples(portable: PortableAgent, swarm: Swarm) -> list[Example]:
    """All outcomes of an agent that can be read, oldest first, each trajectory once.

    What was taken back or cannot be read is left out, and so is what waits: the export is of one generation.
    """
    agent, dim = portable.agent, portable.embedder.dim
    outcomes, forgotten = swarm.outcomes(agent), swarm.agents.forgotten(agent)
    found: dict[str, Example] = {}
    for stream_id, record in outcomes.pages("0-0", swarm.agents.state(agent).cursor):
        if forgotten.covers(stream_id):
            continue
        try:
            one = decode_trajectory(record)
        except RecordError:
            # Consolidation says why.
            continue
        if len(one.embedding) == dim:
            found[one.id] = Example(
                trajectory=one.id,
                prompt=one.text,
                response=one.response,
                quality=one.quality,
                action=one.action,
                task_type=one.task_type,
                route=one.route,
                latency_ms=one.latency_ms,
                cost=one.cost,
                at_s=one.at_s,
                vector=unit(one.embedding),
                is_whole=True,
            )
    for cluster in portable.clusters:
        for older in _remembered(cluster):
            found.setdefault(older.trajectory, older)
    return sorted(found.values(), key=lambda one: (one.at_s, one.trajectory))


def _remembered(cluster: Cluster) -> list[Example]:
    centroid = cluster.centroid
    return [
        Example(
            trajectory=one.trajectory_id,
            prompt=one.text,
            response=cluster.response,
            quality=one.quality,
            action=cluster.action,
            task_type=cluster.task_type,
            route="",
            latency_ms=0.0,
            cost=0.0,
            at_s=one.at_s,
            vector=centroid,
            is_whole=False,
        )
        for one in cluster.exemplars
    ]
