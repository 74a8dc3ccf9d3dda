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
from typing import Any

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
    """Latency in ms at `PER_SECOND`, from another process: of `POST /v1/trajectories`, then of Claude Code's events."""
    with OwnSwarm({"HTTP_PORT": "0"}) as own, _empty_server() as empty:
        with connect(own.settings) as client:
            say(f"filling a bank of {patterns} patterns")
            fill(client, SwarmKeys(own.settings.name), patterns)
        own.swarm("up", "--concurrency", "1")
        url = gateway_of(own).url
        asyncio.run(_loaded(url, patterns))
        say(f"{PER_SECOND} hooks a second for {seconds:g} s")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            took = pool.submit(_ask, url, empty, seconds).result()
    ratio = float(np.median(took["hook"]) / np.median(took["empty_route"]))
    return {
        f"{name}_ms_p{percent}": float(np.percentile(values, percent))
        for name, values in took.items()
        for percent in (50, 99)
    } | {"hooks": float(len(took["hook"])), "hook_to_empty_p50": ratio}


async def _loaded(url: str, patterns: int) -> None:
    deadline = time.monotonic() + _LOAD_S
    async with Connection(url) as http:
        while (await http.call("GET", "/health")).body["patterns"] < patterns:
            if time.monotonic() > deadline:
                raise RuntimeSetupError(f"the gateway has not loaded {patterns} patterns after {_LOAD_S:g} s")
            await asyncio.sleep(0.2)


def _ask(url: str, empty: str, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of each call by what it is; the empty route is called after each of the others."""
    return asyncio.run(_asked(url, empty, seconds))


async def _asked(url: str, empty: str, seconds: float) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {}
    async with Connection(url) as ours, Connection(empty) as theirs:
        for calls in (_begins, _events):
            start = time.perf_counter()
            for number in range(_WARM + round(seconds * PER_SECOND)):
                name, path, body = calls(number)
                found = await ours.call("POST", path, body)
                if found.status not in (200, 201):
                    raise RuntimeSetupError(f"a hook answered {found.status}: {found.body}")
                empty_ms = (await theirs.call("POST", "/", body)).ms
                if number >= _WARM:
                    took.setdefault(name, []).append(found.ms)
                    took.setdefault("empty_route", []).append(empty_ms)
                await asyncio.sleep(max(0.0, start + number / PER_SECOND - time.perf_counter()))
    return took


def _text(number: int) -> str:
    return f"rename column {number * 7 % 9999} of table {number % 200} in the report of week {number % 52}"


def _begins(number: int) -> tuple[str, str, dict[str, Any]]:
    return "hook", "/v1/trajectories", {"agent": f"agent-{number % 8}", "text": _text(number)}


def _events(number: int) -> tuple[str, str, dict[str, Any]]:
    """A session of Claude Code after another: a prompt, three commands, the end of the turn."""
    session, place = divmod(number, 5)
    more: dict[str, Any]
    body: dict[str, Any] = {"session_id": f"session-{session}", "cwd": "/", "permission_mode": "default"}
    if place == 0:
        name, more = "prompt", {"hook_event_name": "UserPromptSubmit", "prompt": _text(session)}
    elif place < 4:
        command: dict[str, Any] = {
            "tool_name": "Bash",
            "tool_input": {"command": "pytest -q"},
            "tool_use_id": f"call-{number}",
        }
        answer = {"tool_response": {"stdout": "3 passed", "stderr": "", "interrupted": False}}
        name, more = "tool", {"hook_event_name": "PostToolUse", **command, **answer}
    else:
        end = {"stop_hook_active": False, "last_assistant_message": "The column is renamed."}
        name, more = "stop", {"hook_event_name": "Stop", **end}
    return name, "/v1/hooks/claude-code", body | more


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
