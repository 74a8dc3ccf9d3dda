"""The supervisor as a process: `swarm up` starts it, there is one, it is killed and comes back, `down` ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest
from cli_support import CommandLine
from click.testing import CliRunner
from support import wait_until

from swarm.errors import BoundsError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import connect, redis_errors
from swarm_cli.commands.workers import command
from swarm_cli.local.redis_server import RedisServer
from swarm_cli.local.workers import local_workers
from swarm_workers.pools import PoolManager
from swarm_workers.sole import find_supervisor

PATIENCE = 60.0


def worker_pid(line: CommandLine) -> int:
    found = local_workers(line.settings)
    return found[0].pid if found else 0


def kill(pid: int) -> None:
    psutil.Process(pid).kill()
    wait_until(lambda: not psutil.pid_exists(pid), PATIENCE, f"process {pid} to be gone")


def await_other(read: Callable[[], int | None], before: int, what: str) -> int:
    found = wait_until(lambda: (pid := read()) and pid != before and pid, PATIENCE, what)
    assert found
    return int(found)


def answers(line: CommandLine) -> bool:
    try:
        with connect(line.settings) as client, redis_errors("ping"):
            return bool(client.ping())
    except StoreUnavailableError:
        return False


def test_the_supervisor_brings_back_workers_and_redis_and_is_ended_first(command_line: CommandLine) -> None:
    state = command_line.json("up", "--no-gateway", "-c", "1")
    assert "started the supervisor" in state["done"]
    refused = command_line.error("workers", "supervise")
    assert f"already: process {state['supervisor_pid']}" in refused

    kill(state["redis_pid"])
    await_other(RedisServer(command_line.settings).state, state["redis_pid"], "another Redis")
    wait_until(lambda: answers(command_line), PATIENCE, "Redis to answer")
    os.killpg(state["pool"]["pid"], signal.SIGKILL)
    worker = await_other(lambda: worker_pid(command_line), state["pool"]["pid"], "another worker")

    # A supervisor that was killed leaves the workers alone, and the next one takes them over.
    kill(state["supervisor_pid"])
    assert worker_pid(command_line) == worker
    again = command_line.json("up", "--no-gateway")
    assert again["done"][-1] == "started the supervisor"
    assert again["pool"]["pid"] == worker
    with PoolManager(command_line.settings) as manager:
        wait_until(lambda: (care := manager.list()[0].care) and care.wanted == 1, PATIENCE, "the new one's report")

    assert again["supervisor_pid"] != state["supervisor_pid"]

    ended = command_line.json("down")
    assert (ended["supervisor"], ended["redis"]) == (True, True)
    # One that is started after that finds nothing to do: what was stopped stays stopped.
    with command_line.popen("workers", "supervise") as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            assert any("Redis is away" in line for line in lines)
            assert local_workers(command_line.settings) == []
            assert not answers(command_line)
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert find_supervisor(command_line.settings) is None


def test_pools_with_bounds_on_the_command_line(external: CommandLine, settings: Settings) -> None:
    mine = settings.model_copy(update={"state_dir": external.state_dir})
    with PoolManager(mine) as manager, external.popen("workers", "supervise") as process:
        try:
            started = external.json("workers", "start", "--pool", "p", "--min", "0", "--max", "4", "--idle", "60")
            assert (started["concurrency"], started["min_size"], started["max_size"]) == (1, 0, 4)
            wait_until(lambda: manager.list()[0].care, PATIENCE, "the supervisor's report")
            wait_until(
                lambda: "is to have 1 process: nothing waits" in external.run("workers", "list").stdout,
                PATIENCE,
                "what the supervisor says of the pool",
            )
            shown = external.run("workers", "list").stdout
            assert "1 (0-4)" in shown
            assert "Supervised on" in shown
            [restarted] = external.json("workers", "restart", "--all")["pools"]
            assert restarted["pid"] != started["pid"]
            assert external.json("workers", "stop", "--pool", "p")["ended_by_itself"] is True
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("start", "give the processes"),
        ("start -c 1 --max 2", "give the processes"),
        ("start -c 1 --min 1", "go with --max"),
        ("start --max 2 --idle 5", "--idle goes with --min 0"),
        ("scale --min 1", "give the processes"),
        ("restart", "say which pool"),
        ("restart --all --pool p", "say which pool"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: str, message: str) -> None:
    ended = CliRunner().invoke(command, words.split())
    assert ended.exit_code == 2
    assert message in ended.output


def test_bounds_that_are_none_are_refused() -> None:
    ended = CliRunner().invoke(command, ["start", "--min", "3", "--max", "2"])
    assert isinstance(ended.exception, BoundsError)
    assert str(ended.exception) == "min must be an integer in 0..2, got 3"
