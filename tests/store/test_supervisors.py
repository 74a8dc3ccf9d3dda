"""Heartbeats of supervisors in a real Redis."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from swarm.errors import DamagedRecordError
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.supervisors import PoolReport, SupervisorBeat, SupervisorRegistry
from swarm.store.workers import BEAT_TTL
from swarm.wire.codec import encode
from swarm.wire.keys import SwarmKeys

REPORT = PoolReport(pool="p", wanted=2, why="9 waiting", failures=3, next_start_s=1007.5, fault="no module")
BEAT = SupervisorBeat(host="here", pid=7, started_s=900.0, beat_s=1000.0, pools=(REPORT, replace(REPORT, pool="q")))


@pytest.fixture
def registry(client: Client, settings: Settings) -> SupervisorRegistry:
    return SupervisorRegistry(client, SwarmKeys(settings.name))


def test_a_beat_comes_back_as_it_was_written_until_it_is_forgotten(registry: SupervisorRegistry) -> None:
    registry.beat(BEAT)
    registry.beat(replace(BEAT, host="there", pools=()))
    assert registry.all() == [BEAT, replace(BEAT, host="there", pools=())]
    registry.forget("there")
    assert registry.alive(1000.0 + BEAT_TTL - 0.1) == [BEAT]
    assert registry.alive(1000.0 + BEAT_TTL) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode("beat", asdict(BEAT)),
        encode("supervisor", {**asdict(BEAT), "pools": None}),
        encode("supervisor", {**asdict(BEAT), "pools": [1]}),
        encode("supervisor", {**asdict(BEAT), "pools": [{"pool": "p"}]}),
        encode("supervisor", {**asdict(BEAT), "pid": True}),
        encode("supervisor", {**asdict(BEAT), "beat_s": "now"}),
    ],
)
def test_a_damaged_beat_is_a_clear_error(
    registry: SupervisorRegistry, client: Client, settings: Settings, data: bytes
) -> None:
    client.hset(SwarmKeys(settings.name).supervisors, "here", data)
    with pytest.raises(DamagedRecordError, match="supervisor record"):
        registry.all()
