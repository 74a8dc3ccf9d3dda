"""The commit of a generation: all of it or nothing, by the holder of the lease and on top of what it read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support import wait_until
from swarm_support import DIM, a_registration, present, some_cluster

from swarm.errors import DamagedRecordError, InputError, NewerRecordError, StaleWriterError
from swarm.sona.adapter import Adapter
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.store.agents import AgentState, AgentStore, Generation
from swarm.store.connection import Client
from swarm.store.lease import Lease
from swarm.store.outcomes import OutcomeStore
from swarm.store.reply import to_entries
from swarm.wire.codec import decode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import Weights, encode_weights

NAME = "coder-1"


def some_weights(scale: float = 1.0) -> Weights:
    config = SonaConfig(dim=DIM, lora_alpha=8.0 * scale)
    base = Adapter.initial(config, np.random.default_rng(0)).base
    return Weights(base=tuple(base), ewc=EwcMemory.empty())


def a_generation(cursor: str = "5-0", **changes: Any) -> Generation:
    generation = Generation(
        cursor=cursor,
        processed=2,
        removed=(),
        put=(some_cluster(0), some_cluster(1)),
        dead={},
        values={"weights": encode_weights(some_weights())},
        figures={"outcomes": 2, "promoted": True},
        keep=1000,
    )
    return replace(generation, **changes)


@pytest.fixture
def lease(agents: AgentStore) -> Lease:
    return present(agents.lease(NAME, 30.0))


@pytest.fixture
def everything(client: Client, keys: SwarmKeys) -> Callable[[], dict[bytes, bytes | None]]:
    """What is stored for the agent, to see that nothing changed."""

    def read() -> dict[bytes, bytes | None]:
        found = client.scan_iter(match=f"{{{keys.swarm}/{NAME}}}:*")
        return {key: client.dump(key) for key in found if not key.endswith((b":lease", b":fence"))}

    return read


def test_a_new_agent_stands_at_the_beginning(agents: AgentStore) -> None:
    assert agents.state(NAME) == AgentState()
    assert agents.clusters(NAME) == []
    assert agents.weights(NAME) is None


def test_a_commit_writes_clusters_weights_cursor_counts_and_log_together(
    agents: AgentStore, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    number = agents.commit(NAME, lease, 0, a_generation(dead={"4-0": "cut"}))
    assert number == 1
    state = agents.state(NAME)
    assert (state.generation, state.cursor, state.processed, state.dead) == (1, "5-0", 2, 1)
    assert state.weights_generation == 1
    assert {cluster.id for cluster in agents.clusters(NAME)} == {some_cluster(0).id, some_cluster(1).id}
    weights = present(agents.weights(NAME))
    assert (weights.base[0].down == some_weights().base[0].down).all()
    [(_, entry)] = to_entries(client.xrange(keys.agent(NAME).log))
    assert (entry[b"generation"], entry[b"cursor"]) == (b"1", b"5-0")
    assert decode("figures", entry[b"figures"]) == {"outcomes": 2, "promoted": True}
    assert client.hgetall(keys.agent(NAME).dead) == {b"4-0": b"cut"}


def test_without_new_weights_the_old_ones_stay_and_keep_their_generation(agents: AgentStore, lease: Lease) -> None:
    agents.commit(NAME, lease, 0, a_generation())
    agents.commit(NAME, lease, 1, a_generation("6-0", values={}))
    state = agents.state(NAME)
    assert (state.generation, state.weights_generation) == (2, 1)
    assert agents.weights(NAME) is not None


def test_a_commit_removes_what_is_gone_and_replaces_what_changed(agents: AgentStore, lease: Lease) -> None:
    agents.commit(NAME, lease, 0, a_generation())
    grown = replace(some_cluster(1), n=2.0)
    agents.commit(NAME, lease, 1, a_generation("6-0", removed=(some_cluster(0).id,), put=(grown,)))
    [left] = agents.clusters(NAME)
    assert (left.id, left.n) == (grown.id, 2.0)


def test_a_holder_that_was_frozen_past_its_lease_cannot_commit(
    agents: AgentStore, client: Client, keys: SwarmKeys, everything: Callable[[], object]
) -> None:
    frozen = present(agents.lease(NAME, 0.05))
    second = present(wait_until(lambda: agents.lease(NAME, 30.0), 30.0, "the lease to expire"))
    before = everything()
    with pytest.raises(StaleWriterError, match=f"token {frozen.token} was lost"):
        agents.commit(NAME, frozen, 0, a_generation())
    assert everything() == before
    assert agents.commit(NAME, second, 0, a_generation()) == 1


def test_a_lease_that_expired_is_lost_even_if_nobody_else_took_it(
    agents: AgentStore, client: Client, keys: SwarmKeys, everything: Callable[[], object]
) -> None:
    lease = present(agents.lease(NAME, 0.05))
    wait_until(lambda: not client.exists(keys.agent(NAME).lease), 30.0, "the lease to expire")
    before = everything()
    with pytest.raises(StaleWriterError):
        agents.commit(NAME, lease, 0, a_generation())
    assert everything() == before


def test_a_commit_on_top_of_an_older_generation_is_refused(
    agents: AgentStore, lease: Lease, everything: Callable[[], object]
) -> None:
    agents.commit(NAME, lease, 0, a_generation())
    before = everything()
    for stale in (0, 2):
        with pytest.raises(StaleWriterError, match=f"generation {stale}"):
            agents.commit(NAME, lease, stale, a_generation("9-0", put=(some_cluster(7),)))
    assert everything() == before


def test_a_generation_that_cannot_be_encoded_writes_nothing(
    agents: AgentStore, lease: Lease, everything: Callable[[], object]
) -> None:
    before = everything()
    with pytest.raises(InputError):
        agents.commit(NAME, lease, 0, a_generation(put=(some_cluster(0), replace(some_cluster(1), label="\ud800"))))
    assert everything() == before


def test_the_log_of_generations_is_bounded(agents: AgentStore, lease: Lease, client: Client, keys: SwarmKeys) -> None:
    for number in range(1300):
        agents.commit(NAME, lease, number, a_generation(f"{number + 1}-0", put=(), values={}))
    assert 1000 <= client.xlen(keys.agent(NAME).log) < 1300


@pytest.mark.parametrize("keep", [0, 100])
def test_trimming_never_takes_an_outcome_that_is_not_consolidated(
    agents: AgentStore, lease: Lease, client: Client, keys: SwarmKeys, keep: int
) -> None:
    outcomes = OutcomeStore(client, keys.agent(NAME), max_pending=10_000, receipt_ttl=60.0)
    places = [outcomes.append(b"x", f"key-{number}", "").stream_id for number in range(1000)]
    for number, done in enumerate((0, 300, 301, 900, 999)):
        before = agents.state(NAME).processed
        agents.commit(
            NAME,
            lease,
            number,
            a_generation(places[done], processed=done + 1 - before, put=(), values={}, keep=keep),
        )
        waiting = [stream_id for stream_id, _ in outcomes.read_after(places[done], 10_000)]
        assert waiting == places[done + 1 :]
    # Redis trims whole nodes of some hundred entries.
    assert keep <= client.xlen(keys.agent(NAME).stream) <= keep + 200


def test_registrations_are_read_by_name_and_all_together(agents: AgentStore) -> None:
    agents.register("a", a_registration("tester"))
    agents.register("b", a_registration("coder"))
    agents.register("a", a_registration("writer"))
    assert agents.names() == ["a", "b"]
    assert {name: found.role for name, found in agents.registrations().items()} == {"a": "writer", "b": "coder"}
    assert agents.registration("a") == a_registration("writer")
    assert agents.registration("nobody") is None


@pytest.mark.parametrize("name", ["", "a b", "a/b", "{a}", "x" * 64, "\ud800", b"a", 5, None, "ä"])
def test_a_name_that_cannot_stand_in_a_key_is_refused(agents: AgentStore, name: Any) -> None:
    with pytest.raises(InputError, match="agent must be"):
        agents.register(name, a_registration())
    with pytest.raises(InputError, match="agent must be"):
        agents.registration(name)
    assert agents.names() == []


def test_the_oldest_pending_outcome_is_found_by_the_clock_of_redis(agents: AgentStore, outcomes: OutcomeStore) -> None:
    assert [look.oldest_ms for look in agents.looks([NAME, "other"]).values()] == [None, None]
    first = outcomes.append(b"x", "key-1", "")
    outcomes.append(b"x", "key-2", "")
    found = agents.looks([NAME, "other"])
    assert (found[NAME].oldest_ms, found["other"].oldest_ms) == (int(first.stream_id.split("-")[0]), None)
    assert (found[NAME].in_stream, found[NAME].open) == (2, 0)


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"junk", DamagedRecordError), (b"\x93\xa7cluster\x09\x80", NewerRecordError), (b"", DamagedRecordError)],
)
def test_stored_bytes_that_cannot_be_used_are_one_clear_error(
    agents: AgentStore, client: Client, keys: SwarmKeys, data: bytes, error: type[Exception]
) -> None:
    client.hset(keys.agent(NAME).clusters, "id", data)
    with pytest.raises(error, match="cluster"):
        agents.clusters(NAME)


def test_a_state_that_holds_no_numbers_is_damaged(agents: AgentStore, client: Client, keys: SwarmKeys) -> None:
    client.hset(keys.agent(NAME).state, "generation", "many")
    with pytest.raises(DamagedRecordError, match=f"state of agent {NAME}"):
        agents.state(NAME)
