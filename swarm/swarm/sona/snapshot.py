"""Engine to bytes and back: NumPy's npz with plain arrays and one JSON text; never pickle.

`save` writes into any binary file object, so the core itself opens no file. What is saved: configuration,
weights, EWC memory, clusters, the buffer of ended trajectories, the state of the random generator.
Open trajectories are not saved: they belong to tasks under way.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from swarm.errors import DamagedRecordError, NewerRecordError, SwarmError
from swarm.sona.clusters import Cluster, Exemplar, RouteTally, Tally
from swarm.sona.config import SonaConfig
from swarm.sona.engine import SonaEngine
from swarm.sona.lora import LoraPair
from swarm.sona.trajectory import Step, Trajectory

FORMAT = 1


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
    clusters = engine.bank.clusters()
    if clusters:
        arrays["cluster_sums"] = np.array([cluster.sum_embedding for cluster in clusters])
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
        "clusters": [cluster_as_dict(cluster) for cluster in clusters],
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
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays["header"].tobytes())
        if header["format"] > FORMAT:
            raise NewerRecordError(f"engine file: format {header['format']}, this program reads up to {FORMAT}")
        return _restore(header, arrays)
    except SwarmError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        EOFError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise DamagedRecordError(f"engine file: not readable ({type(error).__name__}: {error})") from error


def _restore(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> SonaEngine:
    engine = SonaEngine(SonaConfig.from_dict(header["config"]))
    micro, base = engine.adapter.micro, engine.adapter.base
    engine.adapter.set_micro(LoraPair(arrays["micro_down"], arrays["micro_up"], micro.scale))
    engine.adapter.set_base(
        [
            LoraPair(arrays[f"base_down_{layer}"], arrays[f"base_up_{layer}"], pair.scale)
            for layer, pair in enumerate(base)
        ]
    )
    ewc = header["ewc"]
    engine.ewc.importance = [arrays[f"ewc_importance_{i}"] for i in range(ewc["arrays"])]
    engine.ewc.anchor = [arrays[f"ewc_anchor_{i}"] for i in range(ewc["arrays"])]
    engine.ewc.tasks, engine.ewc.constant = ewc["tasks"], ewc["constant"]
    engine.bank.replace(
        cluster_from_dict(values, arrays["cluster_sums"][row]) for row, values in enumerate(header["clusters"])
    )
    for i, values in enumerate(header["buffer"]):
        engine.restore_buffered(trajectory_from_dict(values, i, arrays))
    engine.baseline.value = header["baseline"]
    engine.instant_updates, engine.background_cycles, engine.promotions = header["counts"]
    engine.restore_recorder(header["recorder"])
    engine.restore_rng(header["rng"])
    engine.set_enabled(header["enabled"])
    return engine


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
    return Cluster(sum_embedding=sums, agents=agents, routes=routes, exemplars=exemplars, **plain)


def trajectory_as_dict(trajectory: Trajectory) -> dict[str, Any]:
    """Plain values of a trajectory without its vectors."""
    values = {name: getattr(trajectory, name) for name in Trajectory.__dataclass_fields__}
    del values["embedding"]
    values["context"] = dict(trajectory.context)
    values["steps"] = [
        {"reward": step.reward, "node": step.node, "latency_ms": step.latency_ms} for step in trajectory.steps
    ]
    return values


def trajectory_from_dict(values: Mapping[str, Any], i: int, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Trajectory:
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
