"""`swarm workers run`: a pool in the foreground, as a container has it, and what its health check is."""

from __future__ import annotations

import signal

import psutil
import pytest
from cli_support import CommandLine
from support import PrivateRedis, wait_until

from swarm.settings import Settings
from swarm.store.connection import Client


@pytest.mark.timeout(180)
def test_pool_runs_as_long_as_the_command_and_is_drained_with_it(external: CommandLine, client: Client) -> None:
    external.run("workers", "list", "--check", code=1)
    with external.popen("workers", "run", "-c", "1", "--pool", "here") as process:
        wait_until(lambda: _is_well(external), 60.0, "a pool that works")
        assert external.json("workers", "list")["supervisors"][0]["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(90.0) == 0
    assert external.json("workers", "list")["pools"] == []


@pytest.mark.timeout(180)
def test_worker_does_not_outlive_the_command_when_redis_is_away(own_redis: PrivateRedis) -> None:
    line = CommandLine(SWARM_REDIS_URL=own_redis.url)
    try:
        with line.popen("workers", "run", "-c", "1", "--timeout", "2") as process:
            wait_until(lambda: line.json("workers", "list")["pools"], 60.0, "a pool")
            pid = line.json("workers", "list")["pools"][0]["pid"]
            own_redis.kill()
            process.send_signal(signal.SIGTERM)
            process.wait(90.0)
        wait_until(lambda: not _is_running(pid), 30.0, "the end of the worker")
    finally:
        line.close()


def _is_well(line: CommandLine) -> bool:
    with line.popen("workers", "list", "--check") as process:
        process.communicate(timeout=60.0)
    return process.returncode == 0


def _is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_options_that_do_not_go_together_are_refused(external: CommandLine, settings: Settings) -> None:
    assert "give the processes: -c N" in external.error("workers", "run")
    assert "--role needs --handlers" in external.error("workers", "run", "-c", "1", "--role", "coder")
