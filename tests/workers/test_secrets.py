"""A password that is known is looked for in everything that a run leaves behind, failures above all."""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psutil
import pytest
import redis
from cli_support import CommandLine
from support import PrivateRedis, find_redis_server, wait_until
from swarm_support import EMBEDDER, make_swarm
from workers_support import kill_workers

from swarm.errors import StoreUnavailableError
from swarm.settings import Settings
from swarm.store.acl import redis_users
from swarm.telemetry.logs import SwarmFormatter
from swarm_workers import processes
from swarm_workers.app import create_app
from swarm_workers.broker import broker_errors, impatient_connection
from swarm_workers.pools import PoolManager

PASSWORD = "s3cret/p4ss:w@rd-of-the-test"
MARK = "s3cret"
NAME = f"hush{uuid.uuid4().hex[:8]}"
TOKEN = "swarm_" + "0" * 16 + "_" + "s3cret_" * 6 + "x"


def url_of(server: PrivateRedis) -> str:
    return f"unix://{NAME}~operator:{quote(PASSWORD, safe='')}@{server.directory / 'redis.sock'}"


def settings_of(url: str, state: Path) -> Settings:
    return Settings(
        name=NAME, redis_url=url, state_dir=state, embedder=EMBEDDER, consolidate_delay=0.0, socket_timeout=1.0
    )


@pytest.fixture
def guarded_redis() -> Iterator[PrivateRedis]:
    """A server that wants the password."""
    server = PrivateRedis()
    try:
        server.start()
        with redis.Redis.from_url(server.url) as root:
            version = tuple(int(part) for part in str(root.info()["redis_version"]).split("."))
            for user in redis_users(NAME, version=version):
                root.execute_command(*user.line(PASSWORD).split())
        yield server
    finally:
        server.close()


@pytest.fixture
def echoing_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A server that knows neither AUTH nor HELLO, as an old one, and says so with the arguments that it was sent."""
    config, program = tmp_path / "redis.conf", tmp_path / "server"
    config.write_text('rename-command AUTH ""\nrename-command HELLO ""\n')
    program.write_text(f'#!/bin/sh\nexec "{find_redis_server()}" "{config}" "$@"\n')
    program.chmod(0o700)
    server = PrivateRedis(str(program))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    kill_workers(settings_of("redis://", tmp_path / "state"))


def command_lines() -> str:
    """Of every process there is."""
    found = []
    for process in psutil.process_iter(["cmdline", "name"]):
        found += [str(process.info["name"]), *(process.info["cmdline"] or ())]
    return "\n".join(found)


def traceback_of(call: Callable[[], object]) -> str:
    """What Python prints of the error that `call` must raise."""
    with pytest.raises(StoreUnavailableError) as caught:
        call()
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def connect_broker(settings: Settings) -> None:
    with broker_errors("reach the broker"), impatient_connection(create_app(settings), 1.0) as connection:
        connection.ensure_connection(max_retries=1)


def log_of_worker(settings: Settings) -> str:
    """What a worker logs until it has complained."""
    log = settings.state_dir / "logs" / "hush.log"
    settings.state_dir.mkdir()
    command = processes.worker_command("local@here", 1, settings.state_dir, f"{{{NAME}}}:queue")
    pid, started_s = processes.spawn(command, processes.worker_environment(settings), log)
    try:
        wait_until(lambda: log.read_text().count("ERROR") >= 1, 60.0, "a worker to complain")
        assert MARK not in command_lines()
    finally:
        processes.terminate(pid, started_s, 0.0)
    return log.read_text()


def test_the_server_does_echo_the_password(echoing_redis: PrivateRedis) -> None:
    """Else the tests below would find nothing because there is nothing."""
    with redis.Redis.from_url(url_of(echoing_redis)) as client, pytest.raises(redis.ResponseError, match=MARK):
        client.ping()


def test_what_a_server_echoes_is_in_no_error_and_in_no_log(echoing_redis: PrivateRedis, state: Path) -> None:
    settings = settings_of(url_of(echoing_redis), state)
    swarm = make_swarm(settings)
    told = traceback_of(swarm.status) + traceback_of(lambda: connect_broker(settings)) + log_of_worker(settings)
    assert "with args beginning with: ***" in told
    assert MARK not in told


def test_a_wrong_password_and_a_server_that_is_away_show_nothing(guarded_redis: PrivateRedis, state: Path) -> None:
    wrong = settings_of(url_of(guarded_redis).replace("of-the-test", "wrong"), state)
    away = settings_of(f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:1/0?socket_timeout=1", state)
    told = log_of_worker(wrong)
    for settings in (wrong, away):
        swarm = make_swarm(settings)
        told += traceback_of(swarm.status) + traceback_of(lambda settings=settings: connect_broker(settings))  # type: ignore[misc]
        told += repr(settings) + repr(swarm.settings)
    assert "AuthenticationError" in told
    assert MARK not in told


def test_a_whole_run_from_the_command_line_shows_nothing(
    guarded_redis: PrivateRedis, echoing_redis: PrivateRedis, state: Path
) -> None:
    line = CommandLine(SWARM_REDIS_URL=url_of(guarded_redis), SWARM_NAME=NAME, SWARM_EMBEDDER=EMBEDDER)
    try:
        told = [line.run(*words) for words in (("workers", "start", "--pool", "p", "-c", "1"), ("status",))]
        assert MARK not in command_lines()
        with line.popen("doctor") as doctor:
            out, err = doctor.communicate(timeout=60.0)
        told += [line.run("workers", "stop", "--pool", "p")]
        line.environment["SWARM_REDIS_URL"] = url_of(echoing_redis)
        with line.popen("doctor", "--json") as doctor:
            out, err = out + doctor.communicate(timeout=60.0)[0], err
        told_text = "".join(one.stdout + one.stderr for one in told) + out + err + line.error("status")
        logs = "".join(path.read_text() for path in line.state_dir.rglob("*.log"))
    finally:
        line.close()
    assert "with args beginning with: ***" in told_text
    assert MARK not in told_text + logs


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_is_masked_whatever_is_logged(form: Literal["text", "json"]) -> None:
    url = f"redis://:{quote(PASSWORD, safe='')}@host"
    formatter = SwarmFormatter(Settings(redis_url=url, log=form, log_content=True))

    def masked(message: str, *arguments: object, error: BaseException | None = None) -> str:
        info = None if error is None else (type(error), error, error.__traceback__)
        return formatter.format(logging.LogRecord("x", logging.ERROR, "x", 1, message, arguments, info))

    assert "url ***" in masked("url %s", quote(PASSWORD, safe=""))
    assert "*** and ***" in masked(f"{PASSWORD} and %s", TOKEN)
    assert "not %d a number" in masked("not %d a number", "s")
    try:
        raise ValueError(PASSWORD)
    except ValueError as error:
        shown = masked("failed", error=error)
    assert "ValueError: ***" in shown
    assert MARK not in shown


def test_a_pool_that_does_not_start_shows_no_secret(echoing_redis: PrivateRedis, state: Path) -> None:
    settings = settings_of(url_of(echoing_redis), state)
    with PoolManager(settings) as manager:
        assert MARK not in traceback_of(lambda: manager.start("local", 1, timeout_s=5.0))
    assert MARK not in command_lines()
