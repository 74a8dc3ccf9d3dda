"""The registry of workers and pools, against a real Redis."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import DamagedRecordError, NewerRecordError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.events import EventStore
from swarm.store.workers import BEAT_TTL, FORGET_AFTER, LOST_AFTER, PoolRecord, WorkerBeat, WorkerRegistry
from swarm.wire.codec import VERSION, encode
from swarm.wire.event_types import WorkerLost
from swarm.wire.keys import SwarmKeys

BEAT = WorkerBeat(
    name="p@here",
    pool="p",
    host="here",
    pid=7,
    concurrency=2,
    active=1,
    reserved=1,
    done=5,
    consuming=True,
    started_s=900.0,
    beat_s=1000.0,
    reconnects=0,
    outages=0,
    fault="",
)
POOL = PoolRecord(pool="p", host="here", pid=7, started_s=900.0, concurrency=2, log="/tmp/p.log")


@pytest.fixture
def keys(settings: Settings) -> SwarmKeys:
    return SwarmKeys(settings.name)


@pytest.fixture
def registry(client: Client, keys: SwarmKeys) -> WorkerRegistry:
    return WorkerRegistry(client, keys)


def test_a_beat_comes_back_as_it_was_written(registry: WorkerRegistry) -> None:
    registry.beat(BEAT)
    assert registry.last("p@here") == BEAT
    assert registry.alive(BEAT.beat_s) == [BEAT]
    assert registry.last("other@here") is None


def test_a_later_beat_replaces_the_one_before(registry: WorkerRegistry) -> None:
    registry.beat(BEAT)
    later = replace(BEAT, beat_s=1001.0, done=6)
    registry.beat(later)
    assert registry.alive(1001.0) == [later]


def test_a_worker_that_was_silent_for_the_ttl_is_not_alive(registry: WorkerRegistry) -> None:
    registry.beat(BEAT)
    assert BEAT.is_alive(BEAT.beat_s + BEAT_TTL - 0.01)
    assert not BEAT.is_alive(BEAT.beat_s + BEAT_TTL)
    assert registry.alive(BEAT.beat_s + BEAT_TTL) == []
    assert registry.last("p@here") == BEAT


def test_workers_are_listed_by_name(registry: WorkerRegistry) -> None:
    names = ["z@a", "a@z", "m@m"]
    for name in names:
        registry.beat(replace(BEAT, name=name))
    assert [beat.name for beat in registry.alive(BEAT.beat_s)] == sorted(names)


def test_a_forgotten_worker_is_gone_and_forgetting_twice_is_no_error(registry: WorkerRegistry) -> None:
    registry.beat(BEAT)
    registry.forget("p@here")
    registry.forget("p@here")
    assert registry.last("p@here") is None


def test_pruning_removes_only_workers_that_died_long_ago(registry: WorkerRegistry) -> None:
    registry.beat(BEAT)
    registry.beat(replace(BEAT, name="old@here", beat_s=BEAT.beat_s - FORGET_AFTER - 1))
    assert registry.prune(BEAT.beat_s) == 1
    assert registry.last("old@here") is None
    assert registry.last("p@here") == BEAT


def test_pools_of_one_name_on_two_hosts_are_two_records(registry: WorkerRegistry) -> None:
    elsewhere = replace(POOL, host="there", concurrency=8)
    registry.put_pool(POOL)
    registry.put_pool(elsewhere)
    assert registry.pools() == [POOL, elsewhere]
    registry.remove_pool(POOL.worker)
    assert registry.pools() == [elsewhere]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode("pool", {"pool": "p"}),
        encode("beat", {"name": "p@here"}),
        encode("beat", {**{name: getattr(BEAT, name) for name in BEAT.__slots__}, "pid": "7"}),
        encode("beat", {**{name: getattr(BEAT, name) for name in BEAT.__slots__}, "pid": True}),
        encode("beat", {**{name: getattr(BEAT, name) for name in BEAT.__slots__}, "consuming": 1}),
    ],
)
def test_a_damaged_beat_is_a_clear_error_until_it_is_forgotten(
    registry: WorkerRegistry, client: Client, keys: SwarmKeys, data: bytes
) -> None:
    client.hset(keys.workers, "p@here", data)
    with pytest.raises(DamagedRecordError, match="beat record"):
        registry.last("p@here")
    with pytest.raises(DamagedRecordError, match="beat record"):
        registry.alive(0.0)
    registry.forget("p@here")
    assert registry.alive(0.0) == []


def test_a_worker_that_ended_without_a_word_is_told_of_once(
    registry: WorkerRegistry, client: Client, keys: SwarmKeys
) -> None:
    events = EventStore(client, keys)
    at_s = 1_000_000.0
    beat = replace(BEAT, beat_s=at_s)
    registry.beat(beat)
    registry.forget(beat.name)
    other = WorkerRegistry(client, keys)
    other.beat(beat)
    assert events.read_after("0-0") == []
    other.prune(at_s + LOST_AFTER - 1.0)
    assert events.read_after("0-0") == []
    for _ in range(2):
        other.prune(at_s + LOST_AFTER + 1.0)
    lost = WorkerLost(worker=beat.name, role=beat.role, beat_s=at_s)
    assert [event.body for event in events.read_after("0-0")] == [lost]
    # Another process with its name finds what it left behind; that it was lost is known already.
    WorkerRegistry(client, keys).beat(replace(beat, pid=beat.pid + 1))
    assert [event.body for event in events.read_after("0-0")] == [lost]
    WorkerRegistry(client, keys).beat(replace(beat, pid=beat.pid + 2))
    assert [event.body for event in events.read_after("0-0")] == [lost, lost]


def test_a_record_of_a_newer_version_says_so(registry: WorkerRegistry, client: Client, keys: SwarmKeys) -> None:
    newer = encode("pool", {}).replace(bytes([VERSION]), bytes([VERSION + 1]), 1)
    client.hset(keys.pools, "p@here", newer)
    with pytest.raises(NewerRecordError):
        registry.pools()


def test_everything_fails_clearly_when_redis_is_away(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{settings.state_dir}/none.sock", "socket_timeout": 0.2})
    registry = WorkerRegistry(connect(away), SwarmKeys(settings.name))
    for call in (
        lambda: registry.beat(BEAT),
        lambda: registry.alive(0.0),
        lambda: registry.last("p@here"),
        lambda: registry.forget("p@here"),
        lambda: registry.put_pool(POOL),
        registry.pools,
        lambda: registry.remove_pool("p@here"),
    ):
        with pytest.raises(StoreUnavailableError):
            call()


@given(
    count=st.integers(0, 2**31),
    time_s=st.floats(0, 1e12, allow_nan=False),
    text=st.text(max_size=200).filter(lambda text: text.isprintable()),
    flag=st.booleans(),
)
def test_any_beat_survives_the_way_through_redis(
    redis_server: str, count: int, time_s: float, text: str, flag: bool
) -> None:
    settings = Settings(name="t-beats", redis_url=redis_server)
    with connect(settings) as client:
        registry = WorkerRegistry(client, SwarmKeys(settings.name))
        beat = replace(BEAT, done=count, beat_s=time_s, fault=text, consuming=flag)
        registry.beat(beat)
        assert registry.last(BEAT.name) == beat
        registry.forget(BEAT.name)
