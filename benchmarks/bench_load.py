"""Sustained rate and latency of outcomes and tasks beside their floors: `python -m benchmarks.bench_load --json`.

A seed is a round: everything anew, in a swarm of its own with its embedded Redis (`appendfsync everysec`), ours and the
floor one after the other. The floor of outcomes is XADD of the same bytes in pipelines of as many (no receipt, no
idempotency, no bound), from as many processes; the floor of tasks is bare Celery with a task that does nothing, by
its own defaults (acknowledged before it runs: a worker that dies loses it).

`accepted_per_s` is how many outcomes were made durable, each with a receipt; `learned_per_s` how many two workers have
consolidated in the same time while senders were refused and told when to retry. Latencies are in ms: of a batch of 100
outcomes, from when it was due, at half and nine tenths of the accepted rate; of a task from submission to its end.
"""

from __future__ import annotations

import os

# Threads of BLAS on a busy machine cost far more than they give; this must stand before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.arguments import Options, say
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.load_outcomes import BATCH, SENDERS, at_once, consolidated, send_outcomes, send_raw
from benchmarks.load_tasks import PROCESSES, bare_rate, latencies, ledger_rate
from benchmarks.own_swarm import OwnSwarm
from benchmarks.plots import save_bars
from benchmarks.seeds import summarise
from swarm.embed import HashedEmbedder
from swarm.errors import InputError
from swarm.services.swarm import Swarm
from swarm.store.connection import connect
from swarm_cli.worker_agents import FACTORY
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

_SHARES = (0.5, 0.9)
_RATIOS = ("accepted_to_xadd", "one_by_one_to_xadd", "tasks_to_celery", "hooked_tasks_to_celery")
_PLAN = RolePlan(role="noop", handlers=("benchmarks.load_handlers",))


def measure(options: Options) -> Measurement:
    """All rounds; each is a row of metrics."""
    seconds = float(options.extra.duration)
    parts = [part for part in options.extra.parts.split(",") if part]
    if not parts or not set(parts) <= set(_PARTS):
        raise InputError(f"parts must be some of {', '.join(_PARTS)}, got {options.extra.parts!r:.80}")
    rows = []
    for number in range(options.seeds):
        say(f"round {number + 1} of {options.seeds}")
        row: dict[str, float] = {}
        for part in parts:
            row |= _PARTS[part](seconds)
        rows.append(row)
    metrics = summarise(rows)
    shown = [name for name in _RATIOS if name in metrics] or list(metrics)
    return Measurement(
        data="load",
        embedder="hashed",
        metrics=metrics,
        draw=partial(
            save_bars,
            metrics={name: metrics[name] for name in shown},
            title="Sustained rates beside their floors",
            value_label="ours / floor",
            ours=shown,
            reference=("the floor", 1.0),
        ),
    )


def _outcomes(seconds: float) -> dict[str, float]:
    """What is accepted, beside raw XADD of the same bytes; then latency at a share of it."""
    with OwnSwarm({"MAX_PENDING": "100000000"}) as own:
        raw = _rate(at_once(send_raw, own.settings, seconds), BATCH, seconds)
        ours = _rate(at_once(send_outcomes, own.settings, seconds), BATCH, seconds)
        raw_single = _rate(at_once(partial(send_raw, batch=1), own.settings, seconds), 1, seconds)
        single = _rate(at_once(partial(send_outcomes, batch=1), own.settings, seconds), 1, seconds)
        found = {
            "xadd_per_s": raw,
            "accepted_per_s": ours,
            "accepted_to_xadd": ours / raw,
            "xadd_one_by_one_per_s": raw_single,
            "one_by_one_per_s": single,
            "one_by_one_to_xadd": single / raw_single,
        }
        for share in _SHARES:
            interval_s = BATCH * SENDERS / (share * ours)
            sender = partial(send_outcomes, interval_s=interval_s)
            waits = [wait for of_one in at_once(sender, own.settings, seconds) for wait in of_one]
            found |= _percentiles(f"batch_ms_at_{share:.0%}", waits)
    return found


def _learning(seconds: float) -> dict[str, float]:
    """What workers learn meanwhile, when nobody may be further ahead of them than 2,000 outcomes."""
    with OwnSwarm({"MAX_PENDING": "2000"}) as own:
        own.swarm("up", "--concurrency", "2")
        sending = max(2 * seconds, 10.0)
        before, started = consolidated(own.settings), time.time()
        at_once(send_outcomes, own.settings, sending)
        return {"learned_per_s": (consolidated(own.settings) - before) / (time.time() - started)}


def _tasks(seconds: float) -> dict[str, float]:
    """Tasks that do nothing: bare Celery, then a pool without agents, then one with an agent's hooks around each."""
    with (
        OwnSwarm() as own,
        connect(own.settings) as client,
        closing(Swarm(own.settings, client=client, embedder=HashedEmbedder(256))) as swarm,
        PoolManager(own.settings) as pools,
    ):
        bare = bare_rate(own, seconds)
        pools.start("noop", PROCESSES, plan=_PLAN)
        ours = ledger_rate(swarm, "noop", seconds)
        found = {"celery_tasks_per_s": bare, "tasks_per_s": ours, "tasks_to_celery": ours / bare}
        for share in _SHARES:
            _settle(swarm)
            found |= _percentiles(f"task_ms_at_{share:.0%}", latencies(swarm, "noop", share * ours, seconds))
        pools.stop("noop")
        pools.start("noop", PROCESSES, plan=replace(_PLAN, factory=FACTORY))
        hooked = ledger_rate(swarm, "noop", seconds)
        pools.stop("noop")
        return found | {"hooked_tasks_per_s": hooked, "hooked_tasks_to_celery": hooked / bare}


_PARTS = {"outcomes": _outcomes, "learning": _learning, "tasks": _tasks}


def _settle(swarm: Swarm) -> None:
    while any(one.waiting for one in swarm.tasks.counts()):
        time.sleep(0.05)


def _rate(waits: Sequence[Sequence[float]], batch: int, seconds: float) -> float:
    return batch * sum(map(len, waits)) / seconds


def _percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    middle, late = np.percentile(np.asarray(seconds), (50, 99))
    return {f"{name}_p50": 1e3 * float(middle), f"{name}_p99": 1e3 * float(late)}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", default=",".join(_PARTS), metavar="A,B", help="outcomes, learning, tasks (all)")
    parser.add_argument("--duration", type=float, default=5.0, metavar="SECONDS", help="of each measurement (5)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line."""
    run_benchmark("bench_load", __doc__, measure, arguments, _arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
