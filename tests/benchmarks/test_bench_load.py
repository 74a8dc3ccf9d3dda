"""The senders of `bench_load` send what they say, wait when refused, and count a late batch from when it was due."""

from __future__ import annotations

import time
from functools import partial

import pytest

from benchmarks import load_outcomes, load_tasks
from benchmarks.load_outcomes import BATCH, at_once, consolidated, send_outcomes, send_raw
from benchmarks.load_tasks import latencies, ledger_rate
from benchmarks.own_swarm import OwnSwarm
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": "hashed:256"})


def test_every_batch_that_is_counted_was_accepted(settings: Settings, client: Client) -> None:
    waits = send_outcomes(settings, time.time(), time.time() + 0.3, 0)
    assert waits
    accepted = client.hget(SwarmKeys(settings.name).agent("sender-0").state, "accepted")
    assert accepted == str(BATCH * len(waits)).encode()
    assert consolidated(settings) == 0


def test_the_floor_sends_as_many_bytes_and_leaves_nothing(settings: Settings, client: Client) -> None:
    assert send_raw(settings, time.time(), time.time() + 0.2, 0)
    assert client.keys(f"{{{settings.name}}}:raw*") == []


def test_a_refused_sender_stops_at_the_end(settings: Settings, client: Client) -> None:
    narrow = settings.model_copy(update={"max_pending": 250})
    started = time.monotonic()
    waits = send_outcomes(narrow, time.time(), time.time() + 0.5, 0)
    assert time.monotonic() - started < 25.0
    assert len(waits) == 3
    assert client.hget(SwarmKeys(settings.name).agent("sender-0").state, "accepted") == b"250"


def test_a_batch_that_is_late_counts_from_when_it_was_due(settings: Settings) -> None:
    # More than anything can do: the last ones must have waited for about as long as it took.
    begin = time.time()
    waits = send_outcomes(settings, begin, begin + 0.5, 0, interval_s=1e-5)
    assert waits[-1] > 0.4


def test_tasks_are_counted_while_a_pool_does_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_tasks, "_WAITING", 20)
    with OwnSwarm() as own:
        own.swarm("workers", "start", "--role", "noop", "--handlers", "benchmarks.load_handlers", "-c", "1")
        swarm = Swarm(own.settings)
        assert ledger_rate(swarm, "noop", 0.5) > 0.0
        waits = latencies(swarm, "noop", 20.0, 0.2)
    assert len(waits) == 4
    assert all(wait > 0.0 for wait in waits)
    assert not own.folder.exists()


def test_senders_run_at_the_same_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_outcomes, "_READY_S", 1.0)
    waits = at_once(partial(send_outcomes, batch=10), settings, 0.2)
    assert len(waits) == 4
    assert all(waits)
