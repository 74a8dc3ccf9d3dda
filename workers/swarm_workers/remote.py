"""What a worker obeys over remote control beside Celery's own commands: the number of its child processes.

Celery's `pool_grow` and `pool_shrink` are changes, so one that is sent twice is done twice; and a shrink may choose a
child that is ending already. Then the pool counts fewer children than it has, its semaphore comes to nothing, and the
worker takes no task any more (seen in 4 of 4 shrinks with a busy child). A size can be sent again without harm.
"""

from __future__ import annotations

from typing import Any

from celery.worker import state as worker_state
from celery.worker.control import control_command

from swarm_workers.app import RESIZE


def register() -> None:
    """Have the workers of this process obey."""
    control_command(name=RESIZE, args=[("n", int)], signature="N")(resize)


def resize(state: Any, n: int, **_: Any) -> dict[str, str]:
    """Have `n` child processes; of those that are too many the idle ones end now, the others when it is sent again."""
    if n < 1:
        return {"error": f"n must be at least 1, got {n}"}
    pool = state.consumer.pool
    change = n - pool.num_processes
    if change > 0:
        pool.grow(change)
    else:
        change = -_shrink(pool, -change)
    if change:
        state.consumer._update_prefetch_count(change)
    return {"ok": f"{pool.num_processes} processes"}


def _shrink(pool: Any, excess: int) -> int:
    """End idle children; how many."""
    pool.maintain_pool()
    if len(pool.info["processes"]) > pool.num_processes:
        return 0  # some are ending yet, and would be chosen a second time
    # What is reserved may be on its way to a child that looks idle.
    ending: int = min(excess, pool.num_processes - max(1, len(worker_state.reserved_requests)))
    if ending <= 0:
        return 0
    pool.shrink(ending)
    _give_them_nothing_more(pool)
    return ending


def _give_them_nothing_more(pool: Any) -> None:
    """A message that is written to a child which ends is read by nobody, and counts as taken for ever."""
    for child in pool._pool._pool:
        if getattr(child, "_controlled_termination", False):
            pool._pool._busy_workers.add(child.inqW_fd)
