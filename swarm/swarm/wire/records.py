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
from swarm.sona.vectors import check_count, check_number, check_vector
from swarm.wire.codec import decode, encode, pack_floats, unpack_floats

_Record = TypeVar("_Record")

_LARGEST = 1e300
"""Sums have no bound of their own; this one keeps NaN and infinity out."""
_TRAJECTORY_TEXTS = ("id", "action", "response", "route", "text", "task_type", "agent")
_CLUSTER_SUMS = ("n", "sum_quality", "sum_quality2", "first_s", "last_s")


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
    return guarded("trajectory", data, _trajectory)


def encode_cluster(cluster: Cluster) -> bytes:
    """A cluster; its sum as float64 bytes, so that adding goes on without rounding."""
    payload = cluster_as_dict(cluster)
    payload["sum_embedding"] = np.ascontiguousarray(cluster.sum_embedding, dtype="<f8").tobytes()
    return encode("cluster", payload)


def decode_cluster(data: bytes) -> Cluster:
    """The inverse of `encode_cluster`."""
    return guarded("cluster", data, _cluster)


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
    return guarded("weights", data, _weights)


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
    return guarded("registration", data, _registration)


def guarded(kind: str, data: bytes, build: Callable[[Mapping[str, Any]], _Record]) -> _Record:
    """`build` of the payload of a record; whatever does not fit there is a `DamagedRecordError`."""
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
        check_number(step["latency_ms"], "latency_ms", 0.0, _LARGEST)
        _check_texts(node=step["node"])
    trajectory = trajectory_from_dict(values, 0, arrays)
    check_vector(trajectory.embedding, dim, "embedding")
    check_number(trajectory.quality, "quality", 0.0, 1.0)
    _check_sums(latency_ms=trajectory.latency_ms, cost=trajectory.cost, at_s=trajectory.at_s)
    _check_texts(**{name: getattr(trajectory, name) for name in _TRAJECTORY_TEXTS})
    for name, text in dict(trajectory.context).items():
        _check_texts(context=name, **{f"context {name}": text})
    return trajectory


def _cluster(payload: Mapping[str, Any]) -> Cluster:
    values = dict(payload)
    sums = np.frombuffer(values.pop("sum_embedding"), dtype="<f8")
    if not np.isfinite(sums).all():
        raise InputError("sum_embedding must be finite")
    cluster = cluster_from_dict(values, sums)
    _check_sums(**{name: getattr(cluster, name) for name in _CLUSTER_SUMS}, **cluster.task_types)
    for tally in (*cluster.agents.values(), *cluster.routes.values()):
        _check_sums(**{name: getattr(tally, name) for name in type(tally).__dataclass_fields__})
    for exemplar in cluster.exemplars:
        check_number(exemplar.quality, "quality", 0.0, 1.0)
        _check_sums(at_s=exemplar.at_s)
        _check_texts(text=exemplar.text, agent=exemplar.agent, trajectory_id=exemplar.trajectory_id)
    _check_texts(id=cluster.id, action=cluster.action, response=cluster.response, label=cluster.label)
    if not isinstance(cluster.positive, bool):
        raise InputError(f"positive must be True or False, got {cluster.positive!r:.40}")
    return cluster


def _weights(payload: Mapping[str, Any]) -> Weights:
    shape = (int(check_number(payload["rank"], "rank", 1, 1024)), int(check_number(payload["dim"], "dim", 1, 65_536)))
    base = tuple(
        LoraPair(
            unpack_floats(down, shape, "down"),
            unpack_floats(up, shape, "up"),
            check_number(scale, "scale", -_LARGEST, _LARGEST),
        )
        for scale, up, down in payload["base"]
    )
    importance = [unpack_floats(array, shape, "importance") for array in payload["importance"]]
    anchor = [unpack_floats(array, shape, "anchor") for array in payload["anchor"]]
    if not base or {len(importance), len(anchor)} not in ({0}, {2 * len(base)}):
        raise InputError(f"{len(base)} pairs do not go with {len(importance)} importances and {len(anchor)} anchors")
    constant = check_number(payload["constant"], "constant", -_LARGEST, _LARGEST)
    return Weights(base=base, ewc=EwcMemory(importance, anchor, constant, check_count(payload["tasks"], "tasks", 0, 2**53)))


def _registration(payload: Mapping[str, Any]) -> Registration:
    _check_texts(role=payload["role"])
    return Registration(
        role=payload["role"],
        config=SonaConfig.from_dict(payload["config"]),
        registered_s=check_number(payload["registered_s"], "registered_s", 0.0, _LARGEST),
    )


def _check_texts(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, str):
            raise InputError(f"{name} must be text, got {type(value).__name__}")


def _check_sums(**values: object) -> None:
    for name, value in values.items():
        check_number(value, name, 0.0, _LARGEST)
