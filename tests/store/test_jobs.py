"""Decisions of jobs: the first one holds, they expire together, and errors are ours."""

from __future__ import annotations

import pytest

from swarm.errors import StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.jobs import JobStore
from swarm.wire.keys import SwarmKeys


def test_the_first_decision_holds_until_it_is_changed(client: Client, keys: SwarmKeys) -> None:
    first, second = (JobStore(client, keys, ttl=100.0) for _ in range(2))
    assert first.decided("job") == {}
    assert first.decide("job", "part-1", "ada") == "ada"
    assert second.decide("job", "part-1", "bob") == "ada"
    assert second.decide("other", "part-1", "bob") == "bob"
    assert first.decide("job", "part-2", "é") == "é"
    assert second.decided("job") == {"part-1": "ada", "part-2": "é"}
    second.change("job", "part-1", "eve")
    assert first.decide("job", "part-1", "ada") == "eve"
    assert 90_000 < client.pttl(keys.job("job")) <= 100_000


def test_without_redis_it_is_one_clear_error(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{settings.state_dir}/none.sock"})
    store = JobStore(connect(away), SwarmKeys("s"), ttl=100.0)
    for call in (lambda: store.decide("j", "x", "y"), lambda: store.decided("j"), lambda: store.change("j", "x", "y")):
        with pytest.raises(StoreUnavailableError, match="of job j"):
            call()
