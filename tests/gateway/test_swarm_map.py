"""The map follows the bank: every pattern once, at its place, with its figures, in the bytes that the page reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from swarm_support import bank_store, present, some_cluster

import swarm_gateway.dashboard.swarm_map as module
from swarm.settings import Settings
from swarm.sona.clusters import Cluster
from swarm.store.bank import BankStore
from swarm.store.connection import Client
from swarm_gateway.dashboard.points import CONFIRMED, POINT, POSITIVE
from swarm_gateway.dashboard.swarm_map import SwarmMap


@pytest.fixture
def bank(client: Client, settings: Settings) -> BankStore:
    return bank_store(client, settings)


@pytest.fixture
def followed(bank: BankStore) -> SwarmMap:
    return SwarmMap(bank)


def publish(bank: BankStore, put: list[Cluster], removed: list[str] | None = None, *, is_full: bool = False) -> None:
    lease = present(bank.lease(20.0))
    with lease.held():
        bank.publish(lease, put, removed or [], {}, is_full=is_full)


def read(data: bytes) -> dict[str, Any]:
    """The bytes of a picture, as the page reads them."""
    size = int.from_bytes(data[:4], "little")
    header: dict[str, Any] = json.loads(data[4 : 4 + size])
    for name, offset, length in header["columns"]:
        part = data[4 + size + offset :][:length]
        assert offset % 4 == 0
        header[name] = json.loads(part) if name == "ids" else np.frombuffer(part, dtype=POINT[name])
    return header


def picture(followed: SwarmMap) -> dict[str, Any]:
    followed.refresh()
    return read(present(followed.picture()).data)


def test_every_pattern_is_there_once_with_its_figures(bank: BankStore, followed: SwarmMap) -> None:
    clusters = [some_cluster(number, f"coder-{number % 3}") for number in range(30)]
    publish(bank, clusters)
    found = picture(followed)
    assert found["version"] == followed.version == bank.version()
    assert found["count"] == 30
    assert sorted(found["ids"]) == sorted(cluster.id for cluster in clusters)
    by_id = {cluster.id: cluster for cluster in clusters}
    for row, name in enumerate(found["ids"]):
        cluster = by_id[name]
        assert found["n"][row] == cluster.n
        assert found["quality"][row] == cluster.mean_quality
        assert found["agents"][found["agent"][row]] == next(iter(cluster.agents))
        assert found["types"][found["type"][row]] == cluster.task_type
        assert found["flags"][row] == POSITIVE * cluster.positive + CONFIRMED * cluster.confirmed
    assert np.isfinite(found["x"]).all()
    assert len(set(zip(found["x"].tolist(), found["y"].tolist(), strict=True))) == 30


def test_changes_are_followed_and_what_stays_does_not_move(bank: BankStore, followed: SwarmMap) -> None:
    clusters = [some_cluster(number) for number in range(40)]
    publish(bank, clusters[:30])
    before = picture(followed)
    publish(bank, clusters[30:], [clusters[0].id, clusters[1].id])
    after = picture(followed)
    assert sorted(after["ids"]) == sorted(cluster.id for cluster in clusters[2:])
    where = {name: (x, y) for name, x, y in zip(before["ids"], before["x"], before["y"], strict=True)}
    for name, x, y in zip(after["ids"], after["x"], after["y"], strict=True):
        assert where.get(name, (x, y)) == (x, y)


def test_a_bank_that_was_published_anew_is_read_anew(bank: BankStore, followed: SwarmMap) -> None:
    publish(bank, [some_cluster(number) for number in range(5)])
    picture(followed)
    left = some_cluster(2)
    publish(bank, [left], [some_cluster(number).id for number in (0, 1, 3, 4)], is_full=True)
    assert picture(followed)["ids"] == [left.id]


def test_the_best_known_lies_on_top(bank: BankStore, followed: SwarmMap) -> None:
    clusters = [replace(some_cluster(number), n=float((7 * number) % 20 + 1)) for number in range(20)]
    publish(bank, clusters)
    assert picture(followed)["n"].tolist() == sorted(cluster.n for cluster in clusters)


def test_of_a_bank_beyond_the_bound_the_first_are_drawn(
    bank: BankStore, followed: SwarmMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_POINTS", 25)
    publish(bank, [some_cluster(number) for number in range(40)])
    assert picture(followed)["count"] == 25
    publish(bank, [some_cluster(number) for number in range(40, 45)])
    assert picture(followed)["count"] == 25


def test_an_empty_bank_has_an_empty_picture(followed: SwarmMap) -> None:
    found = picture(followed)
    assert (found["count"], found["ids"], len(found["x"])) == (0, [], 0)


@pytest.fixture
def following(followed: SwarmMap) -> Iterator[SwarmMap]:
    followed.start()
    yield followed
    followed.close()


def test_by_itself_it_has_a_picture_as_soon_as_the_bank_is_read(bank: BankStore, following: SwarmMap) -> None:
    assert present(following.picture(wait_s=30.0)).data
