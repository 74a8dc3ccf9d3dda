"""Sums of what was counted never fall, and durations add up whoever adds them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from swarm_support import make_swarm, some_outcome

from swarm.errors import DamagedRecordError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.durations import BOUNDS_S, DurationStore
from swarm.store.tallies import Tallies, read_replayed, read_tallies
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_trajectory


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings.model_copy(update={"consolidate_delay": 0.0}), client)


@pytest.fixture
def keys(settings: Settings) -> SwarmKeys:
    return SwarmKeys(settings.name)


def report(swarm: Swarm, agent: str, first: int, last: int) -> None:
    if swarm.agents.registration(agent) is None:
        swarm.register(agent, "coder")
    for number in range(first, last):
        swarm.record(some_outcome(number, agent), f"{agent}-{number}")


def test_a_new_swarm_has_counted_nothing(client: Client, keys: SwarmKeys) -> None:
    assert read_tallies(client, keys) == Tallies()
    assert read_replayed(client, keys) == {}


def test_they_are_the_sums_over_all_agents(swarm: Swarm, client: Client, keys: SwarmKeys) -> None:
    report(swarm, "a", 0, 4)
    report(swarm, "b", 4, 9)
    swarm.outcomes("a").append(b"junk", "broken", "")
    background = Background(swarm.settings, client)
    background.consolidate("a", "worker", 0.0)
    assert read_tallies(client, keys) == Tallies(accepted=10, processed=5, dead=1)
    swarm.rewind("a-2")
    assert read_tallies(client, keys).rewound == 1


def test_forgetting_an_agent_takes_nothing_from_them(swarm: Swarm, client: Client, keys: SwarmKeys) -> None:
    report(swarm, "a", 0, 4)
    report(swarm, "b", 4, 9)
    Background(swarm.settings, client).drain(0.0)
    before = read_tallies(client, keys)
    swarm.forget(agent="a")
    after = read_tallies(client, keys)
    assert (after.accepted, after.processed, after.dead) == (before.accepted, before.processed, before.dead)
    # Its name comes back, and is forgotten again: former lives add up.
    report(swarm, "a", 20, 22)
    swarm.forget(agent="a")
    assert read_tallies(client, keys).accepted == before.accepted + 2


def test_gates_add_up_too(swarm: Swarm, client: Client, keys: SwarmKeys) -> None:
    for agent, promotions, refusals in (("a", 2, 1), ("b", 0, 4)):
        report(swarm, agent, 0, 1)
        client.hset(keys.agent(agent).state, mapping={"promotions": promotions, "refusals": refusals})
    tallies = read_tallies(client, keys)
    assert (tallies.promotions, tallies.refusals) == (2, 5)
    # Forgetting leaves them.
    swarm.forget(agent="b")
    assert read_tallies(client, keys).refusals == 5


def test_tasks_that_were_let_go_stay_counted_when_their_agent_is_forgotten(
    swarm: Swarm, client: Client, keys: SwarmKeys
) -> None:
    report(swarm, "a", 0, 1)
    swarm.outcomes("a").put_open("old", encode_trajectory(replace(some_outcome(1, "a"), at_s=5.0)))
    assert swarm.outcomes("a").expire_open(6.0) == 1
    swarm.forget(agent="a")
    assert read_tallies(client, keys).expired_open == 1


def test_a_tally_that_is_no_number_is_damage(swarm: Swarm, client: Client, keys: SwarmKeys) -> None:
    report(swarm, "a", 0, 1)
    client.hset(keys.agent("a").state, "dead", "many")
    with pytest.raises(DamagedRecordError, match="state of agent a"):
        read_tallies(client, keys)


def test_durations_add_up_in_buckets_that_hold_all_that_took_no_longer(client: Client, keys: SwarmKeys) -> None:
    one, other = DurationStore(client, keys), DurationStore(client, keys)
    for seconds in (0.004, 0.005, 0.3):
        one.add("consolidation", seconds)
    other.add("consolidation", 100.0)
    other.add("merge", 0.02)
    found = one.read()
    consolidation = found["consolidation"]
    assert consolidation.cumulative == (2, 2, 2, 2, 2, 2, *[3] * (len(BOUNDS_S) - 6), 4)
    assert consolidation.count == 4
    assert consolidation.sum_s == pytest.approx(100.309)
    assert (found["merge"].count, found["merge"].sum_s) == (1, 0.02)


def test_what_is_consolidated_and_merged_is_timed(swarm: Swarm, client: Client, keys: SwarmKeys) -> None:
    report(swarm, "a", 0, 3)
    background = Background(swarm.settings, client)
    background.drain(0.0)
    background.drain(0.0)
    found = DurationStore(client, keys).read()
    # The second time there was nothing to do.
    assert (found["consolidation"].count, found["merge"].count) == (1, 1)
    assert found["consolidation"].sum_s > 0.0
