"""Whose turn the sweep is, what it sends, and what the tasks swallow; without workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import wait_until
from workers_support import put_outcomes

from swarm.errors import InputError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm_workers.app import create_app
from swarm_workers.broker import queue_key
from swarm_workers.dispatch import Dispatcher
from swarm_workers.sweep import MAX_QUEUED, Sweeper
from swarm_workers.tasks import BackgroundTasks, register


def sweeper(settings: Settings, client: Client, worker: str) -> Sweeper:
    return Sweeper(settings, client, Dispatcher(create_app(settings), 1.0), worker)


def test_one_sweep_in_each_interval_whoever_makes_it(settings: Settings, client: Client) -> None:
    mine = settings.model_copy(update={"sweep_interval": 0.3, "consolidate_delay": 0.0})
    first, second = sweeper(mine, client, "a@x"), sweeper(mine, client, "b@x")
    put_outcomes(mine, client, "coder-1", 1)
    assert first.sweep() == 1
    put_outcomes(mine, client, "coder-2", 1)
    assert (first.sweep(), second.sweep()) == (0, 0)
    assert wait_until(second.sweep, 30.0, "the next turn") == 1


def test_a_nudge_on_its_way_is_not_sent_again(settings: Settings, client: Client) -> None:
    mine = settings.model_copy(update={"sweep_interval": 0.05, "consolidate_delay": 0.0})
    put_outcomes(mine, client, "coder-1", 1)
    sweep = sweeper(mine, client, "a@x").sweep
    assert sweep() == 1
    end = time.monotonic() + 0.3
    wait_until(lambda: sweep() > 0 or time.monotonic() > end, 30.0, "some sweeps")
    assert client.llen(queue_key(mine)) == 1


def test_a_full_queue_gets_no_more_nudges(settings: Settings, client: Client) -> None:
    mine = settings.model_copy(update={"sweep_interval": 0.05, "consolidate_delay": 0.0})
    put_outcomes(mine, client, "coder-1", 1)
    client.rpush(queue_key(mine), *[b"x"] * MAX_QUEUED)
    sweep = sweeper(mine, client, "a@x").sweep
    assert sweep() == 0
    client.lpop(queue_key(mine))
    assert wait_until(sweep, 30.0, "a sweep") == 1


def test_a_sweep_without_redis_is_one_clear_error(settings: Settings, client: Client, tmp_path: Path) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock"})
    with pytest.raises(StoreUnavailableError, match="sweep"):
        sweeper(away, connect(away), "a@x").sweep()


def a_task(settings: Settings) -> Any:
    app = create_app(settings)
    register(app)
    return app.tasks["swarm.consolidate"]


def test_a_task_drops_what_the_next_sweep_repairs(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock", "socket_timeout": 0.2})
    BackgroundTasks(away).consolidate(a_task(away), "coder-1")
    BackgroundTasks(away).merge(a_task(away))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "'coder-1' dropped" in caplog.messages[0]


def test_a_task_for_an_agent_that_was_forgotten_is_dropped(
    settings: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    BackgroundTasks(settings).consolidate(a_task(settings), "nobody")
    assert "agent 'nobody' is not registered" in caplog.messages[0]


def test_a_task_swallows_nothing_else(settings: Settings, client: Client) -> None:
    with pytest.raises(InputError, match="agent must be"):
        BackgroundTasks(settings).consolidate(a_task(settings), "no name")


def run_python(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_a_worker_computes_with_one_thread_wherever_it_is_started_from() -> None:
    code = (
        "import swarm_workers.entry, threadpoolctl; print({i['num_threads'] for i in threadpoolctl.threadpool_info()})"
    )
    assert run_python(code).strip() == "{1}"


def test_the_package_itself_loads_nothing_heavy() -> None:
    code = "import swarm_workers, sys; print([m for m in ('numpy', 'celery', 'redis') if m in sys.modules])"
    assert run_python(code).strip() == "[]"
