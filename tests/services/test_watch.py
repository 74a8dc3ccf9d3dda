"""A sweep looks at those that are at work, and at all others in turns."""

from __future__ import annotations

import pytest
from swarm_support import a_registration, agent_store, some_outcome

from swarm.services.watch import _STAYS, Watch
from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import Client
from swarm.store.outcomes import OutcomeStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_trajectory

NAMES = [f"agent-{number:02d}" for number in range(20)]


@pytest.fixture
def agents(client: Client, settings: Settings) -> AgentStore:
    store = agent_store(client, settings)
    for name in NAMES:
        store.register(name, a_registration())
    return store


def report(client: Client, settings: Settings, agent: str, number: int = 0) -> None:
    outcomes = OutcomeStore(client, SwarmKeys(settings.name).agent(agent), max_pending=100, receipt_ttl=60.0)
    outcomes.append(encode_trajectory(some_outcome(number, agent)), f"key-{number}", "")


def test_all_of_a_small_swarm_are_looked_at_every_time(agents: AgentStore) -> None:
    watch = Watch(agents)
    assert list(watch.look()) == NAMES
    agents.register("one-more", a_registration())
    assert list(watch.look()) == [*NAMES, "one-more"]


def test_of_a_large_swarm_each_is_looked_at_in_its_turn(agents: AgentStore) -> None:
    watch = Watch(agents, at_once=8)
    looks = [list(watch.look()) for _ in range(4)]
    assert looks == [NAMES[:8], NAMES[8:16], NAMES[16:], NAMES[:8]]


def test_who_is_at_work_is_looked_at_every_time_until_nothing_changes_for_long(
    agents: AgentStore, client: Client, settings: Settings
) -> None:
    watch = Watch(agents, at_once=4)
    report(client, settings, NAMES[1])
    assert watch.look()[NAMES[1]].oldest_ms is not None
    assert all(NAMES[1] in watch.look() for _ in range(3 * _STAYS))
    keys = SwarmKeys(settings.name).agent(NAMES[1])
    client.hset(keys.state, mapping={"processed": 1, "generation": 1})
    looks = [NAMES[1] in watch.look() for _ in range(4 * _STAYS)]
    assert all(looks[:_STAYS])
    assert not all(looks)
    # From then on in its turn alone.
    assert looks[-5:].count(True) == 1


def test_one_that_was_idle_is_found_within_a_round(agents: AgentStore, client: Client, settings: Settings) -> None:
    watch = Watch(agents, at_once=4)
    for _ in range(5):
        watch.look()
    report(client, settings, NAMES[-1])
    waiting = {name for _ in range(5) for name, look in watch.look().items() if look.oldest_ms is not None}
    assert waiting == {NAMES[-1]}
