"""A swarm is bound to one embedder."""

from __future__ import annotations

import subprocess
import sys

import pytest
from swarm_support import TESTS, environment

from swarm.embed.identity import EmbedderIdentity
from swarm.errors import DamagedRecordError, EmbedderMismatchError
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.meta import bind_embedder, bound_embedder
from swarm.wire.codec import encode
from swarm.wire.keys import SwarmKeys

FIRST = EmbedderIdentity(id="first", dim=64, version="1")


def test_a_new_swarm_is_bound_to_nothing(client: Client, keys: SwarmKeys) -> None:
    assert bound_embedder(client, keys) is None


def test_the_first_embedder_stays(client: Client, keys: SwarmKeys) -> None:
    bind_embedder(client, keys, FIRST)
    bind_embedder(client, keys, FIRST)
    assert bound_embedder(client, keys) == FIRST


@pytest.mark.parametrize(
    "other",
    [
        EmbedderIdentity(id="second", dim=64, version="1"),
        EmbedderIdentity(id="first", dim=65, version="1"),
        EmbedderIdentity(id="first", dim=64, version="2"),
    ],
    ids=str,
)
def test_another_embedder_is_refused_with_both_names(client: Client, keys: SwarmKeys, other: EmbedderIdentity) -> None:
    bind_embedder(client, keys, FIRST)
    with pytest.raises(EmbedderMismatchError) as caught:
        bind_embedder(client, keys, other)
    assert str(FIRST) in str(caught.value)
    assert str(other) in str(caught.value)
    assert bound_embedder(client, keys) == FIRST


def test_of_processes_that_bind_different_embedders_at_once_one_wins(
    settings: Settings, client: Client, keys: SwarmKeys
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, str(TESTS / "programs" / "bind_embedder.py"), str(64 + number)],
            env=environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    printed = []
    for process in processes:
        assert process.stdout is not None
        printed.append(process.stdout.read().strip())
        process.stdout.close()
        assert process.wait(20.0) == 0
    bound = bound_embedder(client, keys)
    assert bound is not None
    assert printed.count("bound") == 1
    assert printed[bound.dim - 64] == "bound"
    assert all(str(bound) in line for line in printed if line != "bound")


def test_a_damaged_binding_is_one_clear_error(client: Client, keys: SwarmKeys) -> None:
    for data in (b"junk", encode("embedder", {"id": "x"}), encode("embedder", {"id": 1, "dim": "2", "version": None})):
        client.hset(keys.meta, "embedder", data)
        with pytest.raises(DamagedRecordError, match="embedder"):
            bound_embedder(client, keys)
