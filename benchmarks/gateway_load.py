"""Many parallel clients that do everything at once, and every receipt followed to its end."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import psutil

from benchmarks.arguments import say
from benchmarks.gateway_client import Answered, Connection, gateway_of
from benchmarks.own_swarm import OwnSwarm
from swarm.embed import HashedEmbedder
from swarm.errors import UnknownIdError
from swarm.services.swarm import Swarm

AGENTS = 64
_FOLLOW_S = 300.0
"""So long every receipt may take to its end after the last request."""


@dataclass(slots=True)
class Seen:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    ms: list[float] = field(default_factory=list)
    receipts: list[tuple[str, str]] = field(default_factory=list)
    """Agent and idempotency key of every outcome that was accepted."""
    rss: list[float] = field(default_factory=list)

    def note(self, answer: Answered) -> Answered:
        """Count an answer, and keep its receipt if it has one."""
        self.statuses[answer.status] += 1
        self.ms.append(answer.ms)
        if answer.status in (200, 201) and "idempotency_key" in answer.body and "agent" in answer.body:
            self.receipts.append((answer.body["agent"], answer.body["idempotency_key"]))
        return answer


def cost_of_clients(clients: int, seconds: float) -> dict[str, float]:
    """Statuses, latencies, memory, and what became of every receipt."""
    with OwnSwarm({"HTTP_PORT": "0"}) as own:
        own.swarm("up", "--concurrency", "2")
        gateway = gateway_of(own)
        say(f"{clients} clients for {seconds:g} s")
        seen = asyncio.run(_clients(gateway.url, clients, seconds, psutil.Process(gateway.pid)))
        say(f"following {len(seen.receipts)} receipts")
        ends = _followed(own, seen.receipts)
        after = psutil.Process(gateway.pid).memory_info().rss / 2**20
    half = len(seen.rss) // 2
    return {
        "requests_per_s": len(seen.ms) / seconds,
        "answers_2xx": float(sum(n for status, n in seen.statuses.items() if 200 <= status < 300)),
        "answers_4xx": float(sum(n for status, n in seen.statuses.items() if 400 <= status < 500)),
        "answers_5xx": float(sum(n for status, n in seen.statuses.items() if status >= 500)),
        "connections_broken": float(seen.statuses[0]),
        "request_ms_p50": float(np.percentile(seen.ms, 50)),
        "request_ms_p99": float(np.percentile(seen.ms, 99)),
        "receipts": float(len(seen.receipts)),
        "receipts_lost": float(ends["lost"]),
        "receipts_not_ended": float(ends["waiting"]),
        "rss_mib_first_half": float(np.mean(seen.rss[:half])),
        "rss_mib_second_half": float(np.mean(seen.rss[half:])),
        "rss_mib_after": after,
    }


async def _clients(url: str, clients: int, seconds: float, process: psutil.Process) -> Seen:
    seen, deadline = Seen(), time.monotonic() + seconds
    watching = asyncio.create_task(_watch(process, seen, deadline))
    await asyncio.gather(*(_client(url, number, seen, deadline) for number in range(clients)))
    await watching
    return seen


async def _watch(process: psutil.Process, seen: Seen, deadline: float) -> None:
    while time.monotonic() < deadline:
        seen.rss.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(0.5)


async def _client(url: str, number: int, seen: Seen, deadline: float) -> None:
    rng = random.Random(number)
    async with Connection(url) as http:
        while time.monotonic() < deadline:
            await _one(http, rng, seen)


async def _one(http: Connection, rng: random.Random, seen: Seen) -> None:
    agent, text = f"agent-{rng.randrange(AGENTS)}", f"rename column {rng.randrange(500)} of table {rng.randrange(20)}"
    told = {"agent": agent, "success": rng.random() < 0.8, "output": f"plan {rng.randrange(50)}"}
    what = rng.random()
    if what < 0.4:
        begun = seen.note(await http.call("POST", "/v1/trajectories", {"agent": agent, "text": text}))
        if begun.status == 201:
            path = f"/v1/trajectories/{begun.body['trajectory_id']}"
            seen.note(await http.call("POST", f"{path}/steps", {"agent": agent, "reward": 1.0, "node": "edit"}))
            seen.note(await http.call("POST", f"{path}/end", told))
    elif what < 0.65:
        seen.note(await http.call("POST", "/v1/outcomes", {"text": text, **told}))
    elif what < 0.85:
        seen.note(await http.call("POST", "/v1/query", {"text": text, "k": 3}))
    elif what < 0.95 and seen.receipts:
        known, key = rng.choice(seen.receipts)
        answer = await http.call("GET", f"/v1/receipts/outcome/{known}/{key}")
        seen.statuses[answer.status] += 1
    else:
        seen.note(await http.call("GET", rng.choice(["/v1/status", "/health", "/v1/patterns?limit=10"])))


def _followed(own: OwnSwarm, receipts: list[tuple[str, str]]) -> Counter[str]:
    """How many ended, are unknown (lost), or still wait after `_FOLLOW_S`."""
    deadline, ends, waiting = time.monotonic() + _FOLLOW_S, Counter[str](), list(dict.fromkeys(receipts))
    with closing(Swarm(own.settings, embedder=HashedEmbedder(256))) as swarm:
        while waiting and time.monotonic() < deadline:
            left = []
            for agent, key in waiting:
                try:
                    found = swarm.receipt(agent, key)
                except UnknownIdError:
                    ends["lost"] += 1
                    continue
                if found.has_ended:
                    ends["ended"] += 1
                else:
                    left.append((agent, key))
            waiting = left
            time.sleep(0.5)
    ends["waiting"] = len(waiting)
    return ends
