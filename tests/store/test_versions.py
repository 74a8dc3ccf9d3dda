"""Versions: each commit keeps what it replaced, so that an agent's earlier content can be read and restored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from swarm_support import present, some_cluster

from swarm.errors import BoundsError, DamagedRecordError
from swarm.store.agents import AgentStore, Generation
from swarm.store.commit import UNDO_VERSIONS, UNREACHABLE, Commit, Committer
from swarm.store.connection import Client
from swarm.store.lease import Lease
from swarm.store.reply import to_bytes, to_hash
from swarm.store.versions import Content, LogEntry, VersionStore, encode_spans
from swarm.wire.codec import encode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_cluster

NAME = "coder-1"


@pytest.fixture
def versions(client: Client, keys: SwarmKeys) -> VersionStore:
    return VersionStore(client, keys)


@pytest.fixture
def committer(client: Client, keys: SwarmKeys) -> Committer:
    return Committer(client, keys)


@pytest.fixture
def lease(agents: AgentStore) -> Lease:
    return present(agents.lease(NAME, 30.0))


def a_commit(**changes: Any) -> Commit:
    commit = Commit(
        cursor="5-0",
        processed=1,
        removed=(),
        put={},
        dead={},
        values={},
        figures=encode("figures", {"outcomes": 1}),
        keep=100,
    )
    return replace(commit, **changes)


def stored(client: Client, keys: SwarmKeys) -> tuple[dict[str, bytes], bytes | None]:
    """Clusters and weights as they are."""
    agent = keys.agent(NAME)
    return to_hash(client.hgetall(agent.clusters)), to_bytes(client.get(agent.weights))


def held(content: Content) -> tuple[dict[str, bytes], bytes | None]:
    return dict(content.clusters), content.values["weights"]


@pytest.fixture
def five(client: Client, keys: SwarmKeys, committer: Committer, lease: Lease) -> dict[int, Any]:
    """Five versions in which clusters come, change and go, and weights change twice; what each held."""
    seen = {0: stored(client, keys)}
    changes: list[dict[str, Any]] = [
        {"put": {"a": b"a1", "b": b"b1"}},
        {"put": {"b": b"b2", "12": b"c1"}, "values": {"weights": b"w1"}},
        {"removed": ["a"]},
        {"put": {"a": b"a2"}, "removed": ["12", "never"], "values": {"weights": b"w2"}},
        {},
    ]
    for number, change in enumerate(changes):
        committer.write(NAME, lease, number, a_commit(**change))
        seen[number + 1] = stored(client, keys)
    return seen


def test_every_version_can_be_read_as_it_was(versions: VersionStore, five: dict[int, Any]) -> None:
    assert {number: held(versions.at(NAME, number)) for number in range(6)} == five
    assert versions.reachable(NAME) == [0, 1, 2, 3, 4]
    assert [versions.at(NAME, number).age for number in range(6)] == [0, 1, 2, 3, 4, 5]


def test_a_commit_that_takes_something_back_cuts_the_versions_between(
    client: Client, keys: SwarmKeys, versions: VersionStore, committer: Committer, lease: Lease, five: dict[int, Any]
) -> None:
    committer.write(NAME, lease, 5, a_commit(since=2, put={"b": b"b9", "new": b"n"}, newly_skipped=3))
    after = stored(client, keys)
    assert versions.reachable(NAME) == [0, 1, 2]
    assert held(versions.at(NAME, 6)) == after
    assert {number: held(versions.at(NAME, number)) for number in range(3)} == {n: five[n] for n in range(3)}
    assert (versions.at(NAME, 6).age, versions.at(NAME, 2).age) == (3, 2)
    for number in (3, 4, 5):
        with pytest.raises(BoundsError, match=rf"version {number} of agent {NAME} holds what was taken back"):
            versions.at(NAME, number)
    committer.write(NAME, lease, 6, a_commit(removed=["b"]))
    assert versions.reachable(NAME) == [0, 1, 2, 6]
    assert held(versions.at(NAME, 6)) == after
    assert held(versions.at(NAME, 1)) == five[1]


def test_a_commit_may_leave_nothing_to_return_to(
    versions: VersionStore, committer: Committer, lease: Lease, five: dict[int, Any]
) -> None:
    committer.write(NAME, lease, 5, a_commit(since=UNREACHABLE))
    assert versions.reachable(NAME) == []
    with pytest.raises(BoundsError, match=f"agent {NAME} can be rolled back to, and there is none yet, got 5"):
        versions.at(NAME, 5)
    committer.write(NAME, lease, 6, a_commit(put={"a": b"a7"}))
    assert versions.reachable(NAME) == [6]
    assert versions.at(NAME, 6).clusters == five[5][0]


def test_versions_reach_back_so_far_and_no_further(
    versions: VersionStore, committer: Committer, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    for number in range(UNDO_VERSIONS + 5):
        committer.write(NAME, lease, number, a_commit(put={"a": b"%d" % number}))
    assert versions.reachable(NAME) == list(range(5, UNDO_VERSIONS + 5))
    assert versions.at(NAME, 5).clusters == {"a": b"4"}
    with pytest.raises(BoundsError, match=rf"version must be in 5\.\.{UNDO_VERSIONS + 4} for agent {NAME}, got 4"):
        versions.at(NAME, 4)
    with pytest.raises(BoundsError, match="got 99"):
        versions.at(NAME, 99)
    assert client.hlen(keys.agent(NAME).undo) == UNDO_VERSIONS


def test_large_versions_reach_back_less_far(
    versions: VersionStore, committer: Committer, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.store.commit.UNDO_BYTES", 10_000)
    for number in range(10):
        committer.write(NAME, lease, number, a_commit(values={"weights": bytes([number]) * 3_000}))
    # The undo of each holds the weights before it.
    assert versions.reachable(NAME) == [7, 8, 9]
    assert versions.at(NAME, 7).values["weights"] == bytes([6]) * 3_000
    committer.write(NAME, lease, 10, a_commit(values={"weights": b"w" * 20_000}))
    committer.write(NAME, lease, 11, a_commit(values={"weights": b"w"}))
    assert versions.reachable(NAME) == []


def test_the_log_says_what_each_generation_came_from(
    agents: AgentStore, versions: VersionStore, committer: Committer, lease: Lease
) -> None:
    learned = Generation(
        cursor="3-0", processed=1, removed=(), put=(some_cluster(0),), dead={}, values={}, figures={"n": 1}, keep=9
    )
    agents.commit(NAME, lease, 0, learned)
    agents.commit(NAME, lease, 1, replace(learned, cursor="7-0"))
    spans = (("0-0", "3-0"), ("3-0", "7-0"))
    origin = {"kind": "rewind", "parent": "0", "spans": encode_spans(spans), "cause": "trajectory x"}
    committer.write(NAME, lease, 2, a_commit(cursor="7-0", origin=origin))
    first, second, third = versions.log(NAME)
    assert (first.spans, second.spans) == ((("0-0", "3-0"),), (("3-0", "7-0"),))
    assert (second.kind, second.parent, second.figures) == ("", 1, {"n": 1})
    assert third == LogEntry(
        generation=3,
        at_ms=third.at_ms,
        kind="rewind",
        parent=0,
        spans=spans,
        cause="trajectory x",
        figures={"outcomes": 1},
        cursor="7-0",
    )
    assert third.at_ms > 1_000_000_000_000


def test_a_settled_mark_names_the_generation(
    agents: AgentStore, committer: Committer, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    client.hset(keys.agent(NAME).forgotten, mapping={"3-0": "", "<=2-0": ""})
    committer.write(NAME, lease, 0, a_commit(settled=["3-0"], rewound=1))
    found = agents.forgotten(NAME)
    assert found.marks == {"3-0": "1", "<=2-0": ""}
    assert [found.covers(place) for place in ("1-5", "2-0", "2-1", "3-0", "3-1")] == [True, True, False, True, False]
    assert [found.is_settled(place) for place in ("2-0", "3-0")] == [False, True]
    assert agents.state(NAME).rewound == 1


@pytest.mark.parametrize("junk", [b"junk", b"", b"\x93\x01\x02\x03", b"\x80"])
def test_undo_bytes_that_cannot_be_read_are_one_clear_error(
    versions: VersionStore, client: Client, keys: SwarmKeys, five: dict[int, Any], junk: bytes
) -> None:
    client.hset(keys.agent(NAME).undo, "4", junk)
    assert held(versions.at(NAME, 4)) == five[4]
    with pytest.raises(DamagedRecordError, match=f"undo of agent {NAME}, version 4"):
        versions.at(NAME, 3)


def test_a_log_entry_that_cannot_be_read_is_one_clear_error(
    versions: VersionStore, client: Client, keys: SwarmKeys
) -> None:
    client.xadd(keys.agent(NAME).log, {"generation": "many"})
    with pytest.raises(DamagedRecordError, match=f"log of agent {NAME}"):
        versions.log(NAME)


def test_real_clusters_come_back_byte_for_byte(
    agents: AgentStore, versions: VersionStore, lease: Lease, client: Client, keys: SwarmKeys
) -> None:
    base = Generation(cursor="1-0", processed=1, removed=(), put=(), dead={}, values={}, figures={}, keep=9)
    agents.commit(NAME, lease, 0, replace(base, put=[some_cluster(n) for n in range(20)]))
    expected = {some_cluster(n).id: encode_cluster(some_cluster(n)) for n in range(20)}
    agents.commit(NAME, lease, 1, replace(base, put=[replace(some_cluster(n), n=9.0) for n in range(20)]))
    agents.commit(NAME, lease, 2, replace(base, removed=list(expected)))
    assert versions.at(NAME, 1).clusters == expected
