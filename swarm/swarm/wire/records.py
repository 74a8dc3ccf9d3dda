"""Records: the objects of the core as payloads of `codec`, and back.

Decoding checks types and bounds, because bytes in Redis may come from elsewhere; what does not fit is a
`DamagedRecordError`, never an exception of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from swarm.errors import DamagedRecordError, InputError
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.lora import LoraPair
from swarm.sona.snapshot import cluster_as_dict, cluster_from_dict, trajectory_as_dict, trajectory_from_dict
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import check_number, check_vector
from swarm.wire.codec import decode, encode, pack_floats, unpack_floats

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a swarm knows of an agent: its role, and the configuration its consolidation uses."""

    role: str
    config: SonaConfig
    registered_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The base tier of one generation with its EWC memory."""

    base: tuple[LoraPair, ...]
    ewc: EwcMemory


def encode_trajectory(trajectory: Trajectory) -> bytes:
    """A trajectory; vectors as float32 bytes."""
    payload = trajectory_as_dict(trajectory)
    payload["embedding"] = pack_floats(trajectory.embedding)
    for step, values in zip(trajectory.steps, payload["steps"], strict=True):
        values["activations"] = None if step.activations is None else pack_floats(step.activations)
        values["attention"] = None if step.attention is None else pack_floats(step.attention)
    return encode("trajectory", payload)


def decode_trajectory(data: bytes) -> Trajectory:
    """The inverse of `encode_trajectory`."""
    return _guarded("trajectory", data, _trajectory)


def encode_cluster(cluster: Cluster) -> bytes:
    """A cluster; its sum as float64 bytes, so that adding goes on without rounding."""
    payload = cluster_as_dict(cluster)
    payload["sum_embedding"] = np.ascontiguousarray(cluster.sum_embedding, dtype="<f8").tobytes()
    return encode("cluster", payload)


def decode_cluster(data: bytes) -> Cluster:
    """The inverse of `encode_cluster`."""
    return _guarded("cluster", data, _cluster)


def encode_weights(weights: Weights) -> bytes:
    """The base tier and the EWC sums."""
    rank, dim = weights.base[0].up.shape
    return encode(
        "weights",
        {
            "rank": rank,
            "dim": dim,
            "base": [[pair.scale, pack_floats(pair.up), pack_floats(pair.down)] for pair in weights.base],
            "importance": [pack_floats(array) for array in weights.ewc.importance],
            "anchor": [pack_floats(array) for array in weights.ewc.anchor],
            "constant": weights.ewc.constant,
            "tasks": weights.ewc.tasks,
        },
    )


def decode_weights(data: bytes) -> Weights:
    """The inverse of `encode_weights`."""
    return _guarded("weights", data, _weights)


def encode_registration(registration: Registration) -> bytes:
    """An agent's registration."""
    return encode(
        "registration",
        {
            "role": registration.role,
            "config": registration.config.as_dict(),
            "registered_s": registration.registered_s,
        },
    )


def decode_registration(data: bytes) -> Registration:
    """The inverse of `encode_registration`."""
    return _guarded("registration", data, _registration)


def _guarded(kind: str, data: bytes, build: Callable[[Mapping[str, Any]], _Record]) -> _Record:
    payload = decode(kind, data)
    try:
        return build(payload)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DamagedRecordError(f"{kind} record: {type(error).__name__}: {error}") from error


def _trajectory(payload: Mapping[str, Any]) -> Trajectory:
    values = dict(payload)
    data = values.pop("embedding")
    dim = len(data) // 4
    arrays = {"trajectory_0": unpack_floats(data, (dim,), "embedding")}
    values["steps"] = [dict(step) for step in values["steps"]]
    for j, step in enumerate(values["steps"]):
        for name in ("activations", "attention"):
            vector = step.pop(name)
            if vector is not None:
                arrays[f"trajectory_0_{j}_{name}"] = unpack_floats(vector, (len(vector) // 4,), name)
        check_number(step["reward"], "reward", 0.0, 1.0)
    trajectory = trajectory_from_dict(values, 0, arrays)
    check_vector(trajectory.embedding, dim, "embedding")
    check_number(trajectory.quality, "quality", 0.0, 1.0)
    for name in ("latency_ms", "cost", "at_s"):
        check_number(getattr(trajectory, name), name, 0.0, 1e15)
    for name in ("id", "action", "response", "route", "text", "task_type", "agent"):
        if not isinstance(getattr(trajectory, name), str):
            raise InputError(f"{name} must be text, got {type(getattr(trajectory, name)).__name__}")
    return trajectory


def _cluster(payload: Mapping[str, Any]) -> Cluster:
    values = dict(payload)
    sums = np.frombuffer(values.pop("sum_embedding"), dtype="<f8")
    if not np.isfinite(sums).all():
        raise InputError("sum_embedding must be finite")
    cluster = cluster_from_dict(values, sums)
    for name in ("n", "sum_quality", "sum_quality2"):
        check_number(getattr(cluster, name), name, 0.0, 1e15)
    return cluster


def _weights(payload: Mapping[str, Any]) -> Weights:
    shape = (int(check_number(payload["rank"], "rank", 1, 1024)), int(check_number(payload["dim"], "dim", 1, 65_536)))
    base = tuple(
        LoraPair(unpack_floats(down, shape, "down"), unpack_floats(up, shape, "up"), float(scale))
        for scale, up, down in payload["base"]
    )
    ewc = EwcMemory(
        [unpack_floats(array, shape, "importance") for array in payload["importance"]],
        [unpack_floats(array, shape, "anchor") for array in payload["anchor"]],
        float(payload["constant"]),
        int(payload["tasks"]),
    )
    return Weights(base=base, ewc=ewc)


def _registration(payload: Mapping[str, Any]) -> Registration:
    return Registration(
        role=str(payload["role"]),
        config=SonaConfig.from_dict(payload["config"]),
        registered_s=float(payload["registered_s"]),
    )
