"""The store of LangGraph beside LangGraph's own `InMemoryStore`: the same operations, the same answers.

Where the two differ on purpose, the tests say so: ours keeps the time at which an item was first put, forgets the
vectors of what is put again, lists no empty namespace, and orders what has no score by when it was first put, across
namespaces too.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from support import wait_until
from swarm_support import EMBEDDER, make_swarm, present

from swarm.errors import BoundsError, EmbedderMismatchError, InputError, ShapeError
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client

# Installed with the extra `dev`; where it is not, as beside CrewAI, there is nothing to test.
pytest.importorskip("langgraph", reason="needs the extra langgraph")

from langgraph.store.base import (  # only where it is installed
    GetOp,
    IndexConfig,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore  # only where it is installed

from swarm_agents.adapters.langgraph import SwarmEmbeddings, SwarmStore  # the same

ADA = ("users", "ada")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def store(swarm: Swarm) -> SwarmStore:
    return SwarmStore(swarm)


def keys_of(items: list[SearchItem]) -> list[str]:
    return [item.key for item in items]


def test_an_item_is_put_got_found_and_deleted(store: SwarmStore, swarm: Swarm) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=1)
    store.put(ADA, "tea", {"text": "ada drinks green tea", "n": [1, {"a": None}]})
    other = SwarmStore(swarm)
    item = present(other.get(ADA, "tea"))
    assert (item.namespace, item.key) == (ADA, "tea")
    assert item.value == {"text": "ada drinks green tea", "n": [1, {"a": None}]}
    assert begun < item.created_at == item.updated_at
    assert [(found.key, found.value) for found in other.search(("users",))] == [("tea", item.value)]
    other.delete(ADA, "tea")
    assert store.get(ADA, "tea") is None
    assert store.search(()) == []


def test_putting_again_changes_the_value_and_keeps_when_it_was_created(store: SwarmStore) -> None:
    store.put(ADA, "a", {"v": 1})
    first = present(store.get(ADA, "a"))
    store.put(ADA, "a", {"v": 2})
    second = present(store.get(ADA, "a"))
    assert second.value == {"v": 2}
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


def test_the_swarms_embedder_finds_what_is_meant(store: SwarmStore) -> None:
    store.put(ADA, "tea", {"text": "green tea in the morning"})
    store.put(ADA, "car", {"text": "an old red car"})
    found = store.search(ADA, query="green tea", limit=1)
    assert keys_of(found) == ["tea"]
    assert present(found[0].score) > 0.2


def test_fields_name_what_an_item_is_found_by(swarm: Swarm) -> None:
    store = SwarmStore(swarm, index={"fields": ["title", "parts[*].text", "meta.lang"]}, collection="fields")
    store.put(ADA, "both", {"title": "tea", "parts": [{"text": "car"}, {"text": "boat"}], "meta": {"lang": "de"}})
    store.put(ADA, "other", {"title": "moon", "hidden": "boat"})
    for query in ("tea", "car", "boat", "de"):
        [first, *_] = store.search(ADA, query=query)
        assert first.key == "both"
        assert first.score == pytest.approx(1.0, abs=1e-5)
    store.put(ADA, "other", {"title": "moon", "hidden": "boat"}, index=["hidden"])
    assert [present(item.score) for item in store.search(ADA, query="boat")] == pytest.approx([1.0, 1.0], abs=1e-5)
    # What is not embedded has no score, and comes last.
    store.put(ADA, "both", {"title": "tea"}, index=False)
    assert [(item.key, item.score is None) for item in store.search(ADA, query="tea")] == [
        ("other", False),
        ("both", True),
    ]


def test_without_an_index_a_query_only_lists(swarm: Swarm) -> None:
    store = SwarmStore(swarm, index=False)
    store.put(ADA, "1", {"text": "tea"}, index=["text"])
    assert [(item.key, item.score) for item in store.search(ADA, query="tea")] == [("1", None)]


def test_another_embedder_may_be_given_sync_or_async(swarm: Swarm) -> None:
    def embed(texts: Any) -> list[list[float]]:
        return [[float(text.count("a")), float(text.count("b")), 0.1] for text in texts]

    async def aembed(texts: Any) -> list[list[float]]:
        return embed(texts)

    store = SwarmStore(swarm, index={"dims": 3, "embed": embed, "fields": ["t"]}, collection="letters")
    store.put(ADA, "a", {"t": "aaa"})
    store.put(ADA, "b", {"t": "bbb"})
    assert keys_of(store.search(ADA, query="abb")) == ["b", "a"]

    async def later() -> list[str]:
        other = SwarmStore(swarm, index={"dims": 3, "embed": aembed, "fields": ["t"]}, collection="letters")
        await other.aput(ADA, "c", {"t": "ab"})
        assert present(await other.aget(ADA, "c")).value == {"t": "ab"}
        await other.adelete(ADA, "b")
        assert await other.alist_namespaces() == [ADA]
        return keys_of(await other.asearch(ADA, query="ab", filter={"t": {"$ne": "aa"}}))

    assert asyncio.run(later()) == ["c", "a"]
    with pytest.raises(EmbedderMismatchError, match=r"the caller \(3-d\)"):
        SwarmStore(swarm, collection="letters").put(ADA, "d", {"t": "a"})
    with pytest.raises(ShapeError, match="1 vectors of 4 numbers"):
        SwarmStore(swarm, index={"dims": 4, "embed": embed}, collection="four").put(ADA, "d", {"t": "a"})


# Lives


def test_lives_are_minutes_and_reading_begins_them_anew_unless_told_otherwise(swarm: Swarm, client: Client) -> None:
    store = SwarmStore(swarm, ttl={"default_ttl": 10.0, "refresh_on_read": True})
    store.put(ADA, "default", {})
    store.put(ADA, "own", {}, ttl=0.5)
    store.put(ADA, "ever", {}, ttl=None)
    lives = {}
    for key in client.scan_iter(match=swarm.keys.document("langgraph", "*")):
        lives[key] = client.pttl(key)
        if lives[key] > 0:
            client.pexpire(key, 5_000)
    assert sorted(round(life / 6_000) for life in lives.values()) == [0, 5, 100]

    def left() -> list[int]:
        return sorted(round(client.pttl(key) / 6_000) for key in lives)

    for read in (
        lambda: store.get(ADA, "own", refresh_ttl=False),
        lambda: store.search(ADA, refresh_ttl=False),
        lambda: store.list_namespaces(),
    ):
        read()
        assert left() == [0, 1, 1]
    store.get(ADA, "own")
    assert left() == [0, 1, 5]
    store.search(ADA)
    assert left() == [0, 5, 100]


def test_what_has_expired_is_neither_got_nor_found_nor_listed(store: SwarmStore) -> None:
    store.put(ADA, "1", {"text": "tea"}, ttl=0.002)
    wait_until(lambda: store.get(ADA, "1", refresh_ttl=False) is None, 30.0, "the item to expire")
    assert store.search(ADA, query="tea") == []
    assert store.list_namespaces() == []
    with pytest.raises(BoundsError, match="ttl_s"):
        store.put(ADA, "1", {}, ttl=-1.0)


# Batches


def test_a_batch_reads_what_was_there_before_and_the_last_put_of_a_key_counts(store: SwarmStore) -> None:
    store.put(ADA, "1", {"v": 0})
    results = store.batch(
        [
            PutOp(ADA, "1", {"v": 1}),
            GetOp(ADA, "1"),
            PutOp(ADA, "2", {"v": 2}),
            SearchOp(ADA),
            PutOp(ADA, "1", None),
            PutOp(ADA, "2", {"v": 3}),
            ListNamespacesOp(None, None),
            GetOp(ADA, "none"),
        ]
    )
    assert [None if result is None else type(result).__name__ for result in results] == [
        *(None, "Item", None, "list", None, None, "list", None),
    ]
    assert results[1].value == {"v": 0}  # type: ignore[union-attr]  # an item, as was just checked
    assert [(item.key, item.value) for item in store.search(ADA)] == [("2", {"v": 3})]
    assert store.batch([]) == []


def test_of_a_batch_that_cannot_be_carried_out_nothing_is_written(store: SwarmStore) -> None:
    bad: list[Any] = [
        PutOp(ADA, "2", {"v": {1, 2}}),
        SearchOp(ADA, filter={"v": {"$in": [1]}}),
        SearchOp(ADA, limit=-1),
        ListNamespacesOp((MatchCondition("middle", ("a",)),)),  # type: ignore[arg-type]
        "nonsense",
    ]
    store.put(ADA, "0", {})
    for op in bad:
        with pytest.raises(InputError):
            store.batch([PutOp(ADA, "1", {}), op])
    assert keys_of(store.search(())) == ["0"]


def test_many_tasks_of_one_loop_are_answered(store: SwarmStore) -> None:
    async def work() -> list[Any]:
        await asyncio.gather(*(store.aput(ADA, str(i), {"i": i}) for i in range(20)))
        return await asyncio.gather(*(store.aget(ADA, str(i)) for i in range(20)))

    assert [item.value["i"] for item in asyncio.run(work())] == list(range(20))


def test_namespaces_are_listed_by_their_ends_to_a_depth(store: SwarmStore) -> None:
    for namespace in (("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "b", "f"), ("a", "c", "f")):
        store.put(namespace, "k", {})
    assert store.list_namespaces(prefix=("a", "b"), max_depth=3) == [("a", "b", "c"), ("a", "b", "d"), ("a", "b", "f")]
    assert store.list_namespaces(suffix=("f",)) == [("a", "b", "f"), ("a", "c", "f")]
    assert store.list_namespaces(prefix=("a", "*", "f")) == [("a", "b", "f"), ("a", "c", "f")]
    assert store.list_namespaces(limit=2, offset=1) == [("a", "b", "d", "e"), ("a", "b", "d", "i")]


# Beside LangGraph's own

LABELS = st.sampled_from(["a", "b"])
NAMESPACES = st.lists(LABELS, min_size=1, max_size=3).map(tuple)
KEYS = st.sampled_from(["k1", "k2", "k3"])
WORDS = st.lists(st.sampled_from(["tea", "car", "boat", "moon"]), min_size=1, max_size=3).map(" ".join)
# Words of their own, and none twice: theirs cannot store an item that has one text in two places.
TREES = st.lists(st.sampled_from(["oak", "fir", "old oak", "tall fir"]), max_size=2, unique=True)
VALUES = st.fixed_dictionaries(
    {
        "text": WORDS,
        "n": st.integers(-3, 3),
        "sub": st.fixed_dictionaries({"a": st.integers(0, 1), "list": TREES}),
    }
)
COMPARED = st.dictionaries(
    st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), st.integers(-3, 3), min_size=1, max_size=2
)
FILTERS = st.one_of(
    st.none(),
    st.fixed_dictionaries({"n": st.integers(-3, 3) | COMPARED}),
    st.fixed_dictionaries({"text": WORDS | st.fixed_dictionaries({"$ne": WORDS})}),
    st.fixed_dictionaries({"sub": st.fixed_dictionaries({"a": st.integers(0, 1) | COMPARED})}),
    st.fixed_dictionaries({"sub": st.fixed_dictionaries({"list": TREES}), "none": st.none()}),
)
INDEXES = st.sampled_from([None, False, ["text"], ["sub.list[*]"], ["sub.list[-1]", "text"], ["absent"]])
PATHS = st.lists(LABELS | st.just("*"), max_size=2).map(tuple)
CONDITIONS = st.lists(
    st.builds(MatchCondition, match_type=st.sampled_from(["prefix", "suffix"]), path=PATHS), max_size=2
).map(tuple)


class BesideInMemoryStore(RuleBasedStateMachine):
    """The same operations on both."""

    swarm: Swarm
    count = 0

    @initialize()
    def begin(self) -> None:
        type(self).count += 1
        config: IndexConfig = {"embed": SwarmEmbeddings(self.swarm.embedder), "fields": ["text", "sub.list[*]"]}
        self.theirs = InMemoryStore(index=config)
        self.ours = [SwarmStore(self.swarm, index=config, collection=f"machine{self.count}") for _ in range(2)]
        self.first_put: dict[tuple[tuple[str, ...], str], int] = {}
        self.clock = 0

    @rule(which=st.integers(0, 1), namespace=NAMESPACES, key=KEYS, value=VALUES, index=INDEXES)
    def put(self, which: int, namespace: tuple[str, ...], key: str, value: Any, index: Any) -> None:
        # Theirs would keep the vectors of the value before.
        self.theirs.delete(namespace, key)
        self.theirs.put(namespace, key, value, index)
        self.ours[which].put(namespace, key, value, index)
        self.clock += 1
        self.first_put.setdefault((namespace, key), self.clock)

    @rule(which=st.integers(0, 1), namespace=NAMESPACES, key=KEYS)
    def delete(self, which: int, namespace: tuple[str, ...], key: str) -> None:
        self.theirs.delete(namespace, key)
        self.ours[which].delete(namespace, key)
        self.first_put.pop((namespace, key), None)

    @rule(which=st.integers(0, 1), namespace=NAMESPACES, key=KEYS)
    def get(self, which: int, namespace: tuple[str, ...], key: str) -> None:
        theirs, ours = self.theirs.get(namespace, key), self.ours[which].get(namespace, key)
        assert (theirs and (theirs.namespace, theirs.key, theirs.value)) == (
            ours and (ours.namespace, ours.key, ours.value)
        )

    @rule(
        which=st.integers(0, 1),
        prefix=st.lists(LABELS, max_size=2).map(tuple),
        conditions=FILTERS,
        query=st.none() | WORDS | st.just("old fir"),
        limit=st.integers(0, 6),
        offset=st.integers(0, 4),
    )
    def search(
        self, which: int, prefix: tuple[str, ...], conditions: Any, query: str | None, limit: int, offset: int
    ) -> None:
        store = self.ours[which]
        theirs = self.theirs.search(prefix, query=query, filter=conditions, limit=1000)
        ours = store.search(prefix, query=query, filter=conditions, limit=1000)
        assert (
            store.search(prefix, query=query, filter=conditions, limit=limit, offset=offset)
            == (ours[offset : offset + limit])
        )
        wanted = {(item.namespace, item.key): (item.value, item.score) for item in theirs}
        assert {(item.namespace, item.key): (item.value, _near(item.score)) for item in ours} == wanted
        # The same order but for what is equally like, and that is in the order of the first puts.
        ranks = [(-round(_number(item.score), 4), self.first_put[item.namespace, item.key]) for item in ours]
        scores = [-rank for rank, _ in ranks]
        assert scores == sorted(scores, reverse=True)
        unscored = [rank for item, rank in zip(ours, ranks, strict=True) if item.score is None]
        assert unscored == sorted(unscored)
        if query is None and len({item.namespace for item in ours}) == 1 and not self._was_put_again(theirs):
            assert [item.key for item in ours] == [item.key for item in theirs]

    @rule(
        which=st.integers(0, 1),
        conditions=CONDITIONS,
        max_depth=st.none() | st.integers(0, 3),
        limit=st.integers(0, 5),
        offset=st.integers(0, 3),
    )
    def list_namespaces(
        self, which: int, conditions: tuple[MatchCondition, ...], max_depth: int | None, limit: int, offset: int
    ) -> None:
        # Theirs lists namespaces that hold nothing, too.
        for namespace in [name for name, items in self.theirs._data.items() if not items]:
            del self.theirs._data[namespace]
        op = ListNamespacesOp(conditions, max_depth, limit, offset)
        assert self.ours[which].batch([op]) == self.theirs.batch([op])

    def _was_put_again(self, items: list[SearchItem]) -> bool:
        """Theirs was deleted before, and so moved to the end."""
        order = [self.first_put[item.namespace, item.key] for item in items]
        return order != sorted(order)


def _near(score: float | None) -> Any:
    return None if score is None else pytest.approx(score, abs=1e-5)


def _number(score: float | None) -> float:
    return -2.0 if score is None else score


def test_every_operation_answers_as_langgraphs_own_store_does(swarm: Swarm) -> None:
    machine = type("Machine", (BesideInMemoryStore,), {"swarm": swarm})
    run_state_machine_as_test(
        machine, settings=hypothesis_settings(max_examples=40, stateful_step_count=30, deadline=None)
    )


def test_one_text_in_two_fields_is_embedded_once_and_found(store: SwarmStore) -> None:
    store.put(ADA, "1", {"a": "tea", "b": "tea"}, index=["a", "b"])
    assert [present(item.score) for item in store.search(ADA, query="tea")] == pytest.approx([1.0], abs=1e-5)


def test_what_an_agent_remembered_goes_with_it(swarm: Swarm, store: SwarmStore) -> None:
    swarm.register("ada", "coder")
    SwarmStore(swarm, agent="ada").put(ADA, "1", {"text": "of ada"})
    store.put(ADA, "2", {"text": "of nobody"})
    swarm.forget(agent="ada")
    assert keys_of(store.search(ADA)) == ["2"]
