"""The shared bank: fenced publications, and a change log that any replica can follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import wait_until
from swarm_support import DIM, outcomes_in, present, some_cluster

from swarm.errors import DamagedRecordError, NewerRecordError, StaleWriterError
from swarm.sona.adapter import Adapter
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.store.bank import BankChanges, BankStore, MergedAgent
from swarm.store.connection import Client
from swarm.store.lease import Lease
from swarm.wire.codec import encode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import Weights, encode_weights


@pytest.fixture
def lease(bank: BankStore) -> Lease:
    return present(bank.lease(30.0))


def applied(replica: dict[str, Cluster], changes: BankChanges) -> dict[str, Cluster]:
    """A copy of `replica` with the changes."""
    kept = {} if changes.is_full else {key: value for key, value in replica.items() if key not in changes.removed}
    return kept | {pattern.id: pattern for pattern in changes.put}


def some_base(seed: int) -> Weights:
    """Weights that only `seed` decides."""
    return Weights(
        base=tuple(Adapter.initial(SonaConfig(dim=DIM), np.random.default_rng(seed)).base), ewc=EwcMemory.empty()
    )


def test_an_empty_bank_has_no_changes(bank: BankStore) -> None:
    changes = bank.changes_since(None)
    assert changes == BankChanges(version="0-0", is_full=True, put=[], removed=())
    assert bank.changes_since("0-0") is None
    assert (bank.count(), bank.version(), bank.merges(), bank.merged(), bank.experts()) == (0, "0-0", 0, {}, {})


def test_a_publication_is_patterns_log_and_what_was_merged(bank: BankStore, lease: Lease) -> None:
    merged = {"a": MergedAgent(generation=3, cursor="7-0")}
    version = bank.publish(lease, [some_cluster(0), some_cluster(1)], [], merged)
    assert bank.version() == version
    assert bank.merged() == merged
    assert (bank.count(), bank.merges()) == (2, 1)
    assert {pattern.id for pattern in bank.patterns()} == {some_cluster(0).id, some_cluster(1).id}


def test_a_publication_without_the_lease_writes_nothing(bank: BankStore, client: Client, keys: SwarmKeys) -> None:
    frozen = present(bank.lease(0.05))
    second = present(wait_until(lambda: bank.lease(30.0), 30.0, "the lease to expire"))
    with pytest.raises(StaleWriterError, match=f"token {frozen.token} was lost"):
        bank.publish(frozen, [some_cluster(0)], [], {"a": MergedAgent(generation=1, cursor="1-0")})
    assert (bank.count(), bank.version(), bank.merges(), bank.merged()) == (0, "0-0", 0, {})
    second.release()
    with pytest.raises(StaleWriterError):
        bank.publish(second, [some_cluster(0)], [], {})
    assert bank.count() == 0


def test_a_publication_says_whose_adapters_bend_queries_until_the_next_one(bank: BankStore, lease: Lease) -> None:
    bank.publish(lease, [], [], {}, experts={"b": 2, "a": 2**53})
    assert bank.experts() == {"a": 2**53, "b": 2}
    bank.publish(lease, [some_cluster(0)], [], {}, experts={"b": 3})
    assert bank.experts() == {"b": 3}
    bank.publish(lease, [some_cluster(1)], [], {})
    assert bank.experts() == {}


def test_a_publication_after_the_lease_was_lost_leaves_bank_and_experts_as_they_were(
    bank: BankStore, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    version = bank.publish(lease, [some_cluster(0)], [], {}, experts={"a": 1})
    lease.release()
    before = {key: client.dump(key) for key in (keys.bank, keys.banklog, keys.merged, keys.meta)}
    merged = {"b": MergedAgent(generation=2, cursor="2-0")}
    with pytest.raises(StaleWriterError):
        bank.publish(lease, [some_cluster(1)], [some_cluster(0).id], merged, experts={"a": 2, "b": 2}, is_full=True)
    assert {key: client.dump(key) for key in before} == before
    assert (bank.version(), bank.experts()) == (version, {"a": 1})


def test_base_tiers_come_by_name_and_one_that_is_missing_or_unreadable_keeps_no_other_away(
    bank: BankStore, client: Client, keys: SwarmKeys
) -> None:
    records = {
        "ann": encode_weights(some_base(1)),
        "bob": encode_weights(some_base(2)),
        "cut": encode_weights(some_base(3))[:-1],
        "empty": encode("weights", {}),
        "junk": b"junk",
        "newer": b"\x93\xa7weights\x09\x80",
        "other-kind": encode("learner", {}),
    }
    for name, record in records.items():
        client.set(keys.agent(name).weights, record)
    found = bank.bases([*records, "nobody"])
    assert sorted(found) == ["ann", "bob"]
    for name, seed in (("ann", 1), ("bob", 2)):
        for pair, expected in zip(found[name], some_base(seed).base, strict=True):
            assert (pair.down.tobytes(), pair.up.tobytes(), pair.scale) == (
                expected.down.tobytes(),
                expected.up.tobytes(),
                expected.scale,
            )
    assert sorted(bank.bases(["bob"])) == ["bob"]
    assert bank.bases([]) == {}


@pytest.mark.parametrize("payload", [{"a": "1"}, {"a": -1}, {"a": 2**54}, {"a": True}, {"": 1}, {"a{b}": 1}], ids=repr)
def test_experts_that_cannot_be_are_one_clear_error(
    bank: BankStore, client: Client, keys: SwarmKeys, payload: dict[str, object]
) -> None:
    client.hset(keys.meta, "experts", encode("experts", payload))
    with pytest.raises(DamagedRecordError, match="experts"):
        bank.experts()
    client.hset(keys.meta, "experts", b"junk")
    with pytest.raises(DamagedRecordError, match="experts"):
        bank.experts()


def test_a_replica_gets_only_what_changed_since(bank: BankStore, lease: Lease) -> None:
    first = bank.publish(lease, [some_cluster(0), some_cluster(1)], [], {})
    assert bank.changes_since(first) is None
    grown = replace(some_cluster(1), n=2.0)
    second = bank.publish(lease, [grown], [some_cluster(0).id], {})
    third = bank.publish(lease, [some_cluster(2)], [], {})
    changes = present(bank.changes_since(first))
    assert (changes.version, changes.is_full, list(changes.removed)) == (third, False, [some_cluster(0).id])
    assert {pattern.id: pattern.n for pattern in changes.put} == {grown.id: 2.0, some_cluster(2).id: 1.0}
    after = present(bank.changes_since(second))
    assert [pattern.id for pattern in after.put] == [some_cluster(2).id]


def test_after_a_full_publication_a_replica_loads_everything_anew(bank: BankStore, lease: Lease) -> None:
    first = bank.publish(lease, [some_cluster(0), some_cluster(1)], [], {})
    second = bank.publish(lease, [some_cluster(2)], [], {}, is_full=True)
    third = bank.publish(lease, [some_cluster(3)], [], {})
    changes = present(bank.changes_since(first))
    assert (changes.version, changes.is_full, len(changes.put)) == (third, True, 4)
    assert [pattern.id for pattern in changes.put] == sorted(some_cluster(number).id for number in range(4))
    assert present(bank.changes_since(second)).is_full is False


def test_a_pattern_that_came_back_is_not_removed(bank: BankStore, lease: Lease) -> None:
    first = bank.publish(lease, [some_cluster(0)], [], {})
    bank.publish(lease, [], [some_cluster(0).id], {})
    bank.publish(lease, [some_cluster(0)], [], {})
    changes = present(bank.changes_since(first))
    assert not changes.removed
    assert [pattern.id for pattern in changes.put] == [some_cluster(0).id]


def test_changes_applied_twice_are_the_same_as_once(bank: BankStore, lease: Lease) -> None:
    first = bank.publish(lease, [some_cluster(number) for number in range(5)], [], {})
    start = present(bank.changes_since(None))
    replica = applied({}, start)
    bank.publish(lease, [replace(some_cluster(1), n=2.0)], [some_cluster(0).id], {})
    bank.publish(lease, [some_cluster(7)], [some_cluster(2).id], {})
    changes = present(bank.changes_since(first))
    once = applied(replica, changes)
    twice = applied(once, changes)
    assert twice.keys() == once.keys() == {pattern.id for pattern in bank.patterns()}
    assert outcomes_in(list(twice.values())) == outcomes_in(bank.patterns())


def test_a_replica_whose_place_in_the_log_is_gone_gets_everything(
    bank: BankStore, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    first = bank.publish(lease, [some_cluster(0)], [], {})
    version = bank.publish(lease, [some_cluster(1)], [], {})
    client.xtrim(keys.banklog, maxlen=1, approximate=False)
    changes = present(bank.changes_since(first))
    assert (changes.is_full, changes.version, len(changes.put)) == (True, version, 2)
    assert bank.changes_since(version) is None


def test_a_replica_of_a_bank_that_was_erased_becomes_empty(
    bank: BankStore, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    version = bank.publish(lease, [some_cluster(0)], [], {})
    client.delete(keys.bank, keys.banklog)
    changes = present(bank.changes_since(version))
    assert (changes.is_full, changes.version, list(changes.put)) == (True, "0-0", [])
    assert bank.changes_since("0-0") is None
    bank.publish(lease, [some_cluster(1)], [], {})
    again = present(bank.changes_since("0-0"))
    assert [pattern.id for pattern in again.put] == [some_cluster(1).id]


def test_a_damaged_pattern_log_entry_or_mark_is_one_clear_error(
    bank: BankStore, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    version = bank.publish(lease, [some_cluster(0)], [], {})
    client.hset(keys.merged, "a", encode("merged", {"generation": "two", "cursor": 5}))
    with pytest.raises(DamagedRecordError, match="merged"):
        bank.merged()
    client.hset(keys.bank, "broken", b"junk")
    with pytest.raises(DamagedRecordError, match="cluster"):
        bank.patterns()
    changes = (b"", encode("change", {"put": 5}), encode("change", {"put": [1], "removed": []}))
    for change in changes:
        place = client.xadd(keys.banklog, {"c": change})
        with pytest.raises(DamagedRecordError, match="change"):
            bank.changes_since(version)
        client.xdel(keys.banklog, place)
    client.xadd(keys.banklog, {"c": b"\x93\xa6change\x09\x80"})
    with pytest.raises(NewerRecordError, match="change"):
        bank.changes_since(version)
