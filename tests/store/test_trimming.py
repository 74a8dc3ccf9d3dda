"""The stream is trimmed behind the cursor only, whatever comes in between and whatever else is in it."""

from __future__ import annotations

import random

import pytest
from swarm_support import a_registration

from swarm.store.agents import AgentStore, Generation
from swarm.store.connection import Client
from swarm.store.outcomes import OutcomeStore
from swarm.wire.keys import SwarmKeys

AGENT = "coder-1"


@pytest.fixture
def outcomes(client: Client, keys: SwarmKeys) -> OutcomeStore:
    return OutcomeStore(client, keys.agent(AGENT), max_pending=100_000, receipt_ttl=60.0)


def commit(agents: AgentStore, cursor: str, processed: int, keep: int) -> None:
    """A generation that learned up to `cursor`."""
    lease = agents.lease(AGENT, 30.0)
    assert lease is not None
    generation = Generation(
        cursor=cursor, processed=processed, removed=(), put=(), dead={}, values={}, figures={}, keep=keep
    )
    agents.commit(AGENT, lease, agents.state(AGENT).generation, generation)
    lease.release()


@pytest.mark.parametrize("seed", range(3))
def test_what_waits_is_never_trimmed(
    client: Client, agents: AgentStore, outcomes: OutcomeStore, keys: SwarmKeys, seed: int
) -> None:
    agents.register(AGENT, a_registration())
    rng = random.Random(seed)
    stream, waiting, number = keys.agent(AGENT).stream, [], 0
    for _ in range(25):
        for _ in range(rng.randrange(200)):
            number += 1
            waiting.append(outcomes.append(b"%d" % number, f"key-{number}", "").stream_id)
        # What nobody accepted: it counts in the length of the stream, and in no state.
        for _ in range(rng.choice([0, 0, 300])):
            client.xadd(stream, {"foreign": "x"})
        read = outcomes.read_after(agents.state(AGENT).cursor, rng.randrange(1, 150))
        # More comes while this is consolidated.
        for _ in range(rng.randrange(50)):
            number += 1
            waiting.append(outcomes.append(b"%d" % number, f"key-{number}", "").stream_id)
        if read:
            commit(agents, read[-1][0], len(read), keep=rng.choice([0, 1, 10, 200]))
            waiting = waiting[len(read) :]
        found = [stream_id for stream_id, _ in outcomes.pages(agents.state(AGENT).cursor, "+")]
        assert found == waiting
    assert agents.state(AGENT).pending == len(waiting)


def test_what_is_behind_the_cursor_is_trimmed_to_what_is_to_be_kept(
    client: Client, agents: AgentStore, outcomes: OutcomeStore, keys: SwarmKeys
) -> None:
    agents.register(AGENT, a_registration())
    places = [outcomes.append(b"%d" % number, f"key-{number}", "").stream_id for number in range(3_000)]
    commit(agents, places[-1], 3_000, keep=500)
    # Redis drops whole nodes of a stream: at most a hundred entries more stay.
    assert 500 <= client.xlen(keys.agent(AGENT).stream) <= 600
