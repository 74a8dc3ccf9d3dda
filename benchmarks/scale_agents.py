"""What a swarm costs against the number of its agents."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.scale_redis import ScratchRedis
from swarm.embed import HashedEmbedder
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.sona.clusters import Cluster, Tally
from swarm.sona.vectors import unit
from swarm.store.connection import Client, connect
from swarm.wire.codec import encode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_cluster, encode_registration
from swarm_agents.agent import Agent

_DIM = 256
_ROUNDS = 5
_ONE_IN = 10
"""For one agent in so many an outcome waits."""
_WRITTEN = 500


def cost_of_agents(redis: ScratchRedis, n: int) -> dict[str, float]:
    """Milliseconds, medians: for a registration, a status, a sweep, the roles, a refresh, a merge of one change."""
    settings = redis.settings(f"agents-{n}")
    with connect(settings) as client:
        swarm = Swarm(settings, client=client, embedder=HashedEmbedder(_DIM))
        swarm.register("agent-0", "coder")
        _settle(swarm, client, n)
        background = Background(settings, client)
        agent = Agent("agent-0", swarm=swarm)

        def nothing(task: str, argument: str) -> None:
            """Where a sweep's nudges go."""

        found = {
            f"register_ms_{n}": _median_ms(lambda: swarm.register("agent-1", "coder")),
            f"status_ms_{n}": _median_ms(swarm.status),
            f"status_cpu_ms_{n}": _median_ms(swarm.status, time.thread_time),
            f"sweep_ms_{n}": _median_ms(lambda: background.sweep(nothing)),
            f"roles_first_ms_{n}": _median_ms(lambda: Swarm(settings, client=client).roles()),
            f"roles_ms_{n}": _median_ms(swarm.roles),
            f"refresh_ms_{n}": _median_ms(agent.refresh),
        }
        agent.close()
        started = time.perf_counter()
        background.merge("bench", 0.0)
        found[f"first_merge_ms_{n}"] = 1e3 * (time.perf_counter() - started)
        found[f"merge_one_ms_{n}"] = _median_ms(lambda: _merge_one(background, client, swarm.keys))
        return found


def _merge_one(background: Background, client: Client, keys: SwarmKeys) -> None:
    client.hincrby(keys.agent("agent-1").state, "generation", 1)
    assert background.merge("bench", 0.0)["status"] == "published"


def _settle(swarm: Swarm, client: Client, n: int) -> None:
    """Agents that have learned one pattern each, and for some an outcome waits: written as their commits would."""
    registration = swarm.agents.registration("agent-0")
    assert registration is not None
    record = encode_registration(registration)
    pipeline = client.pipeline(transaction=False)
    for number in range(n):
        name = f"agent-{number}"
        keys = swarm.keys.agent(name)
        waits = number % _ONE_IN == 0
        state = {"generation": 3, "cursor": "1000-0", "accepted": 40 + waits, "processed": 40, "verdict": "trusted"}
        pipeline.hset(swarm.keys.agents, name, record)
        pipeline.hset(keys.state, mapping=state)  # type: ignore[arg-type]  # a narrower mapping
        pipeline.hset(keys.clusters, name, encode_cluster(_pattern(name, number)))
        pipeline.hset(swarm.keys.merged, name, encode("merged", {"generation": 2, "cursor": "500-0"}))
        if waits:
            pipeline.xadd(keys.stream, {"r": b"outcome", "k": b"key"}, id="2000-0")
        if number % _WRITTEN == 0:
            pipeline.execute()
    pipeline.execute()


def _pattern(name: str, number: int) -> Cluster:
    embedding = unit(np.random.default_rng(number).standard_normal(_DIM).astype(np.float32)).astype(np.float64)
    return Cluster(
        id=f"{number:016x}",
        action=f"action-{number % 1000}",
        positive=True,
        response=f"plan {number % 1000}",
        sum_embedding=40.0 * embedding,
        n=40.0,
        sum_quality=40.0,
        sum_quality2=40.0,
        agents={name: Tally(n=40.0, sum_quality=40.0)},
    )


def _median_ms(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    taken = []
    for _ in range(_ROUNDS):
        started = clock()
        call()
        taken.append(1e3 * (clock() - started))
    return statistics.median(taken)
