"""A replica follows the bank's log, and is then what a fresh one would be."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support import PrivateRedis
from swarm_support import DIM, a_registration, bank_store, present, some_cluster, some_outcome, some_vector

from swarm.errors import DamagedRecordError, StoreUnavailableError
from swarm.services.background import Background
from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.adapter import Adapter
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.index import PatternIndex
from swarm.sona.large_index import LargeIndex
from swarm.sona.lora import LoraPair
from swarm.store.bank import BankStore
from swarm.store.connection import Client, connect
from swarm.store.lease import Lease
from swarm.store.reply import to_entries
from swarm.wire.codec import decode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import Weights, encode_cluster, encode_weights

CONFIG = SonaConfig(dim=DIM)


@pytest.fixture
def bank(client: Client, settings: Settings) -> BankStore:
    return bank_store(client, settings)


@pytest.fixture
def lease(bank: BankStore) -> Lease:
    return present(bank.lease(60.0))


def contents(replica: Replica) -> dict[str, bytes]:
    return {pattern.id: encode_cluster(pattern) for pattern in replica.index.clusters()}


def answers(replica: Replica) -> list[list[tuple[str, float]]]:
    """What the replica answers to a few queries.

    Scores are rounded to what float32 holds, because rows may stand in another order, and BLAS adds up each a little
    differently in another place.
    """
    queries = [some_vector(5000 + number) for number in range(8)]
    return [[(hit.action, float(f"{hit.score:.4g}")) for hit in replica.rank(query, 5)] for query in queries]


def fresh(bank: BankStore) -> Replica:
    replica = Replica(bank, CONFIG)
    replica.refresh()
    return replica


def publish_at_random(bank: BankStore, lease: Lease, rng: random.Random) -> None:
    """Publish a few new, grown and removed patterns."""
    known = bank.patterns()
    rng.shuffle(known)
    gone, grown = known[: rng.randrange(4)], known[4 : 4 + rng.randrange(4)]
    new = [some_cluster(rng.randrange(10_000), actions=9) for _ in range(rng.randrange(6))]
    put = {pattern.id: pattern for pattern in [*map(bigger, grown), *new]}
    bank.publish(lease, list(put.values()), [pattern.id for pattern in gone if pattern.id not in put], {})


def bigger(pattern: Cluster) -> Cluster:
    return replace(pattern, n=pattern.n + 1.0, sum_quality=pattern.sum_quality + 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_after_any_publications_a_replica_is_what_a_fresh_one_would_be(
    bank: BankStore, lease: Lease, client: Client, settings: Settings, seed: int
) -> None:
    rng = random.Random(seed)
    always, sometimes = Replica(bank, CONFIG), Replica(bank, CONFIG)
    for round_ in range(25):
        publish_at_random(bank, lease, rng)
        always.refresh()
        if rng.random() < 0.3:
            sometimes.refresh()
        if round_ == 15:
            # From here on whoever is behind has lost its place in the log.
            client.xtrim(SwarmKeys(settings.name).banklog, maxlen=1, approximate=False)
    sometimes.refresh()
    expected = fresh(bank)
    assert contents(always) == contents(sometimes) == contents(expected)
    assert answers(always) == answers(sometimes) == answers(expected)
    assert always.version == sometimes.version == expected.version == bank.version()


def test_refresh_says_whether_anything_changed(bank: BankStore, lease: Lease) -> None:
    replica = Replica(bank, CONFIG)
    assert replica.version is None
    assert replica.refresh()
    assert not replica.refresh()
    bank.publish(lease, [some_cluster(0)], [], {})
    assert replica.refresh()
    assert not replica.refresh()


def test_threads_that_refresh_at_once_end_with_the_same_bank(bank: BankStore, lease: Lease) -> None:
    replica = Replica(bank, CONFIG)
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set():
            replica.refresh()

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    rng = random.Random(0)
    for _ in range(40):
        publish_at_random(bank, lease, rng)
    stop.set()
    for thread in threads:
        thread.join()
    replica.refresh()
    assert contents(replica) == contents(fresh(bank))


def test_queries_while_the_replica_follows_are_answered(
    bank: BankStore, lease: Lease, client: Client, settings: Settings
) -> None:
    replica = fresh(bank)
    agents = ("coder-2", "coder-3")
    for seed, name in enumerate(agents):
        pair = LoraPair(some_vector(seed)[None], some_vector(seed + 10)[None], 0.1)
        record = encode_weights(Weights(base=(pair,), ewc=EwcMemory.empty()))
        client.set(SwarmKeys(settings.name).agent(name).weights, record)
    stop, problems = threading.Event(), []

    def ask() -> None:
        adapter = Adapter.initial(CONFIG, np.random.default_rng(0))
        try:
            while not stop.is_set():
                y = replica.bend(some_vector(1), adapter, "coder-1")
                replica.rank(some_vector(1), 3, y=y, agents=["coder-1"])
                replica.nearest(y, 3)
                replica.learn(adapter, some_outcome(1), CONFIG)
        except Exception as error:
            problems.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    rng = random.Random(1)
    for round_ in range(40):
        publish_at_random(bank, lease, rng)
        # They come, go and learn.
        bank.publish(lease, [], [], {}, experts=dict.fromkeys(agents[: round_ % 3], round_ // 6))
        replica.refresh()
        replica.refresh_experts()
    stop.set()
    thread.join()
    assert problems == []


def test_without_redis_a_replica_stays_as_it_was_and_answers(settings: Settings) -> None:
    server = PrivateRedis()
    try:
        server.start()
        away = settings.model_copy(update={"redis_url": server.url, "socket_timeout": 1.0})
        bank = bank_store(connect(away), away)
        bank.publish(present(bank.lease(60.0)), [some_cluster(0)], [], {})
        replica = fresh(bank)
        before, version = answers(replica), replica.version
        server.kill()
        with pytest.raises(StoreUnavailableError, match="follow the bank"):
            replica.refresh()
        assert (answers(replica), replica.version) == (before, version)
        server.start()
        assert not replica.refresh()
    finally:
        server.close()


def test_a_damaged_pattern_leaves_the_replica_as_it_was(
    bank: BankStore, lease: Lease, client: Client, settings: Settings
) -> None:
    bank.publish(lease, [some_cluster(0)], [], {})
    replica = fresh(bank)
    before = contents(replica)
    bank.publish(lease, [some_cluster(1)], [], {})
    client.hset(SwarmKeys(settings.name).bank, some_cluster(1).id, b"junk")
    with pytest.raises(DamagedRecordError):
        replica.refresh()
    assert contents(replica) == before
    bank.publish(lease, [some_cluster(1)], [], {})
    assert replica.refresh()
    assert contents(replica) == contents(fresh(bank))


def test_a_pattern_names_its_action_and_response(bank: BankStore, lease: Lease) -> None:
    bank.publish(lease, [some_cluster(1)], [], {})
    replica = fresh(bank)
    assert replica.action_of(some_cluster(1).id) == ("action-1", "do 1")
    assert replica.action_of("unknown") is None


def test_consolidation_sees_what_others_published(swarm: Swarm, background: Background) -> None:
    # The worker's replica follows too: patterns of one agent are the candidates another is trained against.
    swarm.register("a", "coder", a_registration().config)
    swarm.register("b", "coder", a_registration().config)
    for number in range(10):
        swarm.store_pattern(f"task number {number}", f"answer {number % 3}", agent="a")
    background.drain(0.0)
    # So many that enough are held out to judge, whichever ids they get.
    for number in range(400):
        swarm.store_pattern(f"the task of number {number}", f"answer {number % 3}", agent="b")
    background.consolidate("b", "worker", 0.0)
    [(_, entry)] = to_entries(swarm.client.xrevrange(swarm.keys.agent("b").log, count=1))
    assert decode("figures", entry[b"figures"])["trained_on"] > 0


LARGE = 20
"""So many patterns are many, here."""


def large_replica(bank: BankStore) -> Replica:
    replica = Replica(bank, CONFIG, large=LARGE)
    replica.refresh()
    return replica


def check_alike(replica: Replica, bank: BankStore, within: float = 1e-4) -> None:
    """It answers as an exact one, but for rounding, and what lies too far away to count."""
    exact = fresh(bank)
    for number in range(8):
        query = some_vector(5000 + number)
        wanted, found = exact.rank(query, 3), replica.rank(query, 3)
        assert [hit.action for hit in found] == [hit.action for hit in wanted]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in wanted], abs=within)


def some_bank(bank: BankStore, lease: Lease, count: int, first: int = 0) -> None:
    bank.publish(lease, [some_cluster(number, actions=9) for number in range(first, first + count)], [], {})


def test_a_large_bank_is_held_in_another_form_and_answers_the_same(bank: BankStore, lease: Lease) -> None:
    some_bank(bank, lease, 60)
    replica = large_replica(bank)
    assert isinstance(replica.index, LargeIndex)
    check_alike(replica, bank)
    assert {pattern.id: pattern.n for pattern in replica.index.clusters()} == {
        pattern.id: pattern.n for pattern in bank.patterns()
    }
    assert replica.version == bank.version()
    assert not replica.refresh()


def test_a_large_replica_follows_changes_and_grows_out_of_its_first_form(bank: BankStore, lease: Lease) -> None:
    rng = random.Random(11)
    some_bank(bank, lease, LARGE - 5)
    replica = large_replica(bank)
    assert isinstance(replica.index, PatternIndex)
    some_bank(bank, lease, 40, first=100)
    for _ in range(12):
        publish_at_random(bank, lease, rng)
        assert replica.refresh()
        assert isinstance(replica.index, LargeIndex)
        check_alike(replica, bank)
        assert len(replica.index) == bank.count()


def test_a_large_replica_is_made_anew_when_the_bank_has_doubled(bank: BankStore, lease: Lease) -> None:
    some_bank(bank, lease, 30)
    replica = large_replica(bank)
    made = replica.index
    some_bank(bank, lease, 25, first=100)
    replica.refresh()
    assert replica.index is made
    some_bank(bank, lease, 25, first=200)
    replica.refresh()
    assert replica.index is not made
    check_alike(replica, bank)


def test_what_is_to_be_loaded_anew_in_one_order_a_large_replica_follows(bank: BankStore, lease: Lease) -> None:
    some_bank(bank, lease, 60)
    replica = large_replica(bank)
    made = replica.index
    known = bank.patterns()
    bank.publish(lease, [bigger(known[3])], [known[4].id], {}, is_full=True)
    assert replica.refresh()
    assert replica.index is made
    check_alike(replica, bank)


def test_a_large_bank_that_changes_while_it_is_loaded_is_whole_after_the_next_look(
    bank: BankStore, lease: Lease
) -> None:
    some_bank(bank, lease, 3000)
    known = bank.patterns()

    class ChangedMeanwhile(BankStore):
        """Somebody publishes between one page and the next."""

        def pages(self) -> Iterator[list[Cluster]]:
            for page in super().pages():
                yield page
                if known:
                    gone, grown = known.pop(), known.pop(0)
                    bank.publish(lease, [bigger(grown)], [gone.id], {})

    replica = Replica(ChangedMeanwhile(bank._client, bank._keys), CONFIG, large=LARGE)
    replica.refresh()
    assert replica.refresh()
    check_alike(replica, bank, 0.02)
    assert {pattern.id: pattern.n for pattern in replica.index.clusters()} == {
        pattern.id: pattern.n for pattern in bank.patterns()
    }


def test_a_large_bank_recalls_what_was_most_like_a_task(bank: BankStore, lease: Lease) -> None:
    some_bank(bank, lease, 60)
    replica, exact = large_replica(bank), fresh(bank)
    for number in range(0, 60, 3):
        query = some_outcome(number).embedding
        wanted, found = exact.recall(query, 4), replica.recall(query, 4)
        assert [hit.cluster.id for hit in found] == [hit.cluster.id for hit in wanted]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in wanted], abs=1e-4)


def test_a_large_bank_that_became_small_is_exact_again_when_it_is_loaded(
    bank: BankStore, lease: Lease, client: Client, settings: Settings
) -> None:
    some_bank(bank, lease, 60)
    replica = large_replica(bank)
    bank.publish(lease, [], [pattern.id for pattern in bank.patterns()[5:]], {})
    client.delete(SwarmKeys(settings.name).banklog)
    some_bank(bank, lease, 1, first=500)
    assert replica.refresh()
    assert isinstance(replica.index, PatternIndex)
    check_alike(replica, bank)
