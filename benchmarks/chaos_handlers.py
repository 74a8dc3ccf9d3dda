"""What the pools of `bench_chaos` do: a little work whose result can be checked."""

from __future__ import annotations

import random
import time

from swarm_workers.handlers import Task, handler

ROLES = ("doubler", "slow-doubler")


@handler(ROLES[0])
def double(task: Task) -> int:
    """At once; now and then it fails and is tried again."""
    if random.random() < 0.02:
        raise RuntimeError("made to fail")
    return 2 * int(task.payload["n"])


@handler(ROLES[1])
def double_slowly(task: Task) -> int:
    """Takes its time, so that it is killed in the middle."""
    for step in range(5):
        time.sleep(random.uniform(0.0, 0.1))
        task.progress(step / 5.0)
    return 2 * int(task.payload["n"])
