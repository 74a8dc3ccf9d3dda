"""One good record of each kind with the function that reads it, and a good file of an engine."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from swarm.services.verdict import Judged, Verdict, decode_verdict, encode_verdict
from swarm.sona import SonaEngine, load, save
from swarm.sona.boundary import TaskShift
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.export import AgentExport
from swarm.sona.lora import LoraPair
from swarm.sona.reservoir import Reservoir
from swarm.sona.routing.declared import DeclaredRoute
from swarm.sona.routing.features import FeatureMap
from swarm.sona.routing.model import RouteEstimate
from swarm.sona.routing.request import RouteRequest
from swarm.sona.routing.statistics import route_statistics
from swarm.sona.standing import Standing
from swarm.sona.trajectory import Step, Trajectory
from swarm.sona.vectors import Vector, unit
from swarm.wire.codec import encode
from swarm.wire.exports import decode_export, encode_export
from swarm.wire.memory_records import LearnerRecord, decode_learner, decode_sample, encode_learner, encode_sample
from swarm.wire.records import (
    Registration,
    Weights,
    decode_cluster,
    decode_registration,
    decode_trajectory,
    decode_weights,
    encode_cluster,
    encode_registration,
    encode_trajectory,
    encode_weights,
)
from swarm.wire.route_records import (
    Budget,
    Decision,
    PublishedRoutes,
    Session,
    decode_budget,
    decode_decision,
    decode_declared,
    decode_published,
    decode_session,
    decode_statistics,
    encode_budget,
    encode_decision,
    encode_declared,
    encode_published,
    encode_session,
    encode_statistics,
)
from swarm.wire.task_records import TaskRecord, decode_result, decode_status, decode_task, encode_result, encode_task
from swarm.wire.token_records import Role, TokenRecord, decode_token, encode_token

DIM = 32
_STATUS = {
    "state": "running",
    "submitted": 1.5,
    "attempts": 1,
    "replays": 0,
    "deadline": 0,
    "worker": "w",
    "fraction": 0.5,
    "note": "",
    "why": "",
    "cancelled": 0,
}
"""As the scripts pack it."""


def a_vector(seed: int) -> Vector:
    """A direction that only `seed` decides."""
    return unit(np.random.default_rng(seed).standard_normal(DIM).astype(np.float32))


def a_trajectory(seed: int = 0, agent: str = "ada") -> Trajectory:
    """An outcome with a step."""
    return Trajectory(
        id=f"t-{seed}",
        embedding=a_vector(seed),
        quality=float(seed % 2),
        steps=(Step(reward=0.5, activations=a_vector(seed + 1), attention=a_vector(seed + 2)[:4], node="n"),),
        action=f"action-{seed % 5}",
        response="an answer",
        route=("small", "large")[seed % 2],
        cost=0.1,
        latency_ms=20.0,
        text=f"task {seed}",
        agent=agent,
        at_s=1_000.0 + seed,
        context={"tool": "x"},
    )


def a_cluster(seed: int = 0) -> Cluster:
    """The cluster of one outcome."""
    return a_trajectory(seed).as_cluster(0.3)


def an_engine_file() -> bytes:
    """A small engine that has learned, as `save` writes it."""
    engine = SonaEngine(SonaConfig(dim=DIM))
    for seed in range(12):
        engine.submit_trajectory(a_trajectory(seed, "self"))
    engine.force_learn()
    file = io.BytesIO()
    save(engine, file)
    return file.getvalue()


def _export() -> bytes:
    rng = np.random.default_rng(0)
    pairs = [LoraPair.initial(rank, DIM, 1.0, rng) for rank in (4, 2)]
    clusters = tuple(map(a_cluster, range(4)))
    return encode_export(
        AgentExport(
            agent="ada",
            generation=7,
            dim=DIM,
            clusters=clusters,
            base=(pairs[0],),
            micro=pairs[1],
            gain=0.25,
            embedder="hashed:32",
        )
    )


def _decision() -> bytes:
    estimate = RouteEstimate(quality=0.5, quality_error=0.1, outcomes=3.0, cost=0.1, latency_ms=5.0)
    request = RouteRequest(failed=("a",))
    return encode_decision(
        Decision(
            id="d",
            text="a task",
            agent="ada",
            session="s",
            at_s=1.0,
            request=request,
            estimates={"b": estimate},
            route="b",
            why="because",
        )
    )


def _learned() -> tuple[bytes, bytes]:
    trajectories = [a_trajectory(seed) for seed in range(8)]
    task, _ = TaskShift.beginning(DIM).seen(np.stack([one.embedding for one in trajectories]))
    ones = np.full(8, 0.5, dtype=np.float32)
    learner = LearnerRecord(task=task, standing=Standing.of(ones, ones, ones, ones))
    return encode_learner(learner), encode_sample(Reservoir.of(trajectories, DIM))


def good_records() -> Mapping[str, tuple[bytes, Callable[[bytes], object]]]:
    """Kind -> a record, and what reads it."""
    statistics = route_statistics([a_trajectory(seed) for seed in range(12)], FeatureMap(DIM))
    pair = LoraPair.initial(4, DIM, 1.0, np.random.default_rng(0))
    learner, sample = _learned()
    judged = Judged(action="x", agrees=True, probability=0.9, quality=0.9)
    token = TokenRecord(id="0" * 16, role=Role.AGENT, agent="ada", digest=b"d" * 32, created_s=1.0, expires_s=2.0)
    task = TaskRecord(role="coder", text="a task", payload={"a": [1, {"b": b"x"}]}, agent="ada", deadline=10.0)
    return MappingProxyType(
        {
            "trajectory": (encode_trajectory(a_trajectory()), decode_trajectory),
            "cluster": (encode_cluster(a_cluster()), decode_cluster),
            "weights": (encode_weights(Weights(base=(pair,), ewc=EwcMemory.empty())), decode_weights),
            "registration": (
                encode_registration(Registration(role="coder", config=SonaConfig(dim=DIM), registered_s=1.0)),
                decode_registration,
            ),
            "learner": (learner, decode_learner),
            "sample": (sample, decode_sample),
            "statistics": (encode_statistics(statistics), decode_statistics),
            "published": (encode_published(PublishedRoutes(statistics=statistics)), decode_published),
            "declared": (encode_declared(DeclaredRoute(name="small", cost=0.1)), decode_declared),
            "budget": (encode_budget(Budget(amount=1.0, period_s=60.0)), decode_budget),
            "session": (encode_session(Session(route="a", failed=("b",))), decode_session),
            "decision": (_decision(), decode_decision),
            "task": (encode_task(task), decode_task),
            "result": (encode_result({"a": [1, None]}), decode_result),
            "status": (encode("task-state", _STATUS), decode_status),
            "token": (encode_token(token), decode_token),
            "verdict": (
                encode_verdict(Verdict(answer="x", probability=0.9, agreement=1.0, agents={"ada": judged})),
                decode_verdict,
            ),
            "export": (_export(), decode_export),
            "engine": (an_engine_file(), lambda data: load(io.BytesIO(data))),
        }
    )
