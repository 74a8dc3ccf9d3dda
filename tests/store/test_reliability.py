"""Reliabilities in Redis: added to once per execution, and refused when they cannot be real."""

from __future__ import annotations

import pytest

from swarm.errors import DamagedRecordError
from swarm.settings import Settings
from swarm.sona.consensus import Reliability
from swarm.store.connection import Client
from swarm.store.reliability import ReliabilityStore
from swarm.wire.keys import SwarmKeys


@pytest.fixture
def store(client: Client, settings: Settings) -> ReliabilityStore:
    return ReliabilityStore(client, SwarmKeys(settings.name), verdict_ttl=60.0)


def test_credits_of_several_executions_add_up(store: ReliabilityStore) -> None:
    assert store.read() == {}
    store.judge("one", b"first", {"coder-1": Reliability(n=1.0, right=0.25), "a.b": Reliability(n=1.0, right=1.0)})
    store.judge("two", b"second", {"coder-1": Reliability(n=1.0, right=0.5)})
    assert store.read() == {"coder-1": Reliability(n=2.0, right=0.75), "a.b": Reliability(n=1.0, right=1.0)}


def test_the_first_verdict_holds_and_counts_once(store: ReliabilityStore, client: Client, settings: Settings) -> None:
    assert store.find("one") is None
    assert store.judge("one", b"first", {"a": Reliability(n=1.0, right=1.0)}) == b"first"
    assert store.judge("one", b"second", {"a": Reliability(n=1.0, right=0.0)}) == b"first"
    assert store.find("one") == b"first"
    assert store.read() == {"a": Reliability(n=1.0, right=1.0)}
    assert 0 < client.pttl(SwarmKeys(settings.name).execution("one")) <= 60_000


@pytest.mark.parametrize(
    "fields", [{"a:n": "1", "a:right": "2"}, {"a:n": "x"}, {"a:n": "nan", "a:right": "0"}, {"a:what": "1"}]
)
def test_sums_that_cannot_be_real_are_damage(
    store: ReliabilityStore, client: Client, settings: Settings, fields: dict[str, str]
) -> None:
    for field, value in fields.items():
        client.hset(SwarmKeys(settings.name).reliability, field, value)
    with pytest.raises(DamagedRecordError, match="reliabilities"):
        store.read()
