"""What the tests of records, stores, services and agents share: made-up outcomes, and processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from swarm.embed import HashedEmbedder
from swarm.services.receipts import Receipt
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector, unit
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import Registration

T = TypeVar("T")
Report = Callable[[str, int, int], list[Receipt]]
"""Reports outcomes FIRST..LAST-1 of an agent."""
DIM = 32
EMBEDDER = f"hashed:{DIM}"
TESTS = Path(__file__).resolve().parent


def some_vector(seed: int, dim: int = DIM) -> Vector:
    """A direction that only `seed` decides."""
    return unit(np.random.default_rng(seed).standard_normal(dim).astype(np.float32))


def some_outcome(number: int, agent: str = "coder-1", *, actions: int = 5) -> Trajectory:
    """An outcome that only its number decides: every third one is a failure."""
    return Trajectory(
        id=f"{agent}-{number}",
        embedding=some_vector(number),
        quality=0.0 if number % 3 == 2 else 1.0,
        action=f"action-{number % actions}",
        response=f"do {number % actions}",
        route=f"route-{number % 2}",
        latency_ms=float(number),
        cost=0.5,
        text=f"task {number}",
        agent=agent,
        at_s=1000.0 + number,
    )


def some_cluster(number: int, agent: str = "coder-1", *, actions: int = 5) -> Cluster:
    """The cluster of one outcome."""
    return some_outcome(number, agent, actions=actions).as_cluster(0.3)


def outcomes_in(clusters: list[Cluster]) -> float:
    """How many outcomes the clusters hold."""
    return sum(cluster.n for cluster in clusters)


def make_swarm(settings: Settings, client: Client | None = None) -> Swarm:
    """A swarm with the quick embedder."""
    return Swarm(settings.model_copy(update={"embedder": EMBEDDER}), client=client, embedder=HashedEmbedder(DIM))


def agent_store(client: Client, settings: Settings) -> AgentStore:
    return AgentStore(client, SwarmKeys(settings.name))


def bank_store(client: Client, settings: Settings) -> BankStore:
    return BankStore(client, SwarmKeys(settings.name))


def a_registration(role: str = "coder") -> Registration:
    return Registration(role=role, config=SonaConfig(dim=DIM), registered_s=1.0)


def environment(settings: Settings) -> dict[str, str]:
    """What a process of this swarm has in its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
    return kept | {
        "SWARM_NAME": settings.name,
        "SWARM_REDIS_URL": settings.broker_url,
        "SWARM_STATE_DIR": str(settings.state_dir),
        "SWARM_EMBEDDER": EMBEDDER,
        "SWARM_CONSOLIDATE_DELAY": str(settings.consolidate_delay),
        "SWARM_CONSOLIDATE_BATCH": str(settings.consolidate_batch),
        "SWARM_LEASE_TTL": str(settings.lease_ttl),
        "SWARM_SOCKET_TIMEOUT": str(settings.socket_timeout),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def start_program(name: str, settings: Settings, *arguments: object) -> subprocess.Popen[str]:
    """Start `programs/NAME.py` in a process of this swarm; what it prints comes through a pipe."""
    return subprocess.Popen(
        [sys.executable, str(TESTS / "programs" / f"{name}.py"), *map(str, arguments)],
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    )


def run_program(name: str, settings: Settings, *arguments: object) -> str:
    """Run `programs/NAME.py` to its end and answer what it printed."""
    with start_program(name, settings, *arguments) as process:
        printed, _ = process.communicate(timeout=60.0)
    assert process.returncode == 0, f"{name} ended with {process.returncode}"
    return printed


def present(value: T | None) -> T:
    """The value, which must be there."""
    assert value is not None
    return value
