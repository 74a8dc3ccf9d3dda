"""`swarm up` and `swarm down` with real processes: what is missing is mended, what runs is left alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
from cli_support import CommandLine
from support import PrivateRedis, wait_until

from swarm.settings import Settings
from swarm.store.connection import connect
from swarm.store.workers import WorkerRegistry
from swarm.wire.keys import SwarmKeys
from swarm_cli.local.stack import down, up
from swarm_cli.local.workers import local_workers

PASSWORD = "s3cret/@:word"
QUOTED = "s3cret%2F%40%3Aword"


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 30.0, f"process {pid} to be gone")


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def mended(state: dict[str, Any]) -> list[str]:
    """What `swarm up` did; that a worker was not heard of for a moment is no matter on a busy machine."""
    return [what for what in state["done"] if not what.endswith("it was silent")]


def test_stack_comes_up_is_mended_and_goes_down(command_line: CommandLine) -> None:
    first = command_line.json("up")
    assert first["done"] == ["started Redis", "started pool local", "started the supervisor", "started the gateway"]
    assert first["pool"]["concurrency"] == 2
    [worker] = command_line.json("status")["workers"]
    assert worker["pid"] == first["pool"]["pid"]

    second = command_line.json("up")
    assert mended(second) == []
    assert (second["redis_pid"], second["pool"]["pid"]) == (first["redis_pid"], first["pool"]["pid"])

    with connect(command_line.settings) as client:
        client.set("key", "kept")
    # With a supervisor beside them `swarm up` would find everything mended already.
    end(first["supervisor_pid"])
    end(first["redis_pid"])
    assert command_line.settings.socket_path.exists()
    assert "swarm up" in command_line.error("status")
    third = command_line.json("up")
    assert mended(third) == ["started Redis", "started the supervisor"]
    assert third["redis_pid"] != first["redis_pid"]
    with connect(command_line.settings) as client:
        assert client.get("key") == b"kept"

    end(third["supervisor_pid"])
    end(first["pool"]["pid"])
    fourth = command_line.json("up")
    assert fourth["done"][-1] == "started the supervisor"
    assert fourth["pool"]["pid"] != first["pool"]["pid"]
    assert fourth["redis_pid"] == third["redis_pid"]

    ended = command_line.json("down")
    assert (ended["pools"], ended["gateway"], ended["redis"]) == (["local"], True, True)
    assert not is_alive(first["gateway"]["pid"])
    assert not is_alive(fourth["pool"]["pid"])
    assert not is_alive(third["redis_pid"])
    assert not command_line.settings.socket_path.exists()
    ended = command_line.json("down")
    assert (ended["pools"], ended["gateway"], ended["redis"]) == ([], False, False)
    assert "swarm up" in command_line.error("status")


def test_ups_at_once_start_one_redis_and_one_pool(command_line: CommandLine) -> None:
    running = [command_line.popen("up", "--json") for _ in range(4)]
    ended = [process.communicate(timeout=90.0) for process in running]
    assert [process.returncode for process in running] == [0] * 4, ended
    state = command_line.json("up")
    assert mended(state) == []
    assert sum('"started Redis"' in out for out, _ in ended) == 1
    assert sum('"started pool local"' in out for out, _ in ended) == 1
    assert sum('"started the supervisor"' in out for out, _ in ended) == 1
    assert [worker.pid for worker in local_workers(command_line.settings)] == [state["pool"]["pid"]]


def test_concurrency_is_changed_only_when_it_is_named(command_line: CommandLine) -> None:
    settings = command_line.settings
    assert up(settings, 1).pool.concurrency == 1
    assert up(settings).done == ()
    assert up(settings, 2).done == ("scaled pool local from 1 to 2",)
    assert up(settings).pool.concurrency == 2


def test_frozen_pool_is_replaced(command_line: CommandLine) -> None:
    settings = command_line.settings
    state = up(settings, 1)
    before = state.pool
    end(state.supervisor_pid)
    os.kill(before.pid, signal.SIGSTOP)
    with connect(settings) as client:
        # As if it had been silent for long enough.
        WorkerRegistry(client, SwarmKeys(settings.name)).forget(before.worker)
    after = up(settings)
    assert after.done == ("replaced pool local, which was silent", "started the supervisor")
    assert after.pool.concurrency == 1
    assert not is_alive(before.pid)


def test_down_ends_workers_whose_redis_is_gone(command_line: CommandLine) -> None:
    state = up(command_line.settings, 1)
    assert state.redis_pid is not None
    end(state.supervisor_pid)
    end(state.redis_pid)
    ended = down(command_line.settings)
    assert (ended.pools, ended.redis) == (("local",), False)
    assert not is_alive(state.pool.pid)


def test_redis_runs_on_for_the_workers_of_another_swarm(command_line: CommandLine) -> None:
    ours, theirs = (command_line.settings.model_copy(update={"name": name}) for name in ("ours", "theirs"))
    pid = up(ours, 1).redis_pid
    assert up(theirs, 1).redis_pid == pid
    ended = down(ours)
    assert (ended.pools, ended.redis, ended.kept_for) == (("local",), False, ("theirs",))
    assert up(theirs).done == ()
    ended = down(theirs)
    assert (ended.pools, ended.redis, ended.kept_for) == (("local",), True, ())


def test_external_redis_is_left_alone_and_its_password_is_never_shown() -> None:
    server = PrivateRedis()
    server.start()
    with connect(Settings(redis_url=server.url)) as client:
        client.config_set("requirepass", PASSWORD)
    socket = server.url.removeprefix("unix://")
    shell = CommandLine(SWARM_REDIS_URL=f"unix://:{QUOTED}@{socket}")
    outputs: list[str] = []
    try:
        for command in ("up", "up --json", "doctor", "doctor --json", "status", "workers list", "query text", "down"):
            with shell.popen(*command.split()) as process:
                outputs += process.communicate(timeout=60.0)
            assert process.returncode == 0, outputs
        shell.environment["SWARM_REDIS_URL"] = f"unix://:wrong-{QUOTED}@{socket}"
        outputs += [shell.error("status"), shell.error("up"), shell.run("doctor", code=1).stdout]
        with connect(Settings(redis_url=f"unix://:{QUOTED}@{socket}")) as client:
            assert client.ping()
        outputs += [path.read_text(errors="replace") for path in files(shell.state_dir)]
    finally:
        shell.close()
        server.close()
    assert f"unix://{socket}" in outputs[0]
    for output in outputs:
        assert PASSWORD not in output
        assert QUOTED not in output


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]
