"""Worker pools for people: one row for each worker, and under them what there is to say of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from socket import gethostname

from rich.console import Console
from rich.table import Table
from rich.text import Text

from swarm.store.supervisors import SupervisorBeat
from swarm_cli.output import BAD, NOTE, OK, count, duration, plain, table
from swarm_workers.limits import Limits
from swarm_workers.poolstate import PoolState

_STYLES = {"running": OK, "draining": "yellow", "starting": "yellow", "asleep": NOTE}
_FIGURES = ("processes", "busy", "done", "heartbeat", "up for")


def show_pools(out: Console, pools: Sequence[PoolState], supervisors: Sequence[SupervisorBeat]) -> None:
    """Print them."""
    now_s = time.time()
    out.print(pools_table(pools, now_s), "", sep="\n")
    for pool in pools:
        for line in _remarks(pool, now_s):
            out.print(line)
    watched = {beat.host for beat in supervisors}
    if watched:
        out.print(Text(f"Supervised on {', '.join(sorted(watched))}.", NOTE))
    if alone := sorted({pool.host for pool in pools} - watched):
        remedy = "swarm workers supervise, or swarm up"
        out.print(Text(f"No supervisor on {', '.join(alone)}: who dies there stays dead ({remedy}).", BAD))
    out.print(Text(f"{count(pools[0].queued, 'message')} in the queue.", NOTE))


def pools_table(pools: Sequence[PoolState], now_s: float) -> Table:
    """One row for each worker; roles and hosts have a column only where they tell something."""
    roles = ["role"] if any(pool.role and pool.role != pool.pool for pool in pools) else []
    hosts = ["host"] if {pool.host for pool in pools} != {gethostname()} else []
    made = table("pool", *roles, *hosts, "state", *_FIGURES, right=_FIGURES)
    for pool in pools:
        state, lives = _state(pool, now_s), pool.status not in ("dead", "asleep")
        made.add_row(
            pool.pool,
            *(pool.role for _ in roles),
            *(pool.host for _ in hosts),
            Text(state, _STYLES.get(state, BAD)),
            _size(pool),
            *((f"{pool.active:,}", f"{pool.done:,}") if lives else ("", "")),
            f"{duration(max(0.0, now_s - pool.beat_s))} ago" if pool.beat_s else "",
            duration(max(0.0, now_s - pool.started_s)) if lives else "",
        )
    return made


def _state(pool: PoolState, now_s: float) -> str:
    if pool.status == "silent" and now_s - pool.started_s < Limits().starting_s:
        return "starting"
    if pool.status == "dead" and pool.care is not None:
        return "failing"
    return pool.status


def _size(pool: PoolState) -> str:
    """Processes, how many it is to have if that differs, and the bounds between which a supervisor chooses."""
    changing = pool.concurrency != pool.wanted and pool.status == "running"
    size = f"{pool.concurrency}→{pool.wanted}" if changing else f"{pool.concurrency}"
    return f"{size} ({pool.min_size}-{pool.max_size})" if pool.min_size != pool.max_size else size


def _remarks(pool: PoolState, now_s: float) -> Iterator[Text]:
    if pool.fault:
        yield Text(f"{pool.worker}: {plain(pool.fault)}", BAD)
    care = pool.care
    if care is None:
        return
    if care.fault and not care.failures:
        yield Text(f"{pool.worker}: {plain(care.fault)}", BAD)
    if care.failures:
        pause = care.next_start_s - now_s
        when = f", next start in {duration(pause)}" if pause > 0.0 else ""
        times = "once" if care.failures == 1 else f"{care.failures:,} times"
        yield Text(f"{pool.worker} failed {times}{when}: {plain(care.fault)}", BAD)
    if pool.min_size != pool.max_size and care.why:
        yield Text(f"{pool.worker} is to have {count(care.wanted, 'process', 'processes')}: {care.why}", NOTE)
