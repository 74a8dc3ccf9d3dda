"""Whose adapters bend everybody's queries: chosen by the merge, followed by replicas, mixed by who knows what."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from support import PrivateRedis
from swarm_support import DIM, make_swarm, present, some_outcome, some_vector

from swarm.errors import StaleWriterError, StoreUnavailableError
from swarm.services.background import Background
from swarm.services.merge import MAX_EXPERTS, Merger, experts_of
from swarm.services.replica import Replica
from swarm.services.route_update import RouteMerger
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.adapter import Adapter
from swarm.sona.boundary import TaskShift
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.instant import outcome_step
from swarm.sona.lora import LoraPair
from swarm.sona.standing import Standing, Verdict
from swarm.sona.vectors import Vector, unit
from swarm.store.agents import AgentState, Generation
from swarm.store.bank import BankStore
from swarm.store.connection import Client, connect
from swarm.store.erase import erase_swarm
from swarm.store.reply import to_bytes, to_hash
from swarm.wire.keys import SwarmKeys
from swarm.wire.memory_records import LearnerRecord, encode_learner
from swarm.wire.records import Weights, encode_weights

CONFIG = SonaConfig(dim=DIM)
AXES = np.eye(DIM, dtype=np.float32)
FIELDS = {"ann": AXES[0], "bob": AXES[1], "eve": AXES[2]}
"""Where each agent works; nobody else does."""
REPORTS = np.tile(np.array([1.0, 0.0], dtype=np.float32), 60)
STANDINGS = {
    Verdict.TRUSTED: Standing.of(REPORTS, REPORTS, REPORTS, np.ones_like(REPORTS)),
    Verdict.PROBATION: Standing(),
    Verdict.QUARANTINED: Standing.of(REPORTS, 1.0 - REPORTS, 1.0 - REPORTS, np.ones_like(REPORTS)),
}


def tilt(field: Vector, towards: Vector, strength: float = 0.5) -> LoraPair:
    """The pair that adds `strength` times `towards` to what lies along `field`."""
    return LoraPair(field[None].copy(), np.float32(strength) * towards[None], 1.0)


ANNS, BOBS = tilt(AXES[0], AXES[10]), tilt(AXES[1], AXES[11])


def commit(swarm: Swarm, name: str, *pairs: LoraPair, verdict: Verdict = Verdict.TRUSTED, outcomes: int = 100) -> None:
    """A generation of an agent that knows its field, with new weights if there are `pairs`."""
    if swarm.agents.registration(name) is None:
        swarm.register(name, "coder", CONFIG)
    state = swarm.agents.state(name)
    task = replace(
        some_outcome(0, name),
        embedding=FIELDS.get(name, AXES[3]),
        action=f"what {name} does" if name in FIELDS else "what others do",
    )
    values = {"learner": encode_learner(LearnerRecord(task=TaskShift.beginning(DIM), standing=STANDINGS[verdict]))}
    if pairs:
        values["weights"] = encode_weights(Weights(base=pairs, ewc=EwcMemory.empty()))
    lease = present(swarm.agents.lease(name, 30.0))
    with lease.held():
        generation = Generation(
            cursor=f"{state.generation + 1}-0",
            processed=outcomes,
            removed=(),
            put=[task.as_cluster(CONFIG.quality_threshold)],
            dead={},
            values=values,
            figures={},
            keep=1000,
        )
        swarm.agents.commit(name, lease, state.generation, generation)
    assert swarm.agents.state(name).verdict is verdict


def own(*pairs: LoraPair) -> Adapter:
    """The adapter of an agent whose base tier is `pairs`."""
    adapter = Adapter.initial(CONFIG, np.random.default_rng(CONFIG.seed))
    if pairs:
        adapter.set_base(pairs)
    return adapter


def follow(replica: Replica) -> None:
    replica.refresh()
    replica.refresh_experts()


def fresh(swarm: Swarm) -> Replica:
    replica = Replica(swarm.bank, CONFIG)
    follow(replica)
    return replica


QUERIES = np.stack([*FIELDS.values(), *(some_vector(7000 + number) for number in range(8))])


def bending(replica: Replica, adapter: Adapter | None = None, agent: str = "guest") -> bytes:
    """How an agent's queries are bent, to the last bit; by default those of one that has learned nothing."""
    return replica.bend(QUERIES, adapter or own(), agent).tobytes()


