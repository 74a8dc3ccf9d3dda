"""Fixtures of the worker tests: a manager whose pools never outlive the test, and agents with outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
import pytest
from support import PrivateRedis
from workers_support import kill_workers

from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_workers.pools import PoolManager


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
