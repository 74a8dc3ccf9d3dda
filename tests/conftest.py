"""Fixtures for every test that needs Redis: a real server, and a swarm of its own for each test."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from support import PrivateRedis

from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys

# Where an image forbids byte code, each of a thousand processes compiles all modules anew: a third of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long an example takes hangs on the machine; a test that hangs ends by the time limit of all tests.
hypothesis_settings.register_profile("without deadlines", deadline=None)
hypothesis_settings.load_profile("without deadlines")

LONG = (
    *("test_docs", "test_demo_run", "test_topology_pools", "test_role_pools", "test_bench_gateway", "test_kill"),
    *("test_examples", "test_pools", "test_mcp", "test_topology", "test_trace_flow", "test_chat_example", "test_top"),
    *("test_supervise_command", "test_supervisor", "test_stack", "test_worker_flow", "test_dashboard", "test_doctor"),
    *("test_schemathesis", "test_supervisor_restart", "test_supervisor_scaling", "test_secrets", "test_bench_load"),
)
"""The files that take longest, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files: one that began late would be waited for alone."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a real Redis: `SWARM_TEST_REDIS_URL`, else a private one for this session."""
    if url := os.environ.get("SWARM_TEST_REDIS_URL"):
        yield url
        return
    server = PrivateRedis()
    try:
        server.start()
        yield server.url
    finally:
        server.close()


@pytest.fixture
def settings(redis_server: str, tmp_path: Path) -> Settings:
    """Settings of a swarm that no other test knows."""
    return Settings(name=f"t-{uuid.uuid4().hex[:12]}", redis_url=redis_server, state_dir=tmp_path / "state")


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A client; afterwards every key of the test's swarm is removed, and no other."""
    with connect(settings) as client:
        yield client
        erase_swarm(client, SwarmKeys(settings.name))


@pytest.fixture
def own_redis() -> Iterator[PrivateRedis]:
    """A Redis for this test alone, to be killed and frozen."""
    server = PrivateRedis()
    try:
        server.start()
        yield server
    finally:
        server.close()