UNBENT = QUERIES.tobytes()


def assert_bends_alike(one: Replica, other: Replica) -> None:
    """But for the last digit: their rows may stand in another order, and BLAS adds up each a little differently."""
    bent, expected = (replica.bend(QUERIES, own(), "guest") for replica in (one, other))
    np.testing.assert_allclose(bent, expected, atol=1e-6)
    assert bent.tobytes() != UNBENT


# Which agents


def a_state(processed: int = 100, *, dead: int = 0, rewound: int = 0, weights_generation: int = 2) -> AgentState:
    """Of an agent that is believed."""
    return AgentState(
        generation=99,
        processed=processed,
        dead=dead,
        rewound=rewound,
        weights_generation=weights_generation,
        verdict=Verdict.TRUSTED,
    )


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_an_agent_that_is_believed_is_an_expert(verdict: Verdict) -> None:
    states = {"ann": a_state(), "bob": replace(a_state(1000, weights_generation=3), verdict=verdict)}
    assert experts_of(states) == ({"ann": 2, "bob": 3} if verdict is Verdict.TRUSTED else {"ann": 2})


def test_who_has_trained_no_weights_or_gives_what_it_knows_is_no_expert() -> None:
    names = ("library", "library-of-plans", "librarian")
    states = {"ann": a_state(weights_generation=0)} | {name: a_state() for name in names}
    assert experts_of(states) == {"librarian": 2}
    assert experts_of({}) == {}


