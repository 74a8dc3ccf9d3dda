"""Fixtures of the worker tests: a manager whose pools never outlive the test, and agents with outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from supervisor_support import LIMITS, Handlers, Watched
from support import PrivateRedis
from swarm_support import make_swarm
from workers_support import kill_workers

from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_workers.pools import PoolManager
from swarm_workers.supervisor import Supervisor


@pytest.fixture
def manager(settings: Settings, client: Client) -> Iterator[PoolManager]:
    """A pool manager; whatever it started is killed in the end."""
    with PoolManager(settings, client) as manager:
        yield manager
    kill_workers(settings)


@pytest.fixture
def own_redis(settings: Settings) -> Iterator[PrivateRedis]:
    """A Redis for this test alone, to be killed and frozen."""
    server = PrivateRedis()
    try:
        server.start()
        yield server
    finally:
        kill_workers(settings)
        server.close()


@pytest.fixture
def children() -> Callable[[int], list[psutil.Process]]:
    """The child processes of a worker, by the pid of its main process."""
    return lambda pid: psutil.Process(pid).children()


@pytest.fixture
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    """Handlers of the role coder, which the workers of this test find and the test can change."""
    return Handlers(tmp_path, monkeypatch)


@pytest.fixture
def watch(manager: PoolManager, handlers: Handlers, settings: Settings, client: Client) -> Callable[..., Watched]:
    """Makes a swarm whose pools are looked after within these limits."""

    def made(**limits: float) -> Watched:
        supervisor = Supervisor(settings, replace(LIMITS, **limits), client=client)
        return Watched(make_swarm(settings, client), manager, supervisor)

    return made
