"""Queries while other processes consolidate and publish, beside the same without."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import time
from dataclasses import replace
from multiprocessing.synchronize import Event

import numpy as np

from benchmarks.arguments import say
from benchmarks.scale_data import DIM, fill, patterns, queries
from benchmarks.scale_redis import ScratchRedis
from swarm.embed import HashedEmbedder
from swarm.services.background import Background
from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.store.bank import BankStore
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys

_CHANGED = 50
"""Patterns in one publication ..."""
_EVERY_S = 0.25
"""... and the time from one to the next."""
_OUTCOMES = 100


def cost_under_load(redis: ScratchRedis, n: int, timed: int) -> dict[str, float]:
    """Milliseconds of a query with its look at what changed, alone and while a worker consolidates and publishes."""
    settings = redis.settings(f"load-{n}")
    say(f"{n} patterns under load")
    context = multiprocessing.get_context("spawn")
    with connect(settings) as client:
        fill(client, SwarmKeys(settings.name), n)
        replica = Replica(BankStore(client, SwarmKeys(settings.name)), SonaConfig(dim=DIM))
        replica.refresh()
        gc.collect()
        gc.freeze()
        quiet = _latencies(replica, n, timed)
        ready, stop = context.Event(), context.Event()
        worker = context.Process(target=_work, args=(settings, n, ready, stop))
        worker.start()
        try:
            ready.wait(600.0)
            version = replica.version
            busy = _latencies(replica, n, timed)
            assert replica.version != version, "nothing was published"
        finally:
            stop.set()
            worker.join(60.0)
            worker.kill()
        client.unlink(SwarmKeys(settings.name).bank)
    found: dict[str, float] = {}
    for name, taken in (("alone", quiet), ("loaded", busy)):
        found |= {
            f"followed_query_ms_{n}_{name}_p{percent}": float(np.percentile(taken, percent)) for percent in (50, 99)
        }
    found[f"loaded_to_alone_{n}_p99"] = (
        found[f"followed_query_ms_{n}_loaded_p99"] / found[f"followed_query_ms_{n}_alone_p99"]
    )
    return found


def _latencies(replica: Replica, n: int, timed: int) -> list[float]:
    taken = []
    for query in queries(n, timed):
        started = time.perf_counter()
        replica.refresh()
        replica.rank(query, 5)
        taken.append(1e3 * (time.perf_counter() - started))
        # As somebody who asks now and then: else nothing would have changed since the last query.
        time.sleep(0.005)
    return taken


def _work(settings: Settings, n: int, ready: Event, stop: Event) -> None:
    """Consolidate outcomes of an agent, and publish patterns that have grown, until `stop`."""
    with connect(settings) as client:
        swarm = Swarm(settings, client=client, embedder=HashedEmbedder(DIM))
        swarm.register("worker-bee", "coder")
        background, bank = Background(settings, client), BankStore(client, swarm.keys)
        lease = bank.lease(600.0)
        assert lease is not None
        known = itertools.cycle(itertools.islice(patterns(n), 10 * _CHANGED))
        while not stop.is_set():
            started = time.monotonic()
            bank.publish(lease, [_grown(pattern) for pattern in itertools.islice(known, _CHANGED)], [], {})
            for number in range(_OUTCOMES):
                swarm.store_pattern(f"task {number % 17} at {started}", f"plan {number % 7}", agent="worker-bee")
            background.consolidate("worker-bee", "bench", 0.0)
            ready.set()
            stop.wait(max(0.0, _EVERY_S - (time.monotonic() - started)))
        lease.release()


def _grown(pattern: Cluster) -> Cluster:
    return replace(pattern, n=pattern.n + 1.0, sum_embedding=pattern.sum_embedding * (1.0 + 1.0 / pattern.n))
