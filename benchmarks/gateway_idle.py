"""What a gateway costs when nobody asks: memory, keys, processes and processor time, at the start and at the end."""

from __future__ import annotations

import asyncio
import time

import psutil

from benchmarks.arguments import say
from benchmarks.gateway_client import Connection, gateway_of
from benchmarks.own_swarm import OwnSwarm
from swarm.store.connection import connect

AGENTS = 50
_SETTLE_S = 10.0
"""What was begun may come to its end first."""


def cost_of_idling(seconds: float) -> dict[str, float]:
    """Before and after `seconds` in which nobody asked for anything."""
    with OwnSwarm({"HTTP_PORT": "0"}) as own, connect(own.settings) as client:
        own.swarm("up", "--concurrency", "1")
        gateway = gateway_of(own)
        process = psutil.Process(gateway.pid)
        asyncio.run(_used(gateway.url))
        time.sleep(_SETTLE_S)
        say(f"idle for {seconds:g} s")
        found: dict[str, float] = {}
        busy = sum(process.cpu_times()[:2])
        for when in ("start", "end"):
            found |= {
                f"idle_rss_mib_{when}": process.memory_info().rss / 2**20,
                f"idle_keys_{when}": float(client.dbsize()),
                f"idle_processes_{when}": float(_processes(str(own.folder))),
                f"idle_files_{when}": float(process.num_fds()),
                f"idle_threads_{when}": float(process.num_threads()),
            }
            if when == "start":
                time.sleep(seconds)
        return found | {"idle_cpu_share": (sum(process.cpu_times()[:2]) - busy) / seconds}


async def _used(url: str) -> None:
    """Every agent has its engine, its outcome and something open."""
    async with Connection(url) as http:
        for number in range(AGENTS):
            body = {"agent": f"agent-{number}", "text": f"task {number}"}
            await http.call("POST", "/v1/outcomes", {**body, "success": True, "output": "done"})
            await http.call("POST", "/v1/trajectories", body)


def _processes(state_dir: str) -> int:
    """How many processes have this state directory."""
    count = 0
    for process in psutil.process_iter():
        try:
            count += process.environ().get("SWARM_STATE_DIR") == state_dir
        except psutil.Error:
            continue
    return count
