"""What a hook's command costs a coding agent: the whole process, beside a bare round trip of the same Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.arguments import say
from benchmarks.own_swarm import OwnSwarm, swarm_command
from swarm_cli import hook_shim

RUNS = 30
_PYTHON = os.path.realpath(sys.executable)
_PROMPT = json.dumps({"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "Fix the parser"}).encode()
_BARE = """
import _socket, sys
body = sys.stdin.buffer.read()
to = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
to.connect(sys.argv[1])
head = b"POST /v1/hooks/claude-code HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n"
to.sendall(head % len(body) + body)
answer = b""
while part := to.recv(65536):
    answer += part
sys.stdout.buffer.write(answer.partition(b"\\r\\n\\r\\n")[2])
"""


def cost_of_shim() -> dict[str, float]:
    """Medians in ms of `RUNS` runs in turns, their ratios to the bare one, and the longest with no gateway there."""
    with OwnSwarm({"HTTP_PORT": "0"}) as own:
        own.swarm("up", "--concurrency", "1")
        socket = str(own.settings.gateway_socket)
        shim = [_PYTHON, "-I", "-S", hook_shim.__file__, "claude-code", socket]
        commands = {
            "bare_round_trip": [_PYTHON, "-I", "-S", "-c", _BARE, socket],
            "installed_hook": shim,
            "swarm_hook": [swarm_command(), "hook", "claude-code"],
        }
        say(f"{RUNS} runs of each command")
        took: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(RUNS + 1):
            for name, command in commands.items():
                took_ms = _run(command, own.environment)
                if number:
                    took[name].append(took_ms)
        own.swarm("down")
        alone = [_run(shim, own.environment) for _ in range(RUNS)]
    medians = {name: float(np.median(values)) for name, values in took.items()}
    ratios = {
        f"{name}_to_bare": medians[name] / medians["bare_round_trip"] for name in ("installed_hook", "swarm_hook")
    }
    return {f"{name}_ms": value for name, value in medians.items()} | ratios | {"no_gateway_ms_max": max(alone)}


def _run(command: Sequence[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, input=_PROMPT, env=environment, capture_output=True, check=True, timeout=30.0)
    return 1e3 * (time.perf_counter() - began)
