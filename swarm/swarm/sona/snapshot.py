"""Engine to bytes and back: NumPy's npz with plain arrays and one JSON text; never pickle.

`save` writes into any binary file object, so the core itself opens no file. What is saved: configuration,
weights, EWC memory, clusters and how often they were found, the buffer of ended trajectories, counts, the time of
the last background cycle, the state of the random generator. Open trajectories are not saved: they belong to
tasks under way.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, Any, TypeAlias

import numpy as np

from swarm.errors import DamagedRecordError, NewerRecordError, RecordError
from swarm.sona.boundary import TaskShift
from swarm.sona.clusters import MAX_SUM, MAX_TIME_S, Cluster, Exemplar, RouteTally, Tally, check_cluster
from swarm.sona.config import SonaConfig
from swarm.sona.credit import credit_as_dict, credit_from_dict
from swarm.sona.engine import SonaEngine
from swarm.sona.ewc import EwcMemory
from swarm.sona.lora import LoraPair
from swarm.sona.reservoir import Reservoir
from swarm.sona.standing import Standing
from swarm.sona.training import flatten
from swarm.sona.trajectory import Step, Trajectory
from swarm.sona.vectors import Vector, check_count, check_number, check_text

FORMAT = 2
_MANY = 2**63 - 1
Arrays: TypeAlias = Mapping[str, np.ndarray[Any, Any]]


def save(engine: SonaEngine, file: IO[bytes]) -> None:
    """Write `engine` into an open binary file."""
    engine.run_instant_cycle()
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "micro_up": engine.adapter.micro.up,
        "micro_down": engine.adapter.micro.down,
    }
    for layer, pair in enumerate(engine.adapter.base):
        arrays[f"base_up_{layer}"], arrays[f"base_down_{layer}"] = pair.up, pair.down
    for i, (weight, anchor) in enumerate(zip(engine.ewc.importance, engine.ewc.anchor, strict=True)):
        arrays[f"ewc_importance_{i}"], arrays[f"ewc_anchor_{i}"] = weight, anchor
    parts = [(agent, cluster) for agent, clusters in engine.bank.parts.items() for cluster in clusters]
    if parts:
        arrays["cluster_sums"] = np.array([cluster.sum_embedding for _, cluster in parts])
    sample, task = engine.reservoir, engine.task
    arrays["sample_embeddings"], arrays["sample_qualities"] = sample.embeddings, sample.qualities
    arrays["task_sums"] = np.array([task.total, task.waiting, task.strange])
    buffered = engine.buffered()
    for i, trajectory in enumerate(buffered):
        arrays[f"trajectory_{i}"] = trajectory.embedding
        for j, step in enumerate(trajectory.steps):
            for name, vector in (("activations", step.activations), ("attention", step.attention)):
                if vector is not None:
                    arrays[f"trajectory_{i}_{j}_{name}"] = vector
    header = {
        "format": FORMAT,
        "config": engine.config.as_dict(),
        "ewc": {
            "tasks": engine.ewc.tasks,
            "constant": engine.ewc.constant,
            "arrays": len(engine.ewc.importance),
        },
        "baseline": engine.baseline.value,
        "enabled": engine.is_enabled,
        "counts": [engine.instant_updates, engine.background_cycles, engine.promotions],
        "last_cycle_s": engine.last_cycle_s,
        "agent": engine.agent,
        "clusters": [[agent, cluster_as_dict(cluster)] for agent, cluster in parts],
        "silent": sorted(engine.bank.silent),
        "sample": [sample.ids, sample.actions],
        "task": [task.n, task.waiting_n, task.strange_n, task.strange_batches, task.tasks],
        "standing": engine.standing.as_dict(),
        "credit": credit_as_dict(engine.credit),
        "accesses": engine.bank.accesses,
        "buffer": [trajectory_as_dict(trajectory) for trajectory in buffered],
        "recorder": engine.recorder_state(),
        "rng": engine.rng_state(),
    }
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own parameters


def load(file: IO[bytes]) -> SonaEngine:
    """The engine that `save` wrote.

    Raises
    ------
    DamagedRecordError
        If the file is cut, corrupted or something else.
    NewerRecordError
        If a newer version wrote it.
    """
    try:
        arrays = _arrays(file)
        header = json.loads(arrays["header"].tobytes())
        check_number(header["format"], "format", 1, math.inf)
        if header["format"] > FORMAT:
            raise NewerRecordError(f"engine file: format {header['format']}, this program reads up to {FORMAT}")
        return _restore(header, arrays)
    except RecordError:
        raise
    except Exception as error:
        # Damage can surface as nearly anything: zipfile, zlib, tokenize and NumPy each raise errors of their own.
        raise DamagedRecordError(f"engine file: not readable ({type(error).__name__}: {error!s:.200})") from error


def _arrays(file: IO[bytes]) -> Arrays:
    with np.load(file, allow_pickle=False) as archive:
        # NumPy may stop before the end of a member whose header is damaged, and then nobody compares its checksum.
        damaged = archive.zip.testzip()
        if damaged is not None:
            raise DamagedRecordError(f"engine file: the checksum of {damaged!r:.80} does not fit")
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
            raise DamagedRecordError("engine file: `save` does not compress, this one is compressed")
        return {name: archive[name] for name in archive.files}


def _restore(header: Mapping[str, Any], arrays: Arrays) -> SonaEngine:
    engine = SonaEngine(SonaConfig.from_dict(header["config"]), agent=check_text(header["agent"], "agent"))
    micro, base = engine.adapter.micro, engine.adapter.base
    engine.adapter.set_micro(_pair("micro", "", micro, arrays))
    engine.adapter.set_base([_pair("base", f"_{layer}", pair, arrays) for layer, pair in enumerate(base)])
    engine.ewc = _ewc(header["ewc"], flatten(base), arrays)
    parts: dict[str, list[Cluster]] = {}
    for row, (agent, values) in enumerate(header["clusters"]):
        parts.setdefault(check_text(agent, "agent"), []).append(cluster_from_dict(values, arrays["cluster_sums"][row]))
    engine.bank.replace(parts, header["silent"])
    engine.reservoir = _sample(header["sample"], engine.config.dim, arrays)
    engine.task = task_from(header["task"], _sums(arrays["task_sums"], engine.config.dim))
    engine.standing = Standing.from_dict(header["standing"])
    engine.credit = credit_from_dict(header["credit"])
    engine.bank.accesses = {str(name): check_count(n, "accesses", 0, _MANY) for name, n in header["accesses"].items()}
    for i, values in enumerate(header["buffer"]):
        engine.restore_buffered(trajectory_from_dict(values, i, arrays))
    engine.baseline.value = check_number(header["baseline"], "baseline", 0.0, 1.0)
    engine.instant_updates, engine.background_cycles, engine.promotions = _counts(header["counts"])
    if header["last_cycle_s"] is not None:
        engine.last_cycle_s = check_number(header["last_cycle_s"], "last_cycle_s", 0.0, MAX_TIME_S)
    engine.restore_recorder(_counts(header["recorder"]))
    engine.restore_rng(header["rng"])
    engine.set_enabled(header["enabled"])
    return engine


def _counts(values: Sequence[object]) -> list[int]:
    return [check_count(value, "counts", 0, _MANY) for value in values]


def _pair(tier: str, suffix: str, like: LoraPair, arrays: Arrays) -> LoraPair:
    down, up = (_weights(arrays[f"{tier}_{name}{suffix}"], like.up) for name in ("down", "up"))
    return LoraPair(down, up, like.scale)


def _ewc(values: Mapping[str, Any], parameters: Sequence[Vector], arrays: Arrays) -> EwcMemory:
    memory = EwcMemory.empty()
    if values["arrays"]:
        memory.importance = [_weights(arrays[f"ewc_importance_{i}"], p) for i, p in enumerate(parameters)]
        memory.anchor = [_weights(arrays[f"ewc_anchor_{i}"], p) for i, p in enumerate(parameters)]
    memory.tasks = check_count(values["tasks"], "tasks", 0, _MANY)
    memory.constant = check_number(values["constant"], "constant", 0.0, math.inf)
    return memory


def _sample(names: Sequence[Sequence[str]], dim: int, arrays: Arrays) -> Reservoir:
    ids, actions = ([check_text(name, "sample") for name in part] for part in names)
    embeddings, qualities = arrays["sample_embeddings"], arrays["sample_qualities"]
    shapes = (embeddings.shape, qualities.shape, len(actions))
    if shapes != ((len(ids), dim), (len(ids),), len(ids)) or not np.isfinite(embeddings).all():
        raise DamagedRecordError(f"engine file: a sample of {len(ids)} outcomes has the shapes {shapes}")
    if not ((qualities >= 0.0) & (qualities <= 1.0)).all():
        raise DamagedRecordError("engine file: qualities of the sample must be in 0..1")
    return Reservoir.made(ids, embeddings, actions, qualities)


def _sums(array: np.ndarray[Any, Any], dim: int) -> np.ndarray[Any, Any]:
    if array.shape != (3, dim) or not np.isfinite(array).all():
        raise DamagedRecordError(f"engine file: expected three finite sums of {dim} numbers, got shape {array.shape}")
    return array


def task_from(counts: Sequence[object], sums: np.ndarray[Any, Any]) -> TaskShift:
    """The task that an agent is in, from its counts and its three sums of shape (d,)."""
    n, waiting_n, strange_n, batches, tasks = counts
    if sums.ndim != 2 or len(sums) != 3 or not np.isfinite(sums).all():
        raise DamagedRecordError(f"task: expected three finite sums, got shape {sums.shape}")
    total, waiting, strange = sums.astype(np.float64)
    return TaskShift(
        check_number(n, "n", 0.0, MAX_SUM),
        total,
        check_number(waiting_n, "waiting_n", 0.0, MAX_SUM),
        waiting,
        check_number(strange_n, "strange_n", 0.0, MAX_SUM),
        strange,
        check_count(batches, "strange_batches", 0, _MANY),
        check_count(tasks, "tasks", 0, _MANY),
    )


def _weights(array: np.ndarray[Any, Any], like: Vector) -> Vector:
    if array.dtype != like.dtype or array.shape != like.shape or not np.isfinite(array).all():
        raise DamagedRecordError(f"engine file: expected finite {like.dtype} of shape {like.shape}")
    return array


def cluster_as_dict(cluster: Cluster) -> dict[str, Any]:
    """Plain values of a cluster without its `sum_embedding`."""
    return {
        "id": cluster.id,
        "action": cluster.action,
        "positive": cluster.positive,
        "response": cluster.response,
        "n": cluster.n,
        "sum_quality": cluster.sum_quality,
        "sum_quality2": cluster.sum_quality2,
        "agents": {name: [tally.n, tally.sum_quality] for name, tally in cluster.agents.items()},
        "routes": {
            name: [route.n, route.sum_quality, route.sum_quality2, route.sum_latency_ms, route.sum_cost]
            for name, route in cluster.routes.items()
        },
        "task_types": dict(cluster.task_types),
        "exemplars": [[e.text, e.quality, e.agent, e.trajectory_id, e.at_s] for e in cluster.exemplars],
        "first_s": cluster.first_s,
        "last_s": cluster.last_s,
        "label": cluster.label,
        "confirmed": cluster.confirmed,
    }


def cluster_from_dict(values: Mapping[str, Any], sum_embedding: np.ndarray[Any, Any]) -> Cluster:
    """The inverse of `cluster_as_dict`; a missing or extra name is a `KeyError` or `TypeError`."""
    plain = dict(values)
    agents = {
        str(name): Tally(n=float(n), sum_quality=float(quality)) for name, (n, quality) in plain.pop("agents").items()
    }
    routes = {
        str(name): RouteTally(
            n=float(n),
            sum_quality=float(quality),
            sum_quality2=float(quality2),
            sum_latency_ms=float(latency),
            sum_cost=float(cost),
        )
        for name, (n, quality, quality2, latency, cost) in plain.pop("routes").items()
    }
    exemplars = tuple(
        Exemplar(text=text, quality=quality, agent=agent, trajectory_id=trajectory_id, at_s=at_s)
        for text, quality, agent, trajectory_id, at_s in plain.pop("exemplars")
    )
    sums = np.array(sum_embedding, dtype=np.float64)
    return check_cluster(Cluster(sum_embedding=sums, agents=agents, routes=routes, exemplars=exemplars, **plain))


def trajectory_as_dict(trajectory: Trajectory) -> dict[str, Any]:
    """Plain values of a trajectory without its vectors."""
    values = {name: getattr(trajectory, name) for name in Trajectory.__dataclass_fields__}
    del values["embedding"]
    values["context"] = dict(trajectory.context)
    values["steps"] = [
        {"reward": step.reward, "node": step.node, "latency_ms": step.latency_ms} for step in trajectory.steps
    ]
    return values


def trajectory_from_dict(values: Mapping[str, Any], i: int, arrays: Arrays) -> Trajectory:
    """The inverse of `trajectory_as_dict`, with the vectors of the i-th trajectory of `arrays`."""
    plain = dict(values)
    steps = tuple(
        Step(
            activations=arrays.get(f"trajectory_{i}_{j}_activations"),
            attention=arrays.get(f"trajectory_{i}_{j}_attention"),
            **step,
        )
        for j, step in enumerate(plain.pop("steps"))
    )
    return Trajectory(embedding=arrays[f"trajectory_{i}"], steps=steps, **plain)
