"""The stream of an agent: one effect for each idempotency key, bounds that refuse, open trajectories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import msgpack
import pytest
from support import wait_until
from swarm_support import run_program, some_outcome

from swarm.errors import CapacityError, QueueFullError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store import outcomes as outcomes_module
from swarm.store.agents import AgentStore
from swarm.store.connection import Client, clock_s, connect
from swarm.store.outcomes import Outcome, OutcomeStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_trajectory


def test_an_outcome_is_appended_and_can_be_read_behind_a_cursor(outcomes: OutcomeStore) -> None:
    first, second = outcomes.append(b"one", "key-1", ""), outcomes.append(b"two", "key-2", "")
    assert first.is_new
    assert second.is_new
    assert outcomes.read_after("0-0", 10) == [(first.stream_id, b"one"), (second.stream_id, b"two")]
    assert outcomes.read_after(first.stream_id, 10) == [(second.stream_id, b"two")]
    assert outcomes.read_after("0-0", 1) == [(first.stream_id, b"one")]
    assert outcomes.read_after(second.stream_id, 10) == []


def test_the_same_key_again_has_no_effect_and_answers_the_first_place(
    outcomes: OutcomeStore, agents: AgentStore
) -> None:
    first = outcomes.append(b"one", "key", "")
    again = outcomes.append(b"something else", "key", "")
    assert (again.stream_id, again.is_new) == (first.stream_id, False)
    assert outcomes.read_after("0-0", 10) == [(first.stream_id, b"one")]
    assert agents.state("coder-1").accepted == 1


def _outcomes(*keys: str) -> list[Outcome]:
    return [Outcome(record=f"of {key}".encode(), idempotency_key=key, trajectory_id="") for key in keys]


def test_many_outcomes_are_appended_in_order_and_a_key_that_comes_twice_counts_once(
    outcomes: OutcomeStore, agents: AgentStore
) -> None:
    found = outcomes.append_many(_outcomes("a", "b", "a", "c"))
    assert [appended.is_new for appended in found] == [True, True, False, True]
    assert found[0].stream_id == found[2].stream_id
    assert [record for _, record in outcomes.read_after("0-0", 10)] == [b"of a", b"of b", b"of c"]
    assert agents.state("coder-1").accepted == 3
    assert outcomes.append_many([]) == []


def test_of_more_than_there_is_room_for_the_first_are_taken_and_a_repetition_does_the_rest(
    outcomes: OutcomeStore, agents: AgentStore
) -> None:
    several = _outcomes(*(f"key-{number}" for number in range(12)))
    with pytest.raises(QueueFullError, match=r"10 outcomes wait .*retry in 1\.00 s") as refused:
        outcomes.append_many(several)
    assert (refused.value.taken, refused.value.retry_after_s) == (10, 1.0)
    assert agents.state("coder-1").accepted == 10
    with_room = OutcomeStore(outcomes._client, outcomes._keys, max_pending=12, receipt_ttl=60.0)
    assert [appended.is_new for appended in with_room.append_many(several)] == [False] * 10 + [True] * 2


def test_when_to_retry_comes_from_the_time_between_generations(
    outcomes: OutcomeStore, client: Client, keys: SwarmKeys
) -> None:
    now_ms = int(clock_s(client) * 1000)
    for ago_ms in (9_000, 2_000):
        client.xadd(keys.agent("coder-1").log, {"generation": "1"}, id=f"{now_ms - ago_ms}-0")
    with pytest.raises(QueueFullError) as refused:
        outcomes.append_many(_outcomes(*(f"key-{number}" for number in range(11))))
    assert refused.value.retry_after_s == pytest.approx(5.0, abs=0.5)


def test_more_than_a_batch_takes_several_transactions(
    client: Client, keys: SwarmKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_module, "MAX_BATCH", 3)
    store = OutcomeStore(client, keys.agent("coder-1"), max_pending=8, receipt_ttl=60.0)
    assert len(store.append_many(_outcomes(*"abcdefg"))) == 7
    with pytest.raises(QueueFullError) as refused:
        store.append_many(_outcomes(*"abcdefghij"))
    assert refused.value.taken == 8


def test_one_key_from_64_processes_at_once_has_one_effect(settings: Settings, client: Client, keys: SwarmKeys) -> None:
    answers = [json.loads(line) for line in run_program("post_outcomes", settings, "a", 64, "same").splitlines()]
    assert len(answers) == 64
    assert sum(is_new for _, _, is_new in answers) == 1
    assert len({stream_id for _, stream_id, _ in answers}) == 1
    assert client.xlen(keys.agent("a").stream) == 1
    assert client.hget(keys.agent("a").state, "accepted") == b"1"


def test_200_different_keys_from_200_processes_at_once_have_200_effects(
    settings: Settings, client: Client, keys: SwarmKeys
) -> None:
    answers = [json.loads(line) for line in run_program("post_outcomes", settings, "a", 200, "different").splitlines()]
    assert all(is_new for _, _, is_new in answers)
    assert len({stream_id for _, stream_id, _ in answers}) == 200
    assert client.xlen(keys.agent("a").stream) == 200
    assert client.hget(keys.agent("a").state, "accepted") == b"200"


def test_beyond_max_pending_an_outcome_is_refused_and_nothing_is_taken(
    outcomes: OutcomeStore, agents: AgentStore, client: Client, keys: SwarmKeys
) -> None:
    for number in range(10):
        outcomes.append(b"x", f"key-{number}", "")
    outcomes.put_open("task-1", b"opened")
    with pytest.raises(CapacityError, match=r"coder-1: 10 outcomes wait .*max_pending"):
        outcomes.append(b"x", "one-too-many", "task-1")
    assert agents.state("coder-1").accepted == client.xlen(keys.agent("coder-1").stream) == 10
    assert outcomes.find_receipt("one-too-many") is None
    assert outcomes.get_open("task-1") == b"opened"


def test_a_key_that_was_accepted_is_answered_even_when_the_stream_is_full(outcomes: OutcomeStore) -> None:
    places = [outcomes.append(b"x", f"key-{number}", "").stream_id for number in range(10)]
    assert outcomes.append(b"x", "key-3", "").stream_id == places[3]


def test_a_receipt_expires_and_its_key_can_be_used_again(client: Client, keys: SwarmKeys) -> None:
    store = OutcomeStore(client, keys.agent("coder-1"), max_pending=10, receipt_ttl=0.05)
    first = store.append(b"x", "key", "")
    wait_until(lambda: store.find_receipt("key") is None, 30.0, "the receipt to expire")
    assert store.append(b"x", "key", "").stream_id != first.stream_id


def test_a_receipt_lives_as_long_as_it_was_told(outcomes: OutcomeStore, client: Client, keys: SwarmKeys) -> None:
    outcomes.append(b"x", "key", "")
    assert 50_000 < client.pttl(keys.agent("coder-1").receipt("key")) <= 60_000


def test_an_unknown_key_has_no_receipt(outcomes: OutcomeStore) -> None:
    assert outcomes.find_receipt("never used") is None
    assert outcomes.dead_reason("1-1") is None


def test_appending_closes_the_open_trajectory(outcomes: OutcomeStore) -> None:
    outcomes.put_open("task-1", b"opened")
    outcomes.put_open("task-2", b"opened")
    outcomes.append(b"x", "key", "task-1")
    assert outcomes.get_open("task-1") is None
    assert outcomes.get_open("task-2") == b"opened"


def test_a_repeated_key_closes_its_own_trajectory_too(outcomes: OutcomeStore) -> None:
    # Two tasks reported under one key: the second has no effect, but it has ended all the same.
    outcomes.put_open("task-1", b"opened")
    outcomes.put_open("task-2", b"opened")
    outcomes.append(b"x", "key", "task-1")
    outcomes.append(b"x", "key", "task-2")
    assert outcomes.get_open("task-2") is None


def test_open_trajectories_can_be_replaced_and_abandoned(outcomes: OutcomeStore) -> None:
    outcomes.put_open("task-1", b"one")
    outcomes.put_open("task-1", b"two")
    assert outcomes.get_open("task-1") == b"two"
    outcomes.abandon("task-1")
    outcomes.abandon("task-1")
    assert outcomes.get_open("task-1") is None


def test_open_trajectories_are_bounded_and_those_there_can_still_be_replaced(
    outcomes: OutcomeStore, client: Client, keys: SwarmKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_module, "MAX_OPEN", 3)
    for number in range(3):
        outcomes.put_open(f"task-{number}", b"x")
    with pytest.raises(CapacityError, match="3 trajectories are open"):
        outcomes.put_open("one-too-many", b"x")
    assert client.hlen(keys.agent("coder-1").open) == 3
    outcomes.put_open("task-0", b"y")
    assert outcomes.get_open("task-0") == b"y"


def begun(at_s: float) -> bytes:
    """The record of a task that was begun then."""
    return encode_trajectory(replace(some_outcome(1, "coder-1"), at_s=at_s))


def test_open_trajectories_that_began_before_a_time_go_and_are_counted(
    outcomes: OutcomeStore, agents: AgentStore
) -> None:
    for number in range(250):
        outcomes.put_open(f"old-{number}", begun(1_000.0 + number))
    outcomes.put_open("at that time", begun(2_000.0))
    outcomes.put_open("new", begun(3_000.5))
    assert outcomes.expire_open(2_000.0) == 250
    assert outcomes.expire_open(2_000.0) == 0
    assert [outcomes.get_open(name) is None for name in ("old-0", "old-249", "at that time", "new")] == [
        *(True, True),
        *(False, False),
    ]
    assert agents.state("coder-1").expired_open == 250


def test_one_that_changes_between_the_look_and_the_end_stays(outcomes: OutcomeStore, agents: AgentStore) -> None:
    record, changed = begun(1_000.0), begun(1_001.0)
    outcomes.put_open("goes on", changed)
    outcomes.put_open("stands still", record)
    digest = hashlib.sha1(record, usedforsecurity=False).hexdigest()
    keys = outcomes._keys
    pairs = ["goes on", digest, "stands still", digest, "ended", digest]
    assert outcomes._expire_open(keys=[keys.open, keys.state], args=pairs) == 1
    assert outcomes.get_open("goes on") == changed
    assert outcomes.get_open("stands still") is None
    assert agents.state("coder-1").expired_open == 1


def test_only_those_that_are_named_go_and_one_that_began_anew_stays(outcomes: OutcomeStore) -> None:
    for name in ("one", "other", "again"):
        outcomes.put_open(name, begun(1_000.0))
    outcomes.put_open("again", begun(5_000.0))
    assert outcomes.expire_open(2_000.0, ["one", "again", "unknown"]) == 1
    assert outcomes.get_open("one") is None
    assert outcomes.get_open("other") is not None
    assert outcomes.get_open("again") == begun(5_000.0)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xc1",
        b"junk",
        msgpack.packb(5),
        msgpack.packb(["trajectory", 1, 7]),
        msgpack.packb([1, 1, {"at_s": "x"}]),
    ],
)
def test_an_open_trajectory_that_cannot_be_read_stays_because_nobody_knows_how_old_it_is(
    outcomes: OutcomeStore, record: bytes
) -> None:
    outcomes.put_open("damaged", record)
    outcomes.put_open("old", begun(1_000.0))
    assert outcomes.expire_open(2_000.0) == 1
    assert outcomes.get_open("damaged") == record


def test_two_agents_and_two_swarms_have_streams_of_their_own(outcomes: OutcomeStore, client: Client) -> None:
    other = OutcomeStore(client, SwarmKeys("another").agent("coder-1"), max_pending=10, receipt_ttl=60.0)
    outcomes.append(b"x", "key", "")
    assert other.find_receipt("key") is None
    assert other.read_after("0-0", 10) == []


def test_without_redis_every_call_is_one_clear_error(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{settings.state_dir}/none.sock"})
    store = OutcomeStore(connect(away), SwarmKeys("s").agent("a"), max_pending=10, receipt_ttl=60.0)
    calls: list[Callable[[], object]] = [
        lambda: store.append(b"x", "key", ""),
        lambda: store.read_after("0-0", 1),
        lambda: store.find_receipt("key"),
        lambda: store.dead_reason("1-1"),
        lambda: store.put_open("t", b"x"),
        lambda: store.get_open("t"),
        lambda: store.abandon("t"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError, match="cannot "):
            call()