def test_of_many_experts_those_with_most_outcomes_are_taken_whatever_the_order() -> None:
    # Pairs that learned equally much: the last place is between two, and goes to the one that is named first.
    states = {
        f"agent-{number:02}": a_state(1000 + 100 * (number // 2), dead=500, rewound=400, weights_generation=number + 1)
        for number in range(MAX_EXPERTS + 5)
    }
    # Outcomes that came to nothing are none.
    states["dead"] = a_state(10_000, dead=9_990)
    states["rewound"] = a_state(10_000, rewound=9_990)
    expected = {f"agent-{number:02}": number + 1 for number in (4, *range(6, MAX_EXPERTS + 5))}
    assert len(expected) == MAX_EXPERTS
    rng = random.Random(0)
    for _ in range(20):
        found = experts_of(dict(rng.sample(list(states.items()), len(states))))
        assert found == expected
        # Equal experts are equal bytes.
        assert list(found) == sorted(found)


# The merge


def test_the_merge_publishes_the_experts_of_the_generations_that_it_publishes(
    swarm: Swarm, background: Background
) -> None:
    commit(swarm, "ann", ANNS)
    commit(swarm, "bob", BOBS, verdict=Verdict.PROBATION)
    commit(swarm, "eve")
    assert swarm.bank.experts() == {}
    background.merge("worker", 0.0)
    assert swarm.bank.experts() == {"ann": 1}
    commit(swarm, "bob")
    commit(swarm, "ann")
    commit(swarm, "ann", ANNS)
    background.merge("worker", 0.0)
    # By the generation in which weights were written, not by the newest one.
    assert swarm.bank.experts() == {"ann": 3, "bob": 1}
    commit(swarm, "ann", verdict=Verdict.QUARANTINED)
    background.merge("worker", 0.0)
    assert swarm.bank.experts() == {"bob": 1}


class Overtaken(BankStore):
    """Lets something happen just before a merge publishes."""

    meanwhile: Callable[[], object]

    def publish(self, *args: Any, **options: Any) -> str:
        self.meanwhile()
        return super().publish(*args, **options)


def test_a_merge_that_was_overtaken_changes_neither_patterns_nor_experts(
    swarm: Swarm, settings: Settings, client: Client
) -> None:
    commit(swarm, "ann", ANNS)
    commit(swarm, "bob", BOBS)
    bank = Overtaken(client, swarm.keys)

    def overtake() -> None:
        # The merge took too long: its lease ran out, an agent fell from grace, and another worker published that.
        client.delete(swarm.keys.lease)
        commit(swarm, "ann", verdict=Verdict.QUARANTINED)
        assert Background(settings, client).merge("another", 0.0)["status"] == "published"

    bank.meanwhile = overtake
    with pytest.raises(StaleWriterError):
        Merger(swarm.agents, bank, RouteMerger(swarm.agents, swarm.router.store), 30.0).run()
    assert swarm.bank.experts() == {"bob": 1}
    assert [sorted(pattern.agents) for pattern in swarm.bank.patterns()] == [["bob"]]


@pytest.fixture
def other(settings: Settings, client: Client) -> Iterator[Swarm]:
    """Another swarm."""
    swarm = make_swarm(settings.model_copy(update={"name": f"{settings.name}-other"}), client)
    yield swarm
    erase_swarm(client, swarm.keys)


@pytest.mark.parametrize("seed", range(4))
def test_bank_and_experts_are_the_same_bytes_whatever_the_order_of_the_agents_and_merges(
    swarm: Swarm, other: Swarm, settings: Settings, client: Client, seed: int
) -> None:
    generations: dict[str, list[tuple[list[LoraPair], Verdict, int]]] = {
        "ann": [([ANNS], Verdict.PROBATION, 60), ([], Verdict.TRUSTED, 60)],
        "bob": [([BOBS], Verdict.TRUSTED, 90), ([BOBS, ANNS], Verdict.TRUSTED, 10)],
        "eve": [([ANNS], Verdict.TRUSTED, 500), ([], Verdict.QUARANTINED, 1)],
        # Where they work is one place, so that their clusters are added up.
        "joe": [([BOBS], Verdict.TRUSTED, 20)],
        "kim": [([], Verdict.TRUSTED, 20)],
    }
    rng = random.Random(seed)
    expected = {"ann": 1, "bob": 2, "joe": 1}
    for member, merges in ((swarm, 1.0), (other, 0.5)):
        background = Background(settings.model_copy(update={"name": member.settings.name}), client)
        waiting = {name: list(steps) for name, steps in generations.items()}
        while waiting:
            name = rng.choice(sorted(waiting))
            pairs, verdict, outcomes = waiting[name].pop(0)
            commit(member, name, *pairs, verdict=verdict, outcomes=outcomes)
            if not waiting[name]:
                del waiting[name]
            if rng.random() < merges:
                background.merge("worker", 0.0)
        background.merge("worker", 0.0)
        assert member.bank.experts() == expected
    one, two = (
        [to_hash(client.hgetall(s.keys.bank)), to_bytes(client.hget(s.keys.meta, "experts"))] for s in (swarm, other)
    )
    assert one == two
    assert any(len(pattern.agents) > 1 for pattern in swarm.bank.patterns())


# Replicas


class CountingBank(BankStore):
    """Notes what is read for the experts."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        super().__init__(client, keys)
        self.looks = 0
        self.fetched: list[list[str]] = []

    def experts(self) -> dict[str, int]:
        self.looks += 1
        return super().experts()

    def bases(self, names: Iterable[str]) -> dict[str, tuple[LoraPair, ...]]:
        wanted = sorted(names)
        self.fetched.append(wanted)
        return super().bases(wanted)


def test_an_expert_bends_the_queries_of_others_in_its_field_and_nowhere_else(
    swarm: Swarm, background: Background
) -> None:
    commit(swarm, "ann", ANNS)
    commit(swarm, "bob", BOBS)
    commit(swarm, "eve", verdict=Verdict.PROBATION)
    background.merge("worker", 0.0)
    replica = fresh(swarm)

    def bent(query: Vector, agent: str = "guest", adapter: Adapter | None = None) -> Vector:
        return replica.bend(query, adapter or own(), agent)

    np.testing.assert_allclose(bent(AXES[0]), unit(AXES[0] + 0.5 * AXES[10]), atol=1e-6)
    np.testing.assert_allclose(bent(AXES[1]), unit(AXES[1] + 0.5 * AXES[11]), atol=1e-6)
    # Half way between them each counts half.
    between = unit(AXES[0] + AXES[1])
    half = np.float32(0.5 * 0.5 * np.sqrt(0.5))
    np.testing.assert_allclose(bent(between), unit(between + half * (AXES[10] + AXES[11])), atol=1e-6)
    # What nobody who is believed has done is left as it is.
    assert bent(AXES[2]).tobytes() == AXES[2].tobytes()
    # An expert in another's field is bent as any other agent is, and in its own by its own adapter.
    np.testing.assert_allclose(bent(AXES[1], "ann", own(ANNS)), bent(AXES[1]), atol=1e-6)
    np.testing.assert_allclose(bent(AXES[0], "ann", own(ANNS)), own(ANNS).apply(AXES[0]), atol=1e-6)
    # Also if that is newer than what is published.
    newer = own(tilt(AXES[0], AXES[12]))
    np.testing.assert_allclose(bent(AXES[0], "ann", newer), newer.apply(AXES[0]), atol=1e-6)


def test_an_agent_alone_is_bent_by_its_own_adapter_byte_for_byte(swarm: Swarm, background: Background) -> None:
    commit(swarm, "ann", ANNS, tilt(some_vector(1), some_vector(2)))
    commit(swarm, "bob", BOBS, verdict=Verdict.PROBATION)
    commit(swarm, "eve", ANNS, verdict=Verdict.QUARANTINED)
    background.merge("worker", 0.0)
    assert swarm.bank.experts() == {"ann": 1}
    adapter = own(ANNS, tilt(some_vector(1), some_vector(2)))
    adapter.step_micro(some_vector(3), some_vector(4), 0.1)
    replica = fresh(swarm)
    assert bending(replica, adapter, "ann") == adapter.apply(QUERIES).tobytes() != UNBENT
    for query in QUERIES:
        assert replica.bend(query, adapter, "ann").tobytes() == adapter.apply(query).tobytes()


def test_a_replica_fetches_only_the_adapters_that_changed(swarm: Swarm, background: Background, client: Client) -> None:
    bank = CountingBank(client, swarm.keys)
    replica = Replica(bank, CONFIG)

    def fetched() -> list[list[str]]:
        """What a merge made the replica fetch."""
        background.merge("worker", 0.0)
        bank.fetched.clear()
        follow(replica)
        assert_bends_alike(replica, fresh(swarm))
        return bank.fetched

    commit(swarm, "ann", ANNS)
    commit(swarm, "bob", BOBS)
    commit(swarm, "eve", ANNS, verdict=Verdict.PROBATION)
    assert fetched() == [["ann", "bob"]]
    looks = bank.looks
    follow(replica)
    assert (bank.looks, bank.fetched) == (looks, [["ann", "bob"]])
    before = bending(replica)
    commit(swarm, "bob", tilt(AXES[1], AXES[12]))
    assert fetched() == [["bob"]]
    assert bending(replica) != before
    commit(swarm, "ann")
    assert fetched() == [[]]
    commit(swarm, "eve")
    assert fetched() == [["eve"]]


def test_a_replica_with_nothing_new_asks_redis_once(settings: Settings, own_redis: PrivateRedis) -> None:
    away = settings.model_copy(update={"redis_url": own_redis.url})
    with connect(away) as client, connect(away) as watcher:
        swarm = make_swarm(away, client)
        commit(swarm, "ann", ANNS)
        Background(away, client).merge("worker", 0.0)
        replica = fresh(swarm)
        watcher.config_resetstat()
        follow(replica)
        calls = {name: figures["calls"] for name, figures in watcher.info("commandstats").items()}
    assert {name: count for name, count in calls.items() if "config" not in name} == {"cmdstat_xrange": 1}


def test_a_rollback_gives_others_back_the_very_bending(swarm: Swarm, background: Background) -> None:
    replica = Replica(swarm.bank, CONFIG)
    seen = []
    for pair in (ANNS, tilt(AXES[0], AXES[12]), tilt(AXES[0], AXES[13])):
        commit(swarm, "ann", pair)
        background.merge("worker", 0.0)
        follow(replica)
        seen.append(bending(replica))
    assert len({UNBENT, *seen}) == 4
    for version in (1, 3, 2):
        swarm.rollback("ann", version)
        background.merge("worker", 0.0)
        follow(replica)
        assert bending(replica) == bending(fresh(swarm)) == seen[version - 1]
    # Before anything was learned it is no expert.
    swarm.rollback("ann", 0)
    background.merge("worker", 0.0)
    follow(replica)
    assert swarm.bank.experts() == {}
    assert bending(replica) == UNBENT


def test_who_is_not_believed_any_more_bends_nobody_and_may_come_back(swarm: Swarm, background: Background) -> None:
    replica = Replica(swarm.bank, CONFIG)
    seen: list[bytes] = []
    for verdict in (Verdict.TRUSTED, Verdict.QUARANTINED, Verdict.TRUSTED):
        commit(swarm, "ann", *([ANNS] if not seen else []), verdict=verdict)
        background.merge("worker", 0.0)
        follow(replica)
        seen.append(bending(replica))
    assert seen[0] == seen[2] != UNBENT
    assert seen[1] == UNBENT


def diverged(factor: float, *, scale: float = 1.0) -> bytes:
    """Weights that are whole and finite, but not what they would make of a query."""
    pair = LoraPair(np.full((1, DIM), factor, dtype=np.float32), np.full((1, DIM), 1e10, dtype=np.float32), scale)
    return encode_weights(Weights(base=(BOBS, pair), ewc=EwcMemory.empty()))


UNUSABLE = {
    "damaged": b"junk",
    "newer": b"\x93\xa7weights\x09\x80",
    "missing": None,
    "diverged": diverged(1e15),
    "diverged by its scale": diverged(1.0, scale=-1e15),
    "diverged in between": diverged(3e38, scale=0.0),
}


@pytest.mark.parametrize("record", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_adapter_that_cannot_be_used_bends_nobody_and_keeps_no_other_away(
    swarm: Swarm, background: Background, client: Client, record: bytes | None
) -> None:
    commit(swarm, "bob", BOBS)
    background.merge("worker", 0.0)
    replica = fresh(swarm)
    commit(swarm, "ann", ANNS)
    whole = present(to_bytes(client.get(swarm.keys.agent("ann").weights)))
    if record is None:
        client.delete(swarm.keys.agent("ann").weights)
    else:
        client.set(swarm.keys.agent("ann").weights, record)
    background.merge("worker", 0.0)
    assert swarm.bank.experts() == {"ann": 1, "bob": 1}
    follow(replica)
    assert replica.bend(AXES[0], own(), "guest").tobytes() == AXES[0].tobytes()
    np.testing.assert_allclose(replica.bend(AXES[1], own(), "guest"), unit(AXES[1] + 0.5 * AXES[11]), atol=1e-6)
    # Mended, it is fetched with the next publication.
    client.set(swarm.keys.agent("ann").weights, whole)
    commit(swarm, "bob")
    background.merge("worker", 0.0)
    follow(replica)
    assert_bends_alike(replica, fresh(swarm))
    np.testing.assert_allclose(replica.bend(AXES[0], own(), "guest"), unit(AXES[0] + 0.5 * AXES[10]), atol=1e-6)


def test_an_adapter_of_another_dimension_bends_nobody(swarm: Swarm, background: Background) -> None:
    commit(swarm, "ann", LoraPair(np.ones((1, 8), dtype=np.float32), np.ones((1, 8), dtype=np.float32), 1.0))
    background.merge("worker", 0.0)
    assert swarm.bank.experts() == {"ann": 1}
    assert bending(fresh(swarm)) == UNBENT


class CutOff(BankStore):
    """Lets something happen after the experts were named, before their adapters are there."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def bases(self, names: Iterable[str]) -> dict[str, tuple[LoraPair, ...]]:
        self.meanwhile()
        return super().bases(names)


@pytest.mark.parametrize("is_late", [False, True], ids=["before it looks", "while it looks"])
def test_without_redis_a_replica_bends_as_before_and_catches_up_later(
    settings: Settings, own_redis: PrivateRedis, is_late: bool
) -> None:
    away = settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 0.5})
    swarm = make_swarm(away, connect(away))
    background = Background(away, connect(away))
    bank = CutOff(connect(away), swarm.keys)
    replica = Replica(bank, CONFIG)
    commit(swarm, "ann", ANNS)
    background.merge("worker", 0.0)
    follow(replica)
    before = bending(replica)
    assert before != UNBENT
    # Other weights of the one, and another one.
    commit(swarm, "ann", tilt(AXES[0], AXES[12]))
    commit(swarm, "bob", BOBS)
    background.merge("worker", 0.0)
    replica.refresh()
    # Frozen, not killed: what it has just acknowledged may still be on its way to the file.
    freeze = partial(own_redis.signal, signal.SIGSTOP)
    if is_late:
        bank.meanwhile = freeze
    else:
        freeze()
    with pytest.raises(StoreUnavailableError, match="weights of the experts" if is_late else "read the experts"):
        replica.refresh_experts()
    assert bending(replica) == before
    own_redis.signal(signal.SIGCONT)
    bank.meanwhile = lambda: None
    # Although the bank has not moved since: what failed is asked for again.
    assert not replica.refresh()
    replica.refresh_experts()
    assert_bends_alike(replica, fresh(swarm))
    np.testing.assert_allclose(replica.bend(AXES[0], own(), "guest"), unit(AXES[0] + 0.5 * AXES[12]), atol=1e-6)


