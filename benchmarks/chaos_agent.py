"""An agent at work until it is told to end: `python -m benchmarks.chaos_agent NAME JOURNAL RATE`.

It asks before each task, does it rightly or wrongly, and reports the outcome; what is refused it reports again.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import signal
import sys
import time
import uuid
from pathlib import Path

from benchmarks.chaos_journal import Journal
from swarm.errors import CapacityError, SwarmError
from swarm.sona.config import SonaConfig
from swarm_agents import Agent

TASKS = (
    "decode a JSON document",
    "parse a date",
    "compress a folder",
    "sort a table",
    "match an address",
    "hash a file",
)
TOOLS = ("json", "datetime", "gzip", "sorted", "re", "hashlib")
_CAPACITY = 50_000
"""No outcome is trimmed while it may have to be accounted for."""
_PAUSE_S = 0.2
_stopping = False


def main(name: str, journal: Journal, rate: float) -> None:
    """Work, a task at a time."""
    rng = random.Random(f"{name}/{os.getpid()}")
    agent = _agent(name)
    while not _stopping:
        time.sleep(rng.expovariate(rate))
        which = rng.randrange(len(TASKS))
        advice = agent.before_task(f"{TASKS[which]} number {rng.randrange(1_000)}")
        chosen = which if rng.random() < 0.8 else rng.randrange(len(TOOLS))
        key = uuid.uuid4().hex
        journal.tried(key)
        _report(agent, advice.trajectory_id, key, chosen == which, f"use {TOOLS[chosen]}")
        journal.got(key)
    agent.close(timeout_s=30.0)


def _agent(name: str) -> Agent:
    while True:
        try:
            return Agent(name, role="chaos", config=SonaConfig(dim=256, trajectory_capacity=_CAPACITY))
        except SwarmError:
            time.sleep(_PAUSE_S)


def _report(agent: Agent, trajectory: str, key: str, is_right: bool, output: str) -> None:
    while True:
        try:
            agent.after_task(trajectory, success=is_right, output=output, idempotency_key=key)
            return
        except (CapacityError, SwarmError):
            # Not accepted: there is no receipt, and it is sent again.
            time.sleep(_PAUSE_S)


def _stop(*_: object) -> None:
    global _stopping
    _stopping = True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    main(sys.argv[1], Journal(Path(sys.argv[2])), float(sys.argv[3]))
