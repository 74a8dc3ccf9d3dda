"""Documents of a swarm: for all processes, all or none, found by place, filter and vector, gone when they expire."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from retention_support import where
from support import PrivateRedis, wait_until
from swarm_support import present, some_vector, start_program

from swarm.errors import (
    BoundsError,
    CapacityError,
    EmbedderMismatchError,
    InputError,
    ShapeError,
    StoreUnavailableError,
)
from swarm.services.backup import back_up
from swarm.services.documents import Documents, embed_leniently
from swarm.services.restore import restore
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store import documents as documents_module
from swarm.store.connection import Client, clock_s, connect
from swarm.store.documents import DocumentStore, Put
from swarm.store.erase import erase_swarm
from swarm.wire.document_records import Document, Place, document_id
from swarm.wire.keys import SwarmKeys

New = Callable[[], Documents]


@pytest.fixture
def new(settings: Settings, client: Client) -> New:
    """The collection as another process sees it."""
    return lambda: Documents(settings, client, "notes")


@pytest.fixture
def notes(new: New) -> Documents:
    return new()


def note(key: str, value: Any = None, *, at: tuple[str, ...] = ("users", "ada"), **options: Any) -> Put:
    ttl_s = options.pop("ttl_s", None)
    return Put(document=Document(place=Place(at, key), value=value or {"key": key}, **options), ttl_s=ttl_s)


def keys_of(found: list[Any]) -> list[str]:
    return [stored.document.place.key for stored, _ in found]


def rows(*vectors: Any) -> Any:
    return np.array(vectors, dtype=np.float32)


def test_what_one_process_puts_another_finds(notes: Documents, new: New) -> None:
    other = new()
    assert other.search() == []
    notes.write([note("1", {"likes": "tea"})])
    [found] = other.get([Place(("users", "ada"), "1")])
    assert present(found).document.value == {"likes": "tea"}
    assert keys_of(other.search(("users",))) == ["1"]
    assert other.search(("use",)) == []
    assert notes.namespaces() == [("users", "ada")]
    assert notes.write([], [Place(("users", "ada"), "1"), Place(("users", "ada"), "2")]) == 1
    assert other.search() == []
    assert other.namespaces() == []


def test_what_is_put_again_keeps_its_place_and_the_time_it_was_first_put(notes: Documents) -> None:
    notes.write([note("a"), note("b"), note("c")])
    [before] = notes.get([Place(("users", "ada"), "a")])
    notes.write([note("a", {"new": True})])
    [after] = notes.get([Place(("users", "ada"), "a")])
    assert present(after).created_s == present(before).created_s
    assert present(after).updated_s > present(before).updated_s
    assert present(after).document.value == {"new": True}
    assert keys_of(notes.search()) == ["a", "b", "c"]
    notes.write([note("a")], [Place(("users", "ada"), "a")])
    assert keys_of(notes.search()) == ["b", "c", "a"]


def test_a_search_hands_out_copies(notes: Documents) -> None:
    notes.write([note("1", {"list": [1]})])
    [(found, _)] = notes.search()
    found.document.value["list"].append(2)
    assert notes.search(accept=lambda value: value["list"] == [1])[0][0].document.value == {"list": [1]}


def test_pages_are_those_of_the_whole(notes: Documents) -> None:
    notes.write([note(str(i), {"even": i % 2 == 0}) for i in range(250)])
    even = [str(i) for i in range(0, 250, 2)]
    assert keys_of(notes.search(accept=lambda value: value["even"], limit=1000)) == even
    assert keys_of(notes.search(accept=lambda value: value["even"], limit=7, offset=100)) == even[100:107]
    assert notes.search(limit=0) == []
    assert keys_of(notes.search(limit=7, offset=248)) == ["248", "249"]


# Vectors


def test_the_most_like_comes_first_and_the_best_of_a_document_counts(notes: Documents) -> None:
    notes.write([note("none"), note("north", vectors=rows([0, 1])), note("both", vectors=rows([3, 0], [0, 2]))])
    found = notes.search(query=np.array([1, 0], dtype=np.float32))
    assert [(stored.document.place.key, score) for stored, score in found] == [
        ("both", 1.0),
        ("north", 0.0),
        ("none", None),
    ]
    # Equally like: in the order in which they were put.
    assert keys_of(notes.search(query=np.array([0, 5], dtype=np.float32))) == ["north", "both", "none"]


def test_search_is_exact_beside_a_slow_reference(notes: Documents) -> None:
    vectors = {str(i): np.stack([some_vector(10 * i + j, 24) for j in range(1 + i % 3)]) for i in range(120)}
    notes.write([note(key, {"i": int(key)}, vectors=found) for key, found in vectors.items()])
    gone = [str(i) for i in range(0, 120, 4)]
    notes.search(query=some_vector(1, 24))
    notes.write([note(key, {"i": int(key)}, vectors=vectors[key][:1]) for key in ("1", "2")])
    notes.write([], [Place(("users", "ada"), key) for key in gone])
    left = {key: found[:1] if key in ("1", "2") else found for key, found in vectors.items() if key not in gone}
    for seed in range(20):
        query = some_vector(1000 + seed, 24)
        wanted = sorted(left, key=lambda key: -max(float(row @ query) for row in left[key]))  # used here
        assert keys_of(notes.search(query=query, limit=15)) == wanted[:15]


def test_vectors_of_two_embedders_are_not_mixed(settings: Settings, client: Client) -> None:
    ours, theirs = (Documents(settings, client, "notes", space=space) for space in ("ours@1", "theirs@1"))
    ours.write([note("1", vectors=rows([0, 1]))])
    for call in (
        lambda: theirs.write([note("2"), note("3", vectors=rows([0, 1]))]),
        lambda: theirs.search(query=np.ones(2, dtype=np.float32)),
        lambda: ours.write([note("3", vectors=rows([0, 1, 0]))]),
        lambda: ours.search(query=np.ones(3, dtype=np.float32)),
    ):
        with pytest.raises(EmbedderMismatchError, match=r"ours@1 \(2-d\)"):
            call()
    with pytest.raises(ShapeError, match="one dimension"):
        ours.write([note("3", vectors=rows([0, 1, 0])), note("4", vectors=rows([0, 1]))])
    # Nothing of all that was written; and an empty collection is anybody's.
    assert keys_of(theirs.search()) == ["1"]
    ours.write([], [Place(("users", "ada"), "1")])
    theirs.write([note("2", vectors=rows([1, 1, 1]))])
    assert keys_of(theirs.search(query=np.ones(3, dtype=np.float32))) == ["2"]
    with pytest.raises(EmbedderMismatchError):
        ours.search(query=np.ones(2, dtype=np.float32))


def test_a_view_follows_a_collection_that_was_emptied_and_filled_by_another_embedder(
    settings: Settings, client: Client, notes: Documents, new: New
) -> None:
    other = new()
    notes.write([note("1", vectors=rows([0, 1])), note("2", vectors=rows([1, 1])), note("3", ttl_s=0.2)])
    notes.write([note("3", ttl_s=0.05, vectors=rows([1, 0]))])
    assert len(other.look()) >= 2
    places = [Place(("users", "ada"), key) for key in "123"]
    wait_until(lambda: notes.get(places[2:]) == [None], 30.0, "the document to expire")
    notes.write([], places[:2])
    # The one that has expired is still on the list, but binds nobody any more.
    notes.write([note("1", vectors=rows([0, 1, 0])), note("2", vectors=rows([1, 1, 0]))])
    assert keys_of(other.search(query=np.array([0, 1, 0], dtype=np.float32))) == ["1", "2"]


def test_texts_that_say_nothing_are_zero_and_long_ones_are_cut(swarm: Swarm) -> None:
    texts = ["a date", " ", "a date" + " again" * 30_000, "\ud800"]
    vectors = embed_leniently(swarm.embedder, texts)
    assert (vectors[0] == swarm.embedder.embed_one("a date")).all()
    assert not vectors[1].any()
    assert vectors[2].any()
    assert vectors.shape == (4, swarm.embedder.identity.dim)


# Lives


def test_what_expires_is_found_by_nobody_any_more_and_leaves_nothing(
    notes: Documents, new: New, settings: Settings, client: Client
) -> None:
    other = new()
    notes.write([note("short", ttl_s=0.3, vectors=rows([0, 1])), note("long", ttl_s=3600, vectors=rows([1, 0]))])
    # The view that holds it while it lives must not answer it after.
    assert set(keys_of(other.search(query=np.ones(2, dtype=np.float32)))) <= {"short", "long"}
    place = Place(("users", "ada"), "short")
    wait_until(lambda: notes.get([place]) == [None], 30.0, "the document to expire")
    assert keys_of(other.search(query=np.ones(2, dtype=np.float32))) == ["long"]
    assert keys_of(notes.search()) == ["long"]
    keys = SwarmKeys(settings.name)
    assert client.zrange(keys.documents("notes"), 0, -1) == [document_id(place._replace(key="long")).encode()]
    assert client.exists(keys.document("notes", document_id(place))) == 0


def test_reading_begins_a_life_anew_only_if_that_is_wanted(
    notes: Documents, settings: Settings, client: Client
) -> None:
    place = Place(("users", "ada"), "1")
    notes.write([note("1", ttl_s=1000), note("2")])
    key = SwarmKeys(settings.name).document("notes", document_id(place))

    def left(call: Callable[[], object]) -> int:
        client.pexpire(key, 500_000)
        call()
        return int(client.pttl(key))

    assert left(lambda: notes.get([place])) <= 500_000
    assert left(lambda: notes.search()) <= 500_000
    assert left(lambda: notes.get([place], [True])) > 900_000
    assert left(lambda: notes.search(lives_on=True)) > 900_000
    # Put again without a life of its own it lives for ever.
    notes.write([note("1")])
    assert client.pttl(key) == -1
    assert present(notes.get([place], [True])[0]).ttl_s is None


def test_a_view_learns_that_another_process_let_a_document_live_on(
    notes: Documents, new: New, settings: Settings, client: Client
) -> None:
    notes.write([note("1", ttl_s=1000)])
    other, place = new(), Place(("users", "ada"), "1")
    first = present(other.look()[0].expires_s)
    begun = clock_s(client)
    wait_until(lambda: clock_s(client) > begun + 0.01, 30.0, "Redis's clock")
    notes.get([place], [True])
    later = present(other.look()[0].expires_s)
    assert later > first
    left_s = client.pttl(SwarmKeys(settings.name).document("notes", document_id(place))) / 1e3
    assert later == pytest.approx(clock_s(client) + left_s, abs=1.0)


# Bounds


def test_a_collection_is_bounded_and_what_expired_makes_room(settings: Settings, client: Client) -> None:
    notes = Documents(settings.model_copy(update={"max_documents": 3}), client, "notes")
    notes.write([note("1"), note("2", ttl_s=0.05)])
    with pytest.raises(CapacityError, match="2 documents, the bound is 3"):
        notes.write([note("3"), note("4")])
    place = Place(("users", "ada"), "2")
    wait_until(lambda: notes.get([place]) == [None], 30.0, "the document to expire")
    notes.write([note("3"), note("4")])
    notes.write([note("3", {"again": True})])
    with pytest.raises(CapacityError):
        notes.write([note("5")])
    assert keys_of(notes.search()) == ["1", "3", "4"]


def test_one_bad_document_of_several_leaves_all_unwritten(notes: Documents) -> None:
    for bad in (note("b", {"n": 2**70}), note("b", ttl_s=0.0), note("b", at=("",)), note("b", agent="no name")):
        with pytest.raises(InputError):
            notes.write([note("a"), bad])
    with pytest.raises(BoundsError):
        notes.search(limit=-1)
    assert notes.search() == []


def test_collections_do_not_see_one_another(settings: Settings, client: Client, notes: Documents) -> None:
    other = Documents(settings, client, "notes2")
    notes.write([note("1")])
    assert other.search() == []
    with pytest.raises(InputError, match="collection"):
        Documents(settings, client, "a:b")


# Following


def test_a_view_that_is_behind_the_log_loads_everything_anew(
    notes: Documents, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new()
    notes.write([note("old"), note("gone")])
    assert len(other.search()) == 2
    monkeypatch.setattr(documents_module, "DOCLOG_LENGTH", 5)
    notes.write([], [Place(("users", "ada"), "gone")])
    for i in range(20):
        notes.write([note(str(i % 7))])
    assert keys_of(other.search(limit=50)) == keys_of(new().search(limit=50)) == ["old", *map(str, range(7))]


def test_a_search_reads_what_changed_and_not_everything(
    notes: Documents, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes.write([note(str(i)) for i in range(30)])
    other = new()
    other.look()
    fetched: list[str] = []
    read = DocumentStore.read

    def counted(store: DocumentStore, ids: Any, *marks: Any) -> Any:
        fetched.extend(ids)
        return read(store, ids, *marks)

    monkeypatch.setattr(DocumentStore, "read", counted)
    other.look()
    assert fetched == []
    notes.write([note("7", {"new": True})])
    assert {"new": True} in [held.value for held in other.look()]
    assert fetched == [document_id(Place(("users", "ada"), "7"))]


def test_a_view_notices_that_redis_went_back_in_time(own_redis: PrivateRedis, settings: Settings) -> None:
    own = settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 0.5})
    notes = Documents(own, connect(own), "notes")
    notes.write([note("kept")])
    size = own_redis.written()
    notes.write([note("lost")])
    assert keys_of(notes.search()) == ["kept", "lost"]
    own_redis.kill()
    with pytest.raises(StoreUnavailableError):
        notes.search()
    own_redis.lose(size)
    own_redis.start()
    assert keys_of(notes.search()) == ["kept"]
    # As many changes as were lost: only where they were made tells.
    notes.write([note("new")])
    assert keys_of(notes.search()) == ["kept", "new"]


@pytest.mark.timeout(120)
def test_several_processes_write_and_every_view_comes_to_the_same(
    notes: Documents, new: New, settings: Settings
) -> None:
    programs = [start_program("remember", settings, number, 60) for number in range(3)]
    seen = set()
    while any(program.poll() is None for program in programs):
        seen.add(len(notes.search(limit=1000)))
    for program in programs:
        assert program.wait(30.0) == 0
        assert program.stdout is not None
        program.stdout.close()
    followed, fresh = notes.search(limit=1000), new().search(limit=1000)
    assert followed == fresh
    assert len(fresh) == 3 * 40 + 5
    assert {stored.document.value["i"] for stored, _ in fresh if stored.document.place.namespace == ("common",)} >= {59}


@pytest.mark.timeout(120)
def test_of_a_writer_that_is_killed_every_batch_is_whole_or_not_there(
    notes: Documents, new: New, settings: Settings
) -> None:
    with start_program("remember", settings, 0, 100_000) as writer:
        wait_until(lambda: len(notes.look()) > 40, 60.0, "some documents")
        writer.send_signal(signal.SIGKILL)
    for _ in range(2):
        found = {held.place: held.value["i"] for held in new().look()}
        newest = max(i for place, i in found.items() if place.namespace == ("common",))
        # Of every third one its own document was deleted again, in a batch of its own.
        own = {i for place, i in found.items() if place.namespace == ("of", "0")}
        assert {i for i in range(newest + 1) if i % 3} <= own <= {*range(newest + 1)}
        assert len(own) <= newest + 1 - newest // 3


def test_what_was_written_survives_the_death_of_redis(own_redis: PrivateRedis, settings: Settings) -> None:
    own = settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 0.5})
    notes = Documents(own, connect(own), "notes")
    notes.write([note("1", vectors=rows([0, 1])), note("2", ttl_s=1000)])
    before = notes.search()
    own_redis.kill()
    own_redis.start()
    assert [(one.document.place, one.created_s, one.ttl_s) for one, _ in notes.search()] == [
        (one.document.place, one.created_s, one.ttl_s) for one, _ in before
    ]


def test_threads_of_one_process_share_a_view(notes: Documents) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(20):
                notes.write([note(f"{number}-{i}", vectors=rows([number, i + 1]))])
                assert f"{number}-{i}" in keys_of(notes.search(query=np.ones(2, dtype=np.float32), limit=1000))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(notes.search(limit=1000)) == 80


class TwoViews(RuleBasedStateMachine):
    """Any changes, made in two processes: the view that followed them, a new one and a plain dict agree."""

    client: Client
    settings: Settings
    count = 0

    def open(self) -> Documents:
        """The collection as another process sees it."""
        return Documents(self.settings, self.client, f"machine{self.count}")

    @initialize()
    def begin(self) -> None:
        type(self).count += 1
        self.both = self.open(), self.open()
        self.model: dict[Place, Any] = {}

    @rule(
        which=st.integers(0, 1),
        puts=st.dictionaries(st.integers(0, 5), st.integers(0, 9), max_size=3),
        gone=st.sets(st.integers(0, 5), max_size=2),
        has_vectors=st.booleans(),
        ttl_s=st.sampled_from([None, 500.0]),
    )
    def write(self, which: int, puts: dict[int, int], gone: set[int], has_vectors: bool, ttl_s: float | None) -> None:
        deletes = [Place((str(key % 2),), str(key)) for key in sorted(gone)]
        documents = [
            Document(
                place=Place((str(key % 2),), str(key)),
                value={"value": value},
                vectors=rows([value, 1.0]) if has_vectors else None,
            )
            for key, value in puts.items()
        ]
        removed = self.both[which].write([Put(document=one, ttl_s=ttl_s) for one in documents], deletes)
        assert removed == sum(self.model.pop(place, None) is not None for place in deletes)
        for one in documents:
            self.model[one.place] = one.value

    @rule(which=st.integers(0, 1), key=st.integers(0, 5), lives_on=st.booleans())
    def get(self, which: int, key: int, lives_on: bool) -> None:
        place = Place((str(key % 2),), str(key))
        [found] = self.both[which].get([place], [lives_on])
        assert (found and found.document.value) == self.model.get(place)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.model)))
        keys = SwarmKeys(self.settings.name)
        # As if its life had ended: for views that hold it without an end, another process must have deleted it.
        self.both[0].write([Put(document=Document(place=place, value=self.model.pop(place)), ttl_s=500.0)])
        self.client.delete(keys.document(f"machine{self.count}", document_id(place)))
        for one in self.both:
            assert one.get([place]) == [None]
            assert place not in [stored.document.place for stored, _ in one.search(limit=100)]
        self.both[0].write([], [place])

    @invariant()
    def all_agree(self) -> None:
        wanted = list(self.model)
        for one in (*self.both, self.open()):
            found = one.search(limit=100)
            assert [stored.document.place for stored, _ in found] == wanted
            assert [stored.document.value for stored, _ in found] == list(self.model.values())
            assert one.namespaces() == sorted({place.namespace for place in wanted})
            scored = one.search(query=np.array([1.0, 0.0], dtype=np.float32), limit=100)
            assert {stored.id for stored, _ in scored} == {stored.id for stored, _ in found}
            for stored, score in scored:
                vectors = stored.document.vectors
                if vectors is None:
                    assert score is None
                else:
                    assert score == pytest.approx(float(vectors[0, 0] / np.linalg.norm(vectors[0])), abs=2e-6)


def test_any_changes_leave_all_views_alike(settings: Settings, client: Client) -> None:
    machine = type("Machine", (TwoViews,), {"client": client, "settings": settings})
    run_state_machine_as_test(
        machine, settings=hypothesis_settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


# Backup, and forgetting


@pytest.fixture
def copy(settings: Settings, client: Client) -> Iterator[Settings]:
    """Settings of a second swarm, which is erased after the test."""
    made = settings.model_copy(update={"name": f"{settings.name}-copy"})
    yield made
    erase_swarm(client, SwarmKeys(made.name))


def test_a_backup_holds_the_documents_with_their_lives(
    notes: Documents, settings: Settings, client: Client, copy: Settings, tmp_path: Path
) -> None:
    notes.write([note("for ever", vectors=rows([0, 1])), note("a while", {"n": 1}, ttl_s=1000), note("gone")])
    notes.write([], [Place(("users", "ada"), "gone")])
    back_up(tmp_path / "backup", settings, client)
    restore(tmp_path / "backup", copy.model_copy(update={"name": settings.name}), copy.name)
    restored = Documents(copy, client, "notes")
    before, after = notes.search(), restored.search()
    assert [(one.document.place, one.document.value, one.created_s, one.ttl_s) for one, _ in after] == [
        (one.document.place, one.document.value, one.created_s, one.ttl_s) for one, _ in before
    ]
    assert 0 < client.pttl(SwarmKeys(copy.name).document("notes", after[1][0].id)) <= 1_000_000
    assert [score for _, score in restored.search(query=np.array([0, 1], dtype=np.float32))] == [1.0, None]
    # It goes on as any other.
    restored.write([note("new", vectors=rows([1, 0]))], [Place(("users", "ada"), "a while")])
    assert keys_of(restored.search()) == ["for ever", "new"]


def test_a_view_notices_that_its_swarm_was_restored(
    notes: Documents, settings: Settings, client: Client, tmp_path: Path
) -> None:
    notes.write([note("1"), note("2")])
    back_up(tmp_path / "backup", settings, client)
    notes.write([note("3")], [Place(("users", "ada"), "1")])
    assert keys_of(notes.search()) == ["2", "3"]
    restore(tmp_path / "backup", settings, replace=True)
    assert keys_of(notes.search()) == ["1", "2"]
    notes.write([note("4")])
    assert keys_of(notes.search()) == ["1", "2", "4"]


def test_what_a_forgotten_agent_remembered_is_in_no_key(swarm: Swarm, notes: Documents, new: New) -> None:
    swarm.register("ada", "coder")
    swarm.register("bob", "coder")
    for agent in ("ada", "bob"):
        notes.write([note(f"{agent}{i}", {"secret": f"of-{agent}"}, agent=agent) for i in range(120)])
    other = new()
    assert len(other.search(limit=1000)) == 240
    assert where(swarm.client, swarm.keys, "of-ada")
    assert swarm.forget(agent="ada").traces == 120
    assert where(swarm.client, swarm.keys, "of-ada") == []
    assert {stored.document.agent for stored, _ in other.search(limit=1000)} == {"bob"}


def test_equal_vectors_are_equally_like_wherever_they_stand(notes: Documents) -> None:
    vector = some_vector(3, 37)
    notes.write([note(str(i), vectors=vector[None, :]) for i in range(100)])
    found = notes.search(query=some_vector(4, 37), limit=100)
    assert len({score for _, score in found}) == 1
    assert keys_of(found) == [str(i) for i in range(100)]
