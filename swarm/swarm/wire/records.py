"""Records: the objects of the core as payloads of `codec`, and back.

Decoding checks types and bounds, because bytes in Redis may come from elsewhere; what does not fit is a
`DamagedRecordError`, never an exception of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from swarm.embed.text import MAX_TEXT_BYTES
from swarm.errors import DamagedRecordError, InputError
from swarm.sona.clusters import MAX_TIME_S, Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.lora import LoraPair
from swarm.sona.snapshot import cluster_as_dict, cluster_from_dict, trajectory_from_dict
from swarm.sona.trajectory import Trajectory, checked_values
from swarm.sona.vectors import check_count, check_number, check_numbers, check_text
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy
from swarm.wire.codec import MAX_RECORD_BYTES, decode, encode, pack_floats, unpack_floats

_Record = TypeVar("_Record")

_LARGEST = 1e15
_LARGEST_SUM = 1e300
"""No number of outcomes reaches it; it keeps NaN and infinity out."""
_MAX_STEPS = 1_000_000
"""More than a record can hold."""
_ENVELOPE = 4096
"""More than the bytes of a record of weights that are not floats."""
_MAX_NAME = 1024
_TRAJECTORY_TEXTS = {"text": MAX_TEXT_BYTES, "response": MAX_TEXT_BYTES} | dict.fromkeys(
    ("id", "action", "route", "task_type", "agent"), _MAX_NAME
)
"""Characters at most. A cluster remembers several outcomes, and must stay below the bound of a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a swarm knows of an agent: its role, the configuration its consolidation uses, and its policy."""

    role: str
    config: SonaConfig
    registered_s: float
    template: str = ""
    """What it was made from, for people; "" if that was no template."""
    policy: AgentPolicy = NO_POLICY


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The base tier of one generation with its EWC memory."""

    base: tuple[LoraPair, ...]
    ewc: EwcMemory


def encode_trajectory(trajectory: Trajectory) -> bytes:
    """A trajectory; vectors as float32 bytes.

    Raises
    ------
    InputError
        If a value is of the wrong type or out of its bounds: what is encoded can be decoded.
    CapacityError
        If the record would be too large.
    """
    values = _checked_values(trajectory)
    payload = {name: getattr(trajectory, name) for name in Trajectory.__dataclass_fields__} | values
    payload["embedding"] = pack_floats(values["embedding"])
    payload["steps"] = [
        {
            "reward": step.reward,
            "node": step.node,
            "latency_ms": step.latency_ms,
            "activations": None if step.activations is None else pack_floats(step.activations),
            "attention": None if step.attention is None else pack_floats(step.attention),
        }
        for step in values["steps"]
    ]
    return encode("trajectory", payload)


def decode_trajectory(data: bytes) -> Trajectory:
    """The inverse of `encode_trajectory`."""
    return guarded("trajectory", data, _trajectory)


def begun_at(data: bytes) -> float:
    """When a stored trajectory was begun, seconds since the epoch; the rest of it is not looked at.

    Raises
    ------
    RecordError
        If it cannot be read.
    """
    return guarded("trajectory", data, lambda payload: check_number(payload["at_s"], "at_s", 0.0, MAX_TIME_S))


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


def check_weights_fit(config: SonaConfig) -> None:
    """Refuse a configuration whose weights would not fit into a record: no generation could ever be committed."""
    floats = 6 * config.base_lora_rank * config.base_lora_layers * config.dim  # two factors, importance and anchor each
    if 4 * floats > MAX_RECORD_BYTES - _ENVELOPE:
        raise InputError(
            f"config: base_lora_rank * base_lora_layers * dim must be at most {(MAX_RECORD_BYTES - _ENVELOPE) // 24}, "
            f"got {floats // 6}"
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
            "template": registration.template,
            "policy": registration.policy.as_dict(),
        },
    )


def decode_registration(data: bytes) -> Registration:
    """The inverse of `encode_registration`."""
    return guarded("registration", data, _registration)


def role_of(data: bytes) -> str:
    """The role in a registration, without its configuration, which takes ten times as long to check."""
    return guarded("registration", data, lambda payload: check_text(payload["role"], "role"))


def policy_of(data: bytes) -> AgentPolicy:
    """The policy in a registration, likewise."""
    return guarded("registration", data, _policy)


def guarded(kind: str, data: bytes, build: Callable[[Mapping[str, Any]], _Record]) -> _Record:
    """`build` of the payload of a record; whatever does not fit there is a `DamagedRecordError`."""
    payload = decode(kind, data)
    try:
        return build(payload)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DamagedRecordError(f"{kind} record: {type(error).__name__}: {error}") from error


def _fields_of(kind: type[Trajectory | Cluster], payload: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, all fields of `kind` and no other in it: a default would stand in for what is missing."""
    if payload.keys() != kind.__dataclass_fields__.keys():
        raise InputError(f"the fields are not those of a {kind.__name__}")
    return dict(payload)


def _trajectory(payload: Mapping[str, Any]) -> Trajectory:
    values = _fields_of(Trajectory, payload)
    data = values.pop("embedding")
    dim = len(data) // 4
    arrays = {"trajectory_0": unpack_floats(data, (dim,), "embedding")}
    values["steps"] = [dict(step) for step in values["steps"]]
    for j, step in enumerate(values["steps"]):
        for name in ("activations", "attention"):
            vector = step.pop(name)
            if vector is not None:
                arrays[f"trajectory_0_{j}_{name}"] = unpack_floats(vector, (len(vector) // 4,), name)
    return _checked(trajectory_from_dict(values, 0, arrays))


def _checked(trajectory: Trajectory) -> Trajectory:
    return replace(trajectory, **_checked_values(trajectory))


def _checked_values(trajectory: Trajectory) -> dict[str, Any]:
    if not isinstance(trajectory, Trajectory):
        raise InputError(f"trajectory must be a Trajectory, got {type(trajectory).__name__}")
    values = checked_values(trajectory, len(check_numbers(trajectory.embedding, "embedding")), _MAX_STEPS)
    for name, bound in _TRAJECTORY_TEXTS.items():
        if len(getattr(trajectory, name)) > bound:
            raise InputError(f"{name} may have {bound} characters at most, got {len(getattr(trajectory, name))}")
    return values


def _cluster(payload: Mapping[str, Any]) -> Cluster:
    values = _fields_of(Cluster, payload)
    sums = np.frombuffer(values.pop("sum_embedding"), dtype="<f8")
    for name, numbers in (*payload["agents"].items(), *payload["routes"].items()):
        for number in numbers:
            check_number(number, name, 0.0, _LARGEST_SUM)
    return cluster_from_dict(values, sums)


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
    constant = check_number(payload["constant"], "constant", -_LARGEST_SUM, _LARGEST_SUM)
    tasks = check_count(payload["tasks"], "tasks", 0, 2**53)
    return Weights(base=base, ewc=EwcMemory(importance, anchor, constant, tasks))


def _registration(payload: Mapping[str, Any]) -> Registration:
    return Registration(
        role=check_text(payload["role"], "role"),
        config=SonaConfig.from_dict(payload["config"]),
        registered_s=check_number(payload["registered_s"], "registered_s", 0.0, _LARGEST),
        template=check_text(payload["template"], "template") if "policy" in payload else "",
        policy=_policy(payload),
    )


def _policy(payload: Mapping[str, Any]) -> AgentPolicy:
    # Registrations of schema 1 have neither a template nor a policy.
    return AgentPolicy.from_dict(payload["policy"]) if "template" in payload else NO_POLICY
