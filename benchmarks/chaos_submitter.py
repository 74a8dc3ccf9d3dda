"""Submits tasks until it is told to end: `python -m benchmarks.chaos_submitter NAME JOURNAL RATE ROLE...`."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chaos_journal import Journal
from swarm.errors import SwarmError
from swarm.services.swarm import Swarm
from swarm.wire.task_records import task_id

MAX_ATTEMPTS = 50
"""Workers die more often here than a task would ever see."""
_PAUSE_S = 0.2
_stopping = False


def main(name: str, journal: Journal, rate: float, roles: Sequence[str]) -> None:
    """Submit; each task under a key of its own, so that a repeated submission is the same task."""
    rng = random.Random(f"{name}/{os.getpid()}")
    swarm = Swarm()
    while not _stopping:
        time.sleep(rng.expovariate(rate))
        role, key, n = rng.choice(roles), uuid.uuid4().hex, rng.randrange(1_000)
        task = task_id(role, key)
        journal.tried(task)
        while True:
            try:
                swarm.submit(
                    f"double the number {n}",
                    role=role,
                    payload={"n": n},
                    submitter=name,
                    idempotency_key=key,
                    max_attempts=MAX_ATTEMPTS,
                    backoff=0.1,
                    max_backoff=1.0,
                )
                break
            except SwarmError:
                time.sleep(_PAUSE_S)
        journal.got(task)
    # What Redis may still lose is looked after for as long as it takes to be safe.
    time.sleep(2.0 * swarm.settings.resend_window)


def _stop(*_: object) -> None:
    global _stopping
    _stopping = True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    main(sys.argv[1], Journal(Path(sys.argv[2])), float(sys.argv[3]), sys.argv[4:])