def test_the_instant_step_starts_from_the_query_as_the_experts_bend_it(swarm: Swarm, background: Background) -> None:
    commit(swarm, "ann", ANNS)
    commit(swarm, "bob", BOBS)
    background.merge("worker", 0.0)
    replica = fresh(swarm)
    # In ann's field ann's adapter counts whole: as if the newcomer had it itself.
    outcome = replace(some_outcome(0, "guest"), embedding=unit(AXES[0] + 0.4 * AXES[1]), action="what ann does")
    newcomer, as_ann, unbent = own(), own(ANNS), own()
    assert replica.learn(newcomer, outcome, CONFIG)
    for adapter in (as_ann, unbent):
        assert outcome_step(adapter, replica.index, outcome.embedding, outcome.action, outcome.quality, CONFIG)
    np.testing.assert_allclose(newcomer.micro.up, as_ann.micro.up, rtol=1e-4, atol=1e-9)
    assert not np.allclose(newcomer.micro.up, unbent.micro.up, rtol=1e-2, atol=1e-9)
    # An expert learns by its own adapter there, which may be newer than what is published.
    newer, twin = own(tilt(AXES[0], AXES[12])), own(tilt(AXES[0], AXES[12]))
    assert replica.learn(newer, replace(outcome, agent="ann"), CONFIG)
    assert outcome_step(twin, replica.index, outcome.embedding, outcome.action, outcome.quality, CONFIG)
    np.testing.assert_allclose(newer.micro.up, twin.micro.up, rtol=1e-4, atol=1e-9)
    # Alone it does so exactly.
    commit(swarm, "bob", verdict=Verdict.QUARANTINED)
    background.merge("worker", 0.0)
    follow(replica)
    ann, alone = own(ANNS), own(ANNS)
    assert replica.learn(ann, replace(outcome, agent="ann"), CONFIG)
    assert outcome_step(alone, replica.index, outcome.embedding, outcome.action, outcome.quality, CONFIG)
    assert ann.micro.up.tobytes() == alone.micro.up.tobytes() != own().micro.up.tobytes()
