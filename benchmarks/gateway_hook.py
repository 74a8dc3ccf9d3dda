"""A hook over HTTP, warm, with a large bank, beside a FastAPI route that does nothing, in the same run."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np

from benchmarks.arguments import say
from benchmarks.gateway_client import Connection, gateway_of
from benchmarks.own_swarm import OwnSwarm
from benchmarks.scale_data import fill
from swarm.errors import RuntimeSetupError
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys

PER_SECOND = 50
_WARM = 50
_LOAD_S = 180.0


def cost_of_hook(patterns: int, seconds: float) -> dict[str, float]:
    """Latency of `POST /v1/trajectories` in ms at `PER_SECOND`, asked from another process."""
    with OwnSwarm({"HTTP_PORT": "0"}) as own, _empty_server() as empty:
        with connect(own.settings) as client:
            say(f"filling a bank of {patterns} patterns")
            fill(client, SwarmKeys(own.settings.name), patterns)
        own.swarm("up", "--concurrency", "1")
        url = gateway_of(own).url
        asyncio.run(_loaded(url, patterns))
        say(f"{PER_SECOND} hooks a second for {seconds:g} s")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            hook, bare = pool.submit(_ask, url, empty, seconds).result()
    return {
        f"{name}_ms_p{percent}": float(np.percentile(values, percent))
        for name, values in (("hook", hook), ("empty_route", bare))
        for percent in (50, 99)
    } | {"hooks": float(len(hook)), "hook_to_empty_p50": float(np.median(hook) / np.median(bare))}


async def _loaded(url: str, patterns: int) -> None:
    deadline = time.monotonic() + _LOAD_S
    async with Connection(url) as http:
        while (await http.call("GET", "/health")).body["patterns"] < patterns:
            if time.monotonic() > deadline:
                raise RuntimeSetupError(f"the gateway has not loaded {patterns} patterns after {_LOAD_S:g} s")
            await asyncio.sleep(0.2)


def _ask(url: str, empty: str, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds of each hook and of each call of the empty route, in turns."""
    return asyncio.run(_asked(url, empty, seconds))


async def _asked(url: str, empty: str, seconds: float) -> tuple[list[float], list[float]]:
    hook, bare = [], []
    async with Connection(url) as ours, Connection(empty) as theirs:
        start = time.perf_counter()
        for number in range(_WARM + round(seconds * PER_SECOND)):
            text = f"rename column {number * 7 % 9999} of table {number % 200} in the report of week {number % 52}"
            body = {"agent": f"agent-{number % 8}", "text": text}
            found = await ours.call("POST", "/v1/trajectories", body)
            if found.status != 201:
                raise RuntimeSetupError(f"a hook answered {found.status}: {found.body}")
            empty_ms = (await theirs.call("POST", "/", body)).ms
            if number >= _WARM:
                hook.append(found.ms)
                bare.append(empty_ms)
            await asyncio.sleep(max(0.0, start + number / PER_SECOND - time.perf_counter()))
    return hook, bare


@contextmanager
def _empty_server() -> Iterator[str]:
    """URL of a FastAPI application whose one route does nothing, in a process of its own, served as ours is."""
    command = [sys.executable, "-m", "benchmarks.gateway_empty"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
