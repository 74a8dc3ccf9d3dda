"""What was taken back: marks that stay, and how far each is."""

from __future__ import annotations

import pytest

from swarm.store.connection import Client
from swarm.store.forgotten import Forgotten, ForgottenStore, settled_by, up_to
from swarm.wire.keys import SwarmKeys

NAME = "coder-1"


@pytest.fixture
def store(client: Client, keys: SwarmKeys) -> ForgottenStore:
    return ForgottenStore(client, keys)


def test_nothing_is_forgotten_at_first(store: ForgottenStore) -> None:
    found = store.of(NAME)
    assert found == Forgotten(marks={})
    assert not found.covers("1-0")
    assert not found.is_done("1-0")


def test_a_mark_goes_from_marked_to_settled_to_done(store: ForgottenStore, client: Client, keys: SwarmKeys) -> None:
    store.mark(NAME, ["5-0", up_to("3-0")])
    assert store.of(NAME).marks == {"5-0": "", "<=3-0": ""}
    # What no generation is free of yet is not done.
    store.finish(NAME, ["5-0", "7-0"])
    assert store.of(NAME).marks == {"5-0": "", "<=3-0": ""}
    client.hset(keys.agent(NAME).forgotten, "5-0", "12")
    store.mark(NAME, ["5-0"])
    assert store.of(NAME).marks["5-0"] == "12"
    for _ in range(2):
        store.finish(NAME, ["5-0"])
        assert store.of(NAME).marks["5-0"] == "12 done"
        assert settled_by(store.of(NAME).marks["5-0"]) == 12
    assert store.of(NAME).is_done("5-0")
    assert not store.of(NAME).is_done("<=3-0")


def test_all_up_to_one_is_covered_by_the_latest_of_several() -> None:
    found = Forgotten(marks={"<=3-0": "1 done", "<=12-7": "", "20-0": "3"})
    covered = [place for place in ("2-0", "3-0", "12-7", "12-8", "20-0", "20-1") if found.covers(place)]
    assert covered == ["2-0", "3-0", "12-7", "20-0"]
    assert [found.is_settled(place) for place in covered] == [True, True, False, True]


def test_agents_forget_each_for_itself(store: ForgottenStore) -> None:
    store.mark(NAME, ["5-0"])
    assert store.of("coder-2").marks == {}
