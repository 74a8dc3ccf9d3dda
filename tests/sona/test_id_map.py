"""A map of ids to slots, and entries by code: as a dict of lists, in a fraction of the memory."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest

from swarm.sona import id_map, postings
from swarm.sona.id_map import IdMap
from swarm.sona.postings import Postings


@pytest.fixture(autouse=True)
def soon_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sort in what came since every few entries, as large ones do every few thousand."""
    monkeypatch.setattr(id_map, "_RECENT", 7)
    monkeypatch.setattr(postings, "_RECENT", 7)


def test_ids_are_found_where_they_were_put_last_however_they_moved() -> None:
    rng = random.Random(3)
    ids, known = IdMap(), dict[str, int]()
    for _ in range(3000):
        name = f"id-{rng.randrange(200)}"
        if name in known:
            assert ids.pop(name) == known.pop(name)
        if rng.random() < 0.7:
            known[name] = rng.randrange(300)
            ids.put(name, known[name])
        asked = f"id-{rng.randrange(220)}"
        assert ids.get(asked) == known.get(asked)
    assert {name: ids.get(name) for name in known} == known


def test_an_id_whose_hash_begins_like_that_of_another_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def alike(names: Iterable[str]) -> npt.NDArray[np.void]:
        return np.array([(7, int(name[3:])) for name in names], dtype=id_map._HASH)

    monkeypatch.setattr(id_map, "_hashes", alike)
    ids = IdMap()
    for slot in range(40):
        ids.put(f"id-{slot}", slot)
    assert (ids.pop("id-3"), ids.pop("id-3")) == (3, None)
    assert [ids.get(f"id-{slot}") for slot in range(41)] == [*range(3), None, *range(4, 40), None]


def test_entries_are_true_until_their_slot_is_written_again() -> None:
    rng = random.Random(5)
    stamps = np.zeros(50, dtype=np.uint32)
    found = Postings()
    truth: dict[int, tuple[int, float]] = {}
    for step in range(2000):
        slot, code = rng.randrange(50), rng.randrange(6)
        stamps[slot] += 1
        truth[slot] = (code, float(step % 100))
        found.add(code, slot, int(stamps[slot]), float(step % 100), 1.0)
        if found.is_full():
            found.tidy(stamps)
        if step % 50 == 0:
            asked = [4, -1, 2, 99]
            entries, owner = found.of(asked, stamps)
            there = {
                (int(slot), asked[position], float(n))
                for slot, n, position in zip(entries["slot"], entries["n"], owner.tolist(), strict=True)
            }
            assert there == {(slot, code, n) for slot, (code, n) in truth.items() if code in asked}
            assert len(entries) == len(there)
