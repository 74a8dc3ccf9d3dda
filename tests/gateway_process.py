"""A gateway as a user runs it: a process of its own, on a port that is free."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from forked import Forked, start_swarm
from support import wait_until
from swarm_support import environment, present

from swarm.settings import Settings
from swarm_cli.local.gateway import GatewayProcess, find_gateway


@contextmanager
def running_gateway(settings: Settings, **changes: str) -> Iterator[GatewayProcess]:
    """`swarm serve` for as long as the block lasts; `changes` are variables of its environment."""
    variables = environment(settings) | {"SWARM_HTTP_PORT": "0"} | changes
    with start_swarm(["serve"], variables, errors=sys.__stderr__) as process:
        try:
            yield present(wait_until(lambda: _found(settings, process), 60.0, "the gateway"))
        finally:
            process.terminate()
            process.wait(60.0)


def _found(settings: Settings, process: Forked | subprocess.Popen[bytes]) -> GatewayProcess | None:
    assert process.poll() is None, f"the gateway ended with {process.returncode}"
    found = find_gateway(settings)
    return found if found is not None and found.pid == process.pid else None
