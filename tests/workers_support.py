"""What the worker tests share: agents with outcomes, and the end of every worker process."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import numpy as np
import psutil

from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import Trajectory
from swarm.store.agents import AgentStore
from swarm.store.connection import Client
from swarm.store.outcomes import OutcomeStore
from swarm.store.workers import worker_name
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import Registration, encode_trajectory
from swarm_workers.app import create_app
from swarm_workers.control import WorkerControl

DIM = 64


def put_outcomes(settings: Settings, client: Client, agent: str, count: int) -> None:
    """Register an agent and append outcomes to its stream, all different."""
    keys = SwarmKeys(settings.name)
    registration = Registration(role="coder", config=SonaConfig(dim=DIM), registered_s=time.time())
    AgentStore(client, keys).register(agent, registration)
    outcomes = OutcomeStore(client, keys.agent(agent), max_pending=settings.max_pending, receipt_ttl=3600.0)
    rng = np.random.default_rng(7)
    for number in range(count):
        outcomes.append(encode_trajectory(_trajectory(agent, number, rng)), f"key-{number}", "")


def stop_consuming(settings: Settings, pool: str, role: str = "") -> None:
    """Have the worker of a pool of this host take no more tasks, behind the back of whoever looks after it."""
    worker = worker_name(pool, socket.gethostname())
    assert WorkerControl(create_app(settings), worker, 5.0).pause(SwarmKeys(settings.name).role_queue(role))


def kill_workers(settings: Settings) -> None:
    """Kill every worker process that was started for this swarm, children too."""
    for process in psutil.process_iter():
        # Gone meanwhile, or of another user, whose environment nobody may read.
        with suppress(psutil.Error):
            if "swarm_workers" in " ".join(process.cmdline()) and _swarm_of(process) == settings.name:
                process.kill()
                process.wait(10.0)


def _swarm_of(process: psutil.Process) -> str | None:
    return process.environ().get("SWARM_NAME")


def _trajectory(agent: str, number: int, rng: np.random.Generator) -> Trajectory:
    vector = rng.standard_normal(DIM).astype(np.float32)
    return Trajectory(
        id=f"{agent}-{number}",
        embedding=vector / np.linalg.norm(vector),
        quality=float(number % 2),
        action=f"action-{number % 7}",
        text=f"task {number}",
        agent=agent,
        at_s=time.time(),
    )
